/**
 * Kills of a consumer group: a process with three members handles and commits until it is killed,
 * and the next one goes on, again and again over one directory. The journal that the processes
 * write is what they are judged by.
 *
 *   G1  no record is skipped: below each committed position everything was handled, as it is
 *   G2  a life hands out each partition from its position on, in order where that is promised
 *   G3  of what a life handled no more comes again than its members may leave uncommitted
 *   G4  a position never moves back: what was committed survives the kill
 *   G5  when nothing is left, every record that was appended was handled
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { compileToPlainSource } from '../support/plain-source.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const CHILD = fileURLToPath(new URL('group-child.ts', import.meta.url))
const WAYS = ['by record', 'by hand', 'by batch', 'run'] as const
const MEMBERS = 3
/** What a run has in its hands besides what it may leave uncommitted: its concurrency. */
const IN_HAND = 4
const WORK_MS = 160

/** What one process does. */
export interface GroupLife {
  readonly directory: string
  readonly journal: string
  readonly number: number
  readonly way: (typeof WAYS)[number]
  /** Records that a member may have handled and not committed. */
  readonly uncommitted: number
  readonly isLast: boolean
}

/** What came of it. */
export interface GroupKills {
  readonly kills: number
  readonly appended: number
  readonly handled: number
  readonly handledAgain: number
  /** The most that one kill made come again. */
  readonly mostAgain: number
}

/** @throws at the first thing that is not as it has to be. */
export async function killGroups(options: {
  readonly directory: string
  readonly seed: number
  readonly kills: number
}): Promise<GroupKills> {
  const random = new SeededRandom(options.seed)
  const child = compileToPlainSource(CHILD)
  const model = new GroupModel()
  const journal = join(options.directory, 'journal')
  const directory = join(options.directory, 'data')
  mkdirSync(directory, { recursive: true })
  try {
    for (let number = 0; number <= options.kills; number++) {
      const isLast = number === options.kills
      const way = WAYS[random.below(WAYS.length)] ?? 'by record'
      const uncommitted = 1 + random.below(30)
      const life = { directory, journal, number, way, uncommitted, isLast }
      await live(child.path, life, random)
      model.take(life, existsSync(journal) ? readFileSync(journal, 'utf8') : '')
    }
  } finally {
    child.remove()
  }
  return { kills: options.kills, ...model.result() }
}

/** Until it has done all, or is killed: while it opens the log now and then, or while it works. */
async function live(program: string, life: GroupLife, random: SeededRandom): Promise<void> {
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  child.stdin.end(JSON.stringify(life))
  if (life.isLast) {
    const [code] = (await ended) as [number | null] // As ChildProcess has it.
    if (code !== 0) throw new Error(`the last life ended with ${code}`)
    return
  }
  if (random.below(5) === 0) await delay(random.below(400))
  else await Promise.race([once(child.stdout, 'data'), ended])
  await delay(random.below(WORK_MS))
  if (child.exitCode !== null) throw new Error(`life ${life.number} ended by itself`)
  child.kill('SIGKILL')
  await ended
}

/** One partition over all lives. */
class PartitionModel {
  /** By offset. */
  readonly appended: (string | undefined)[] = []
  readonly handled = new Map<number, string>()
  /** Offsets that the last life handled. */
  readonly handledLast = new Set<number>()
  committed = 0
  /** First offset of this life that was not handled yet, of those that come in order. */
  nextOffset = 0
}

/** What all lives together have done. */
class GroupModel {
  readonly #partitions = Array.from({ length: MEMBERS }, () => new PartitionModel())
  #takenLines = 0
  #appended = 0
  #handled = 0
  #handledAgain = 0
  #mostAgain = 0
  #isDrained = false
  /** Of the life that ended last and had the log. */
  #before: GroupLife | undefined

  /** Judges what `life` added to the journal. */
  take(life: GroupLife, journal: string): void {
    const lines = journal.split('\n').slice(0, -1) // A kill may have cut the last one.
    const added = lines.slice(this.#takenLines)
    this.#takenLines = lines.length
    let again = 0
    let begun = 0
    for (const line of added) {
      const [what = '', index = '', offset = '', rest = ''] = line.split(' ')
      if (what === 'life') continue
      if (what === 'drained') {
        this.#isDrained = true
        continue
      }
      const partition = this.#partitions[Number(index)] ?? new PartitionModel()
      const where = `life ${life.number} (${life.way}), partition ${index}`
      if (what === 'at') {
        begun += 1
        again += this.#begin(partition, { committed: Number(offset), end: Number(rest), where })
      } else if (what === 'appended') this.#append(partition, Number(offset), rest)
      else this.#handle(life, partition, Number(offset), rest, where)
    }
    if (begun < MEMBERS) return // It was killed before it could tell where it goes on.
    this.#checkBound(again, life)
    this.#before = life
  }

  result(): Omit<GroupKills, 'kills'> {
    for (const [index, { appended, handled }] of this.#partitions.entries()) {
      for (const [offset, value] of appended.entries()) {
        if (value === undefined || handled.get(offset) === value) continue
        throw new Error(`G5: ${index}-${offset} (${value}) was never handled`)
      }
    }
    if (!this.#isDrained) throw new Error('G5: the last life did not come to its end')
    const [appended, handled] = [this.#appended, this.#handled]
    const [handledAgain, mostAgain] = [this.#handledAgain, this.#mostAgain]
    return { appended, handled, handledAgain, mostAgain }
  }

  /** Where a life goes on; how many of what the one before it handled come again. */
  #begin(
    partition: PartitionModel,
    at: { readonly committed: number; readonly end: number; readonly where: string },
  ): number {
    const { committed, end, where } = at
    if (committed > end) throw new Error(`${where}: ${committed} is above the end ${end}`)
    if (committed < partition.committed) {
      throw new Error(`G4: ${where}: ${committed} is below ${partition.committed}`)
    }
    for (let offset = partition.committed; offset < committed; offset++) {
      if (!partition.handled.has(offset)) throw new Error(`G1: ${where}: ${offset} was skipped`)
    }
    partition.committed = committed
    partition.nextOffset = committed
    const again = [...partition.handledLast].filter((offset) => offset >= committed).length
    partition.handledLast.clear()
    return again
  }

  #checkBound(again: number, life: GroupLife): void {
    const { uncommitted, way } = this.#before ?? { uncommitted: 0, way: 'by hand' }
    const bound = MEMBERS * (uncommitted + (way === 'run' ? IN_HAND : 1))
    if (again > bound && this.#before !== undefined) {
      throw new Error(`G3: life ${life.number}: ${again} come again, more than ${bound} (${way})`)
    }
    this.#mostAgain = Math.max(this.#mostAgain, again)
  }

  #append(partition: PartitionModel, offset: number, value: string): void {
    partition.appended[offset] = value
    this.#appended += 1
  }

  #handle(
    life: GroupLife,
    partition: PartitionModel,
    offset: number,
    value: string,
    where: string,
  ): void {
    const known = partition.handled.get(offset) ?? partition.appended[offset] ?? value
    if (known !== value) throw new Error(`${where}: ${offset} is ${value}, not ${known}`)
    if (offset < partition.committed) throw new Error(`${where}: ${offset} was committed`)
    if (life.way !== 'run' || life.isLast) {
      const isNext = offset === partition.nextOffset
      if (!isNext) throw new Error(`G2: ${where}: ${offset}, not ${partition.nextOffset}`)
    }
    partition.nextOffset = offset + 1
    if (partition.handled.has(offset)) this.#handledAgain += 1
    partition.handled.set(offset, value)
    partition.handledLast.add(offset)
    this.#handled += 1
  }
}
