/**
 * Kills of compaction: a process writes keys that come again and again, and compacts them all the
 * while, until it is killed; the next one goes on, over one directory.
 *
 *   C1  of each key the value that was written last is there, or it was deleted and none is
 *   C2  what is there is at the offset that it got, as it was written, ascending
 *   C3  what nobody heard of is there as a whole batch or not at all
 *   C4  most of what was superseded is gone
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compileToPlainSource } from '../support/plain-source.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const CHILD = fileURLToPath(new URL('compaction-child.ts', import.meta.url))
const WORK_MS = 1_500
const KEYS = 97

/** What one process does. */
export interface CompactionLife {
  readonly directory: string
  readonly journal: string
  /** Where it writes what it found. */
  readonly found: string
  readonly number: number
  /** Of the next record. */
  readonly next: number
  readonly isLast: boolean
}

/** A record: its number is what its value begins with, null where it deletes its key. */
export type FoundEntry = readonly [offset: number, key: string, number: number | null]

/** What came of it. */
export interface CompactionKills {
  readonly kills: number
  readonly written: number
  readonly left: number
  readonly runs: number
}

/** Record number `number`: keys come again in no order, every seventh is a deletion. */
export function recordOf(number: number): { readonly key: string; readonly value: string | null } {
  const key = `key-${(Math.imul(number, 0x9e37_79b1) >>> 7) % KEYS}`
  return { key, value: number % 7 === 3 ? null : `${number}.`.padEnd(10 + (number % 90), 'x') }
}

/** @throws at the first thing that is not as it has to be. */
export async function killCompaction(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<CompactionKills> {
  const random = new SeededRandom(options.seed)
  const child = compileToPlainSource(CHILD)
  const model = new CompactionModel()
  const journal = join(options.directory, 'journal')
  const found = join(options.directory, 'found')
  const directory = join(options.directory, 'data')
  mkdirSync(directory, { recursive: true })
  try {
    for (let number = 0; number <= options.kills; number++) {
      const isLast = number === options.kills
      const { next } = model
      await live(child.path, { directory, journal, found, number, next, isLast }, random)
      // What it found is from before all that it did itself.
      if (existsSync(found)) model.find(number, readFound(found))
      model.hear(existsSync(journal) ? readFileSync(journal, 'utf8') : '')
      rmSync(found, { force: true })
    }
  } finally {
    child.remove()
  }
  return { kills: options.kills, ...model.result() }
}

function readFound(path: string): readonly FoundEntry[] {
  return JSON.parse(readFileSync(path, 'utf8')) as FoundEntry[] // The child wrote it.
}

/**
 * Until it has done all, or is killed: while it opens the log now and then, or while it works;
 * every other one after compaction has come to its end once, however slow the machine is.
 */
async function live(program: string, life: CompactionLife, random: SeededRandom): Promise<void> {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const said = (word: string): Promise<unknown> => saidBy(child.stdout, word)
  child.stdin.end(JSON.stringify(life))
  if (life.isLast) {
    const [code] = (await ended) as [number | null] // As ChildProcess has it.
    if (code !== 0) throw new Error(`the last life ended with ${code}`)
    return
  }
  if (life.number % 2 === 1) await Promise.race([said('compacted'), ended])
  else if (random.below(3) === 0) await delay(random.below(400))
  else await Promise.race([said('ready'), ended])
  await delay(random.below(WORK_MS))
  if (child.exitCode !== null) throw new Error(`life ${life.number} ended by itself`)
  child.kill('SIGKILL')
  await ended
}

function saidBy(output: Readable, word: string): Promise<void> {
  return new Promise((resolve) => {
    let all = ''
    // To the end, so that the child may always write.
    output.on('data', (chunk) => {
      all += String(chunk)
      if (all.includes(word)) resolve()
    })
  })
}

/** A batch whose end nobody heard of. */
interface OpenBatch {
  readonly from: number
  readonly to: number
}

/** What all lives together have done. */
class CompactionModel {
  /** Numbers by the offsets that they got, and the last one of each key. */
  readonly #written = new Map<number, number>()
  readonly #last = new Map<string, number>()
  #open: OpenBatch | undefined
  /** Behind the highest of these offsets. */
  #end = 0
  #takenLines = 0
  #runs = 0
  #left = 0
  #isOver = false
  next = 0

  /** What a life added to the journal, after what it found was looked at. */
  hear(journal: string): void {
    const lines = journal.split('\n').slice(0, -1) // A kill may have cut the last one.
    for (const line of lines.slice(this.#takenLines)) {
      const [what = '', from = '', second = ''] = line.split(' ')
      if (what === 'over') this.#isOver = true
      if (what === 'run') this.#runs += 1
      if (what === 'begun') {
        this.#open = { from: Number(from), to: Number(second) }
        this.next = this.#open.to
      }
      if (what === 'done') this.#done(Number(second))
    }
    this.#takenLines = lines.length
  }

  /** Holds what a life found, before it wrote anything, against what was written before it. */
  find(life: number, found: readonly FoundEntry[]): void {
    this.#settleOpen(found)
    const shown = new Map<string, number>()
    let before = -1
    for (const [offset, key, number] of found) {
      const where = `life ${life}: ${offset}`
      const written = this.#written.get(offset)
      if (offset <= before) throw new Error(`C2: ${where} comes behind ${before}`)
      if (written === undefined) throw new Error(`C2: ${where}: nobody wrote that`)
      const { key: writtenKey, value } = recordOf(written)
      if (key !== writtenKey || (number ?? null) !== (value === null ? null : written)) {
        throw new Error(`C2: ${where} is ${key}=${number}, not number ${written}`)
      }
      before = offset
      shown.set(key, written)
    }
    for (const [key, last] of this.#last) {
      const isDeletion = recordOf(last).value === null
      const seen = shown.get(key)
      if (seen === last || (isDeletion && seen === undefined)) continue
      throw new Error(`C1: life ${life}: ${key} is at ${seen}, not at ${last}`)
    }
    this.#left = found.length
  }

  result(): Omit<CompactionKills, 'kills'> {
    if (!this.#isOver) throw new Error('the last life did not come to its end')
    const written = this.#written.size
    if (this.#left > written / 2) throw new Error(`C4: ${this.#left} of ${written} are left`)
    return { written, left: this.#left, runs: this.#runs }
  }

  /** The batch whose end nobody heard of is there, behind all others, or it is not (C3). */
  #settleOpen(found: readonly FoundEntry[]): void {
    const open = this.#open
    const end = this.#end
    const behind = found.filter(([offset]) => offset >= end)
    this.#open = undefined
    if (open === undefined || behind.length === 0) return
    // Its process wrote nothing else, and the next one compacts only after it looked.
    if (behind.length !== open.to - open.from) throw new Error(`C3: a part of ${open.from}`)
    this.#take(open, behind[0]?.[0] ?? end)
  }

  #done(offset: number): void {
    if (this.#open !== undefined) this.#take(this.#open, offset)
    this.#open = undefined
  }

  #take({ from, to }: OpenBatch, offset: number): void {
    this.#end = offset + to - from
    for (let number = from; number < to; number += 1) {
      this.#written.set(offset + number - from, number)
      this.#last.set(recordOf(number).key, number)
    }
  }
}
