/**
 * Every file of examples/ that is a program runs as a reader would run it, in an empty directory,
 * and says what its comments promise. The main job runs four times: killed half-way, to its end,
 * over what it left, and over a log that lost a part.
 */
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { snippetsOf } from './support/snippets.ts'
import { CHECKOUT } from './support/source-text.ts'
import { temporaryDirectory } from './support/temporary-directory.ts'

const TSX = join(CHECKOUT, 'node_modules/tsx/dist/cli.mjs')
const MAIN_JOB = 'quickstart.ts'
/** What a program prints, line by line. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'first-log.ts': [
    'partition 2, offset 0: o-1 12',
    'partition 2, offset 1: o-1 15',
    'bill o-1: 12',
    'bill o-1: 15',
  ],
  'append-and-read.ts': [
    'appended 0 to 2, durable below 3',
    'refused: OFFSET_CONFLICT',
    'by offset: 12.0',
    'first from 07:00:15 on: 1',
    '2 kitchen: 21.9',
    '3 cellar: 12.1',
    'scanned 4 records, 16 bytes of values',
  ],
  'live-tail.ts': [
    '0: tick 1',
    '1: tick 2',
    '2: tick 3',
    '3: tick 4',
    '4: tick 5',
    'followed 5 records',
  ],
  'table.ts': [
    'tea: 3',
    'milk: 1',
    'tea: 1',
    'two teas: true, two milks: false',
    'milk: gone',
    'after a restart: tea 1',
  ],
  'compaction.ts': [
    '601 records, first at offset 0',
    '1 partition compacted',
    'offset 0 is gone, the log ends at 601',
    'apple costs 200, plum is gone',
    'segments deleted, 0 held back',
  ],
  'backup.ts': [
    'linked some: true',
    'fewer files than before: true',
    'sound, 51 records',
    'restored up to: one more',
    'as text: 50 one more',
  ],
  'readers.ts': [
    'a worker: order 1',
    'a worker: order 2',
    'a worker: order 3',
    'another process: order 1',
    'another process: order 2',
    'another process: order 3',
  ],
  'typed-topics.ts': ['refused: name', 'c-1: Ada Lovelace, vip'],
  'verify-and-repair.ts': [
    'while it is open: sound',
    'verify: crc, offsets 5 to 5',
    'repair would keep 9 records and remove 1 stretch',
    'repaired: 9 kept, sound',
    '3 order 3',
    '4 order 4',
    '6 order 6',
  ],
}
const WORKERS = 'order-workers.ts'
const EXACTLY_ONCE = 'exactly-once.ts'
/** By default it is 200 times, which takes minutes. */
const KILLS = 8
/** Of other programs. */
const PARTS = ['data-sets.ts', 'terminal.ts', 'readers-worker.mjs']

interface ProgramEnd {
  readonly code: number | null
  readonly output: string
}

interface RunOptions {
  /** It is killed once it has printed that. */
  readonly killAt?: string
  /** Variables of its environment. */
  readonly settings?: Readonly<Record<string, string>>
}

/** Runs an example in `directory`. */
function run(name: string, directory: string, options: RunOptions = {}): Promise<ProgramEnd> {
  const { killAt, settings = {} } = options
  const { STREAMBED_DIR: _, ...ownEnv } = process.env
  const env = { ...ownEnv, ...settings }
  const child = spawn(process.execPath, [TSX, join(CHECKOUT, 'examples', name)], {
    cwd: directory,
    env,
    detached: true,
  })
  let output = ''
  const take = (chunk: Buffer): void => {
    output += chunk.toString()
    // The whole group: the program is a child of tsx.
    if (killAt !== undefined && output.includes(killAt)) process.kill(-(child.pid ?? 0), 'SIGKILL')
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

const textOf = (name: string): string => readFileSync(join(CHECKOUT, 'examples', name), 'utf8')

describe('the examples', () => {
  it('are all run by this test', () => {
    const names = readdirSync(join(CHECKOUT, 'examples'))
    expect(names.toSorted()).toEqual(
      [...Object.keys(PROGRAMS), MAIN_JOB, WORKERS, EXACTLY_ONCE, ...PARTS].toSorted(),
    )
  })

  it.each(Object.entries(PROGRAMS))('print what they say: %s', async (name, lines) => {
    const { code, output } = await run(name, temporaryDirectory())
    expect(output.trimEnd().split('\n')).toEqual(lines)
    expect(code).toBe(0)
  })

  it('give the README its first program', () => {
    const [first] = snippetsOf('README.md', readFileSync(join(CHECKOUT, 'README.md'), 'utf8'))
    const program = textOf('first-log.ts').replace(/^\/\*\*.*?\*\/\n/s, '')
    expect(first?.code).toBe(program)
    expect(program.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(20)
  })
})

describe('the workers of the orders', () => {
  it('do all of them though one dies, go on where a kill stopped them, and then have none', async () => {
    const directory = temporaryDirectory()
    const first = await run(WORKERS, directory)
    expect(first.code, first.output).toBe(0)
    expect(first.output).toMatch(/worker 2 died over order \d+\nafter that: \d+ orders to go/)
    expect(first.output).toMatch(/before: 60 orders .*done: 0 orders to go/s)
    expect(first.output).toMatch(/\(index\) │ partition │ end │ committed │ lag/)

    const other = temporaryDirectory()
    const killed = await run(WORKERS, other, { killAt: 'after that: ' })
    expect(killed.code).toBeNull()
    expect(killed.output).not.toContain('done')
    const again = await run(WORKERS, other)
    expect(again.code, again.output).toBe(0)
    const before = Number(/before: (\d+) orders/.exec(again.output)?.[1])
    expect(before).toBeGreaterThan(0)
    expect(before).toBeLessThan(60) // What the dead worker had finished was committed.
    expect(again.output).toContain('done: 0 orders to go')

    const idle = await run(WORKERS, other)
    expect(idle.output).toContain('before: 0 orders to go')
    expect(idle.code).toBe(0)
  })
})

describe('payments that are moved by a process that is killed', () => {
  it('are moved once each, and their sums are exact', async () => {
    const settings = { STREAMBED_KILLS: String(KILLS) }
    const { code, output } = await run(EXACTLY_ONCE, temporaryDirectory(), { settings })
    expect(output.trimEnd()).toMatch(/^\d+ payments moved once, 5 balances exact$/)
    expect(code).toBe(0)
  })
})

describe('the main job', () => {
  it('goes on where a kill stopped it, confirms its checksum, and sees a log that is damaged', async () => {
    const directory = temporaryDirectory()
    const killed = await run(MAIN_JOB, directory, { killAt: 'append: ' })
    expect(killed.code).toBeNull()

    const first = await run(MAIN_JOB, directory)
    expect(first.code, first.output).toBe(0)
    expect(first.output).toContain('as in the data sets')
    expect(first.output).toContain('275,926 records, checksum sha256 ')

    const second = await run(MAIN_JOB, directory)
    expect(second.code, second.output).toBe(0)
    expect(second.output).toMatch(/appended nothing: .*checksum confirmed/)
    expect(checksumIn(second.output)).toBe(checksumIn(first.output))

    truncateSync(join(directory, 'data/quickstart/events-1/00000000000000000000.log'), 100_000)
    const damaged = await run(MAIN_JOB, directory)
    expect(damaged.code, damaged.output).toBe(1)
    expect(damaged.output).not.toContain('confirmed')
  })
})

function checksumIn(output: string): string | undefined {
  return /sha256 ([0-9a-f]{64})/.exec(output)?.[1]
}
