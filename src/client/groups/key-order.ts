/**
 * KeyOrder: the records of each key one after the other, different keys at once, also of one
 * partition. A record without a key has no order to keep: it waits for nobody.
 *
 *   takes of a partition -> lanes, one a key -> ready: the first record of each lane -> slots
 *   finished in any order -> HandledPrefix -> what may be committed
 *
 *   I1  at most one record of a key is with a handler or waits for its next attempt
 *   I2  `handled` is told the contiguous prefix of a partition, and nothing else
 *   I3  of each partition at most MAX_OPEN records and one take more are held: while a key waits
 *       for ever, the others of its partition go on until so many have gathered behind it
 */
import type { AnyRecord, TopicPartition } from '../group-types.ts'
import { Fifo } from '../fifo.ts'
import { HandlerContext, UNORDERED, type Claim } from './claim.ts'
import { HandledPrefix, type OpenOffset } from './handled-prefix.ts'
import type { TakenRecords } from './member-feed.ts'
import type { WorkOrder, WorkParts } from './work-order.ts'

/** Records of a partition that are held before no more of it are taken. */
const MAX_OPEN = 1_000
/** From here on more of it are taken again. */
const RESUME_AT = MAX_OPEN / 2

/** So many records are begun before the clock is asked whether the turn is over. */
const TASKS_PER_READING = 8

/** A partition while records of it are held. */
interface Window<R extends AnyRecord> {
  readonly prefix: HandledPrefix
  /** The last record of each key. */
  readonly lanes: Map<string, Task<R>>
  isPaused: boolean
}

/** A claim, and how much of it is left. */
interface Share<R extends AnyRecord> {
  readonly claim: Claim<R>
  readonly window: Window<R>
  /** Not handled yet. */
  leftCount: number
  /** Begun, and not ended. */
  runningCount: number
}

/** A record. */
interface Task<R extends AnyRecord> {
  readonly share: Share<R>
  readonly unit: number
  /** Null: it has no lane. */
  readonly key: string | null
  readonly open: OpenOffset
  /** The next one of its lane. */
  next: Task<R> | undefined
}

/** See the file's header. */
export class KeyOrder<R extends AnyRecord> implements WorkOrder<R> {
  readonly #parts: WorkParts<R>
  /** Records whose turn it is. */
  readonly #ready = new Fifo<Task<R>>()
  readonly #windows = new Map<string, Window<R>>()
  #isDispatching = false
  #begunCount = 0

  constructor(parts: WorkParts<R>) {
    this.#parts = parts
  }

  get wantsMore(): boolean {
    return this.#ready.isEmpty && this.#parts.slots.hasFree
  }

  begin(claim: Claim<R>): void {
    const { taken } = claim
    const window = this.#windowOf(taken)
    const { records } = taken
    const share = { claim, window, leftCount: records.length, runningCount: 0 }
    claim.onUnwanted(() => this.#drop(share))
    for (const [unit, record] of records.entries()) this.#queue(share, unit, record)
    window.prefix.takenUpTo(taken.nextOffset)
    if (window.prefix.openCount >= MAX_OPEN && !window.isPaused) {
      window.isPaused = true
      this.#parts.feed.pause(taken)
    }
    this.slotFree()
  }

  /** Begins what is ready. Handlers that end at once free their slots inside of it. */
  slotFree(): void {
    if (this.#isDispatching) return
    this.#isDispatching = true
    try {
      this.#dispatch()
    } finally {
      this.#isDispatching = false
    }
  }

  #dispatch(): void {
    const { slots, turn, fail } = this.#parts
    for (let task = this.#ready.peek(); task !== undefined; task = this.#ready.peek()) {
      const { isUnwanted } = task.share.claim
      if (!isUnwanted && !slots.tryTake()) return
      this.#ready.shift()
      if (isUnwanted) continue
      this.#run(task).catch(fail)
      this.#begunCount += 1
      if (this.#begunCount % TASKS_PER_READING === 0 && turn.isSpent) {
        void turn.next().then(() => this.slotFree())
        return
      }
    }
  }

  #queue(share: Share<R>, unit: number, record: R): void {
    const { window } = share
    const open = window.prefix.open(record.offset)
    const bytes = record.keyBytes
    const key = bytes === null ? null : bytes.toString('latin1') // One character a byte.
    const task: Task<R> = { share, unit, key, open, next: undefined }
    const before = key === null ? undefined : window.lanes.get(key)
    if (key !== null) window.lanes.set(key, task)
    if (before === undefined) this.#ready.push(task)
    else before.next = task
  }

  #windowOf(taken: TakenRecords<R>): Window<R> {
    const name = nameOf(taken)
    const known = this.#windows.get(name)
    if (known !== undefined) return known
    const start = taken.records[0]?.offset ?? taken.nextOffset
    const made = { prefix: new HandledPrefix(start), lanes: new Map(), isPaused: false }
    this.#windows.set(name, made)
    return made
  }

  async #run(task: Task<R>): Promise<void> {
    const { handling, attempts, slots } = this.#parts
    const { share, unit } = task
    const { claim } = share
    share.runningCount += 1
    claim.handlerCount += 1
    let isHandled = true
    try {
      const pending = handling.call(claim.taken, unit, new HandlerContext(claim, 1, UNORDERED))
      if (pending !== undefined) await pending
    } catch (error) {
      isHandled = await attempts.recover(claim, unit, error)
    }
    claim.handlerCount -= 1
    share.runningCount -= 1
    try {
      if (isHandled && !claim.isOver) this.#handled(task)
    } finally {
      if (share.leftCount === 0 || claim.isUnwanted) this.#drop(share)
      slots.release()
    }
  }

  #handled({ share, open, key, next }: Task<R>): void {
    const { window, claim } = share
    share.leftCount -= 1
    if (window.prefix.finish(open)) claim.taken.handled(window.prefix.position)
    if (next !== undefined) this.#ready.push(next)
    else if (key !== null) window.lanes.delete(key)
    if (window.isPaused && window.prefix.openCount <= RESUME_AT) {
      window.isPaused = false
      this.#parts.feed.resume(claim.taken)
    }
  }

  /** Releases a claim of which no handler has anything: it is finished, or given up. */
  #drop({ claim, window, runningCount, leftCount }: Share<R>): void {
    const name = nameOf(claim.taken)
    const isLast = leftCount > 0 || window.prefix.openCount === 0
    if (isLast && this.#windows.get(name) === window) this.#windows.delete(name)
    if (runningCount === 0) claim.release()
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`
}
