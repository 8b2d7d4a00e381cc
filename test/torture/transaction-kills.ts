/**
 * Kills of transactions: a process with writers and a group that moves records runs them until it
 * is killed, and the next one goes on, again and again over one directory. The journal that the
 * processes write, and what each finds when it has opened the log, is what they are judged by.
 *
 *   T1  what was committed is there, in each of its topics, once; what was aborted in none
 *   T2  what nobody heard of is there as a whole or not at all, and stays as the next life found it
 *   T3  nothing is there that nobody wrote
 *   T4  moved was what lies below the positions of the group, each record once
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

const CHILD = fileURLToPath(new URL('transaction-child.ts', import.meta.url))
/** Transactions that end in one life, at most; so many on a slow machine as on a fast one. */
const TRANSACTIONS_PER_LIFE = 20
/** Less than a few transactions take: a kill comes in the middle of them. */
const MIDDLE_MS = 20

/** What one process does. */
export interface TransactionLife {
  readonly directory: string
  readonly journal: string
  /** Where it writes what it found. */
  readonly found: string
  readonly number: number
  readonly isLast: boolean
}

/** A record as readers of what is committed see it. */
export interface FoundRecord {
  readonly partition: number
  readonly offset: number
  readonly value: string
}

/** What came of it. */
export interface TransactionKills {
  readonly kills: number
  readonly committed: number
  readonly aborted: number
  /** Cut off by a kill, and there. */
  readonly completed: number
  /** Cut off by a kill, and not there. */
  readonly undone: number
  readonly moved: number
}

/** What a life found. */
interface Found {
  readonly found: Readonly<Record<'left' | 'right' | 'in' | 'out', readonly FoundRecord[]>>
  readonly positions: readonly { readonly partition: number; readonly offset: number }[]
}

/** @throws at the first thing that is not as it has to be. */
export async function killTransactions(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<TransactionKills> {
  const random = new SeededRandom(options.seed)
  const child = compileToPlainSource(CHILD)
  const model = new TransactionsModel()
  const journal = join(options.directory, 'journal')
  const found = join(options.directory, 'found')
  const directory = join(options.directory, 'data')
  mkdirSync(directory, { recursive: true })
  try {
    for (let number = 0; number <= options.kills; number++) {
      const isLast = number === options.kills
      await live(child.path, { directory, journal, found, number, isLast }, random)
      // What it found is from before all that it did itself: that is for the next one to find.
      if (existsSync(found) && !isLast) model.find(number, readFound(found))
      model.hear(existsSync(journal) ? readFileSync(journal, 'utf8') : '')
      if (isLast) model.find(number, readFound(found))
      rmSync(found, { force: true })
    }
  } finally {
    child.remove()
  }
  return { kills: options.kills, ...model.result() }
}

function readFound(path: string): Found {
  return JSON.parse(readFileSync(path, 'utf8')) as Found // The child wrote it.
}

/** Until it has done all, or is killed: while it opens the log now and then, or while it works. */
async function live(program: string, life: TransactionLife, random: SeededRandom): Promise<void> {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  child.stdin.end(JSON.stringify(life))
  if (life.isLast) {
    const [code] = (await ended) as [number | null] // As ChildProcess has it.
    if (code !== 0) throw new Error(`the last life ended with ${code}`)
    return
  }
  if (random.below(5) === 0) await delay(random.below(400))
  else await Promise.race([linesOf(child.stdout, 1 + random.below(TRANSACTIONS_PER_LIFE)), ended])
  await delay(random.below(MIDDLE_MS))
  if (child.exitCode !== null) throw new Error(`life ${life.number} ended by itself`)
  child.kill('SIGKILL')
  await ended
}

/** It is read on afterwards: who writes into a closed pipe ends by itself. */
async function linesOf(output: Readable, count: number): Promise<void> {
  let lines = 0
  await new Promise<void>((resolve) => {
    output.on('data', (chunk: Buffer) => {
      lines += String(chunk).split('\n').length - 1
      if (lines >= count) resolve()
    })
  })
}

/** What is known of a transaction; `'begun'`: nobody heard how it ended. */
type Fate = 'begun' | 'committed' | 'aborted'

/** What all lives together have done. */
class TransactionsModel {
  readonly #fates = new Map<string, Fate>()
  /** Those that write into one topic alone. */
  readonly #small = new Set<string>()
  #takenLines = 0
  #committed = 0
  #aborted = 0
  #completed = 0
  #undone = 0
  #moved = 0
  #isDrained = false

  /** What a life added to the journal. */
  hear(journal: string): void {
    const lines = journal.split('\n').slice(0, -1) // A kill may have cut the last one.
    for (const line of lines.slice(this.#takenLines)) {
      const [what = '', number = '', where = ''] = line.split(' ')
      if (what === 'drained') this.#isDrained = true
      if (what === 'begun') this.#fates.set(number, 'begun')
      if (where === 'left') this.#small.add(number)
      if (what !== 'committed' && what !== 'aborted') continue
      this.#fates.set(number, what)
      if (what === 'committed') this.#committed += 1
      else this.#aborted += 1
    }
    this.#takenLines = lines.length
  }

  /** T1 to T4, of what a life found before it did anything. */
  find(life: number, { found, positions }: Found): void {
    const sets = [found.left, found.right, found.in].map((records) => distinct(life, records))
    const [left = new Set(), right = new Set(), input = new Set()] = sets
    for (const value of [...left, ...right, ...input]) {
      if (!this.#fates.has(value)) throw new Error(`T3: life ${life}: nobody wrote ${value}`)
    }
    for (const [number, fate] of this.#fates) {
      const where = `life ${life}: ${number} (${fate})`
      const [isLeft, isRight, isIn] = [left.has(number), right.has(number), input.has(number)]
      if (isRight !== isIn || isRight !== (isLeft && !this.#small.has(number))) {
        throw new Error(`T2: ${where} is in left ${isLeft}, right ${isRight}, in ${isIn}`)
      }
      if (fate === 'committed' && !isLeft) throw new Error(`T1: ${where} is not there`)
      if (fate === 'aborted' && isLeft) throw new Error(`T1: ${where} is there`)
      if (fate !== 'begun') continue
      this.#fates.set(number, isLeft ? 'committed' : 'aborted')
      if (isLeft) this.#completed += 1
      else this.#undone += 1
    }
    this.#checkMoved(life, found, positions)
  }

  result(): Omit<TransactionKills, 'kills'> {
    if (!this.#isDrained) throw new Error('the last life did not come to its end')
    const [committed, aborted, moved] = [this.#committed, this.#aborted, this.#moved]
    return { committed, aborted, moved, completed: this.#completed, undone: this.#undone }
  }

  #checkMoved(life: number, found: Found['found'], positions: Found['positions']): void {
    const moved = distinct(life, found.out)
    let expected = 0
    for (const { partition, offset } of found.in) {
      const position = positions.find((one) => one.partition === partition)?.offset ?? 0
      if (offset >= position) continue
      expected += 1
      const name = `${partition}@${offset}`
      if (!moved.has(name)) throw new Error(`T4: life ${life}: ${name} was passed over`)
    }
    if (moved.size !== expected) {
      throw new Error(`T4: life ${life}: ${moved.size} were moved, ${expected} are committed`)
    }
    this.#moved = moved.size
  }
}

/** The values, none of which is there twice. */
function distinct(life: number, records: readonly FoundRecord[]): ReadonlySet<string> {
  const values = new Set<string>()
  for (const { value } of records) {
    if (values.has(value)) throw new Error(`T1: life ${life}: ${value} is there twice`)
    values.add(value)
  }
  return values
}
