/**
 * Read-only logs in processes of their own: beside a writer, after one that was killed, without
 * permission to write, and as the program tail -f of the contract.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { canBeNobody, NOBODY, nobodyNote } from '../../support/nobody.ts'
import { compileToPlainSource, PLAIN_OPTIONS } from '../../support/plain-source.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone, numbers, textsOf } from '../open-log.ts'
import { stateOf } from './directory-state.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('reader-child.ts', import.meta.url)))
const PACKAGE = compileToPlainSource(
  fileURLToPath(new URL('../../../src/index.ts', import.meta.url)),
)
afterAll(() => [CHILD, PACKAGE].forEach((compiled) => compiled.remove()))
const PROGRAM = new URL('../../contract/programs/11-tail.ts', import.meta.url)

interface Child {
  readonly process: ChildProcess
  /** All lines that it said, once it has ended. */
  readonly lines: Promise<readonly string[]>
  /** Resolves when it has said so many lines. */
  said(count: number): Promise<readonly string[]>
}

function start(args: readonly string[], options: { readonly uid?: number } = {}): Child {
  const child = spawn(process.execPath, args, options)
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => process.stderr.write(text))
  const lines = (): readonly string[] => output.split('\n').slice(0, -1)
  return {
    process: child,
    lines: once(child, 'close').then(lines),
    async said(count) {
      while (lines().length < count) await once(child.stdout, 'data')
      return lines()
    },
  }
}

const startChild = (what: string, directory: string, options?: { readonly uid?: number }): Child =>
  start([CHILD.path, what, directory], options)

describe('a reader in another process', () => {
  it('is woken by appends, by what is committed and by what comes after a new writer', async () => {
    const directory = temporaryDirectory()
    const first = await EventLog.open(directory)
    const topic = await first.createTopic('t')
    const reader = startChild('tails', directory)
    await reader.said(1)
    topic.partition(0).append({ value: 'appended' })
    expect(await reader.said(2)).toEqual(['open', '0 appended'])
    await first.producer().transaction((tx) => tx.send({ topic: 't', value: 'committed' }))
    expect((await reader.said(3)).at(-1)).toBe('1 committed')
    await first.close()
    const second = await EventLog.open(directory)
    closeWhenDone(second)
    second.topic('t').partition(0).append({ value: 'by another' })
    expect((await reader.said(4)).at(-1)).toBe('3 by another')
    reader.process.kill('SIGTERM')
    expect((await reader.lines).at(-1)).toBe('closed')
  })

  it('sees whole batches of a writer that was killed, and changes nothing', async () => {
    const directory = temporaryDirectory()
    const writer = startChild('writes', directory)
    await writer.said(1)
    writer.process.kill('SIGKILL')
    await writer.lines
    const before = stateOf(directory)
    const log = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(log)
    expect(await textsOf(log.topic('t').read())).toEqual(numbers(100))
    expect(log.topic('t').partition(0).logEndOffset).toBe(100)
    expect((await log.scrub()).sound).toBe(true)
    await log.close()
    expect(stateOf(directory)).toEqual(before)
  })

  it('does not keep its process alive while nothing waits', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory)
    closeWhenDone(log)
    const topic = await log.createTopic('t')
    topic.partition(0).append({ value: 'x' })
    expect(await startChild('idles', directory).lines).toEqual(['ended'])
  })

  it.runIf(canBeNobody)(`needs no permission to write${nobodyNote}`, async () => {
    const root = temporaryDirectory()
    chmodSync(root, 0o755)
    const directory = join(root, 'log')
    const writer = await EventLog.open(directory, { fileMode: 0o644, directoryMode: 0o755 })
    closeWhenDone(writer)
    const topic = await writer.createTopic('t', { cleanupPolicy: 'compact', segmentBytes: 4_096 })
    for (let n = 0; n < 100; n += 1) topic.partition(0).append({ key: `k${n}`, value: `v${n}` })
    const consumer = await writer.consumerGroup('g', { topics: ['t'] }).join()
    await consumer.poll({ max: 10 })
    await consumer.commit()
    await consumer.leave()
    await writer.flush()
    const expected = { values: numbers(100), total: 90, sound: true, damage: [], counted: 100 }
    const [line = ''] = await startChild('looks', directory, { uid: NOBODY }).lines
    expect(JSON.parse(line)).toMatchObject({ ...expected, size: 100 })
    await writer.close()
    const after = stateOf(directory)
    const [again = ''] = await startChild('looks', directory, { uid: NOBODY }).lines
    expect(JSON.parse(again)).toMatchObject({ ...expected, size: 100 })
    expect(stateOf(directory)).toEqual(after)
  })
})

describe('the program tail -f', () => {
  it('prints what is appended beside it, and ends when it is interrupted', async () => {
    const directory = temporaryDirectory()
    const writer = await EventLog.open(directory)
    closeWhenDone(writer)
    const orders = await writer.createTopic('orders')
    orders.partition(0).append({ key: 'old', value: 'order' })
    await writer.flush()
    const tail = start([tailProgram(), directory])
    // Nothing says when it waits: what comes before counts among the old ones.
    const sending = setInterval(() => orders.partition(0).append({ key: 'o', value: 'new' }), 20)
    onTestFinished(() => clearInterval(sending))
    const [first = ''] = await tail.said(1)
    expect(first).toMatch(/^0 \d+ o new$/)
    tail.process.stderr?.removeAllListeners('data') // It ends with the ABORTED of its read.
    tail.process.kill('SIGINT')
    const lines = await tail.lines
    expect(lines.every((line) => /^0 \d+ o new$/.test(line))).toBe(true)
  })
})

/** The path of the contract's program, with this checkout's source as its package. */
function tailProgram(): string {
  const index = pathToFileURL(PACKAGE.path)
  const root = temporaryDirectory()
  const files: Readonly<Record<string, string>> = {
    'package.json': '{"type":"module"}',
    'node_modules/streambed/package.json': '{"type":"module","exports":"./index.js"}',
    'node_modules/streambed/index.js': `export * from '${index.href}'\n`,
    'tail.js': ts.transpileModule(readFileSync(PROGRAM, 'utf8'), { compilerOptions: PLAIN_OPTIONS })
      .outputText,
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return join(root, 'tail.js')
}
