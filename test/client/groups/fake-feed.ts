/**
 * FakeFeed: a member of a group without a group: what it hands out comes from a log in memory, and
 * a test says which partitions it has, revokes and loses them, and sees what was handled.
 */
import { LogError } from '../../../src/errors/log-error.ts'
import type {
  MemberFeed,
  TakenRecords,
  TakeOptions,
} from '../../../src/client/groups/member-feed.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import type { Topic } from '../../../src/client/topic.ts'

interface Place {
  readonly partition: number
  position: number
  handledTo: number
  isAssigned: boolean
  isPaused: boolean
  isRevoking: boolean
  loss: AbortController
  readonly out: Set<FakeTaken>
}

interface Waiter {
  readonly options: TakeOptions
  readonly resolve: (taken: FakeTaken | undefined) => void
  readonly reject: (error: unknown) => void
}

/** See the file's header. */
export class FakeFeed implements MemberFeed<LogRecord> {
  readonly memberId: string
  /** What `ready` waits for. */
  readyWhen: Promise<void> = Promise.resolve()
  /** What `leave` rejects with. */
  leaveError: LogError | undefined
  /** How often something was taken. */
  takeCount = 0
  hasLeft = false
  readonly #topic: Topic
  readonly #places: readonly Place[]
  #turn = -1
  #waiter: Waiter | undefined
  #listener: ((partition: TopicPartition) => void) | undefined

  constructor(topic: Topic, memberId: string = 'm-1') {
    this.#topic = topic
    this.memberId = memberId
    this.#places = topic.partitions.map(({ index }) => ({
      partition: index,
      position: 0,
      handledTo: 0,
      isAssigned: true,
      isPaused: false,
      isRevoking: false,
      loss: new AbortController(),
      out: new Set<FakeTaken>(),
    }))
  }

  /** What would be committed, by partition. */
  get committed(): readonly number[] {
    return this.#places.map(({ handledTo }) => handledTo)
  }

  /** Takes that were not released, by partition. */
  get out(): readonly number[] {
    return this.#places.map(({ out }) => out.size)
  }

  ready(): Promise<void> {
    return this.readyWhen
  }

  /** Something was appended. */
  wake(): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    const taken = this.takeNow(waiter.options.max)
    if (taken === undefined) return
    this.#waiter = undefined
    waiter.resolve(taken)
  }

  /** What the next `take` rejects with, or the one that waits. */
  fail(error: unknown): void {
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }

  takeNow(max: number): FakeTaken | undefined {
    for (let tried = 0; tried < this.#places.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#places.length
      const place = this.#places[this.#turn]
      const taken = place === undefined ? undefined : this.#takeOf(place, max)
      if (taken !== undefined) return taken
    }
    return undefined
  }

  take(options: TakeOptions): Promise<FakeTaken | undefined> {
    if (this.hasLeft) return Promise.resolve(undefined)
    const now = this.takeNow(options.max)
    if (now !== undefined) return Promise.resolve(now)
    return new Promise((resolve, reject) => {
      this.#waiter = { options, resolve, reject }
    })
  }

  pause({ partition }: TopicPartition): void {
    const place = this.#place(partition)
    if (place.isAssigned) place.isPaused = true
  }

  resume({ partition }: TopicPartition): void {
    this.#place(partition).isPaused = false
    this.wake()
  }

  onRevoking(listener: (partition: TopicPartition) => void): void {
    this.#listener = listener
  }

  async leave(): Promise<void> {
    this.hasLeft = true
    this.#waiter?.resolve(undefined)
    this.#waiter = undefined
    if (this.leaveError !== undefined) throw this.leaveError
  }

  /** The partition has to be given up. */
  revoke(partition: number): void {
    const place = this.#place(partition)
    place.isRevoking = true
    if (place.out.size > 0) this.#listener?.({ topic: this.#topic.name, partition })
  }

  /** The partition is gone. */
  lose(partition: number): void {
    const place = this.#place(partition)
    place.isAssigned = false
    place.isRevoking = true
    place.loss.abort(new LogError('REBALANCED', 'lost', {}))
    if (place.out.size > 0) this.#listener?.({ topic: this.#topic.name, partition })
  }

  /** It is the member's again, from what was handled on. */
  assign(partition: number): void {
    const place = this.#place(partition)
    place.position = place.handledTo
    place.isAssigned = true
    place.isPaused = false
    place.isRevoking = false
    place.loss = new AbortController()
    place.out.clear()
    this.wake()
  }

  #takeOf(place: Place, max: number): FakeTaken | undefined {
    if (!place.isAssigned || place.isPaused || place.isRevoking || this.hasLeft) return undefined
    const log = this.#topic.partition(place.partition)
    const to = Math.min(log.logEndOffset, place.position + max)
    const records = [...log.records({ from: place.position, to })]
    if (records.length === 0) return undefined
    place.position = to
    this.takeCount += 1
    const taken = new FakeTaken(place, records, to)
    place.out.add(taken)
    return taken
  }

  #place(partition: number): Place {
    const place = this.#places[partition]
    if (place === undefined) throw new RangeError(`there is no partition ${partition}`)
    return place
  }
}

/** What a `FakeFeed` handed out. */
class FakeTaken implements TakenRecords<LogRecord> {
  readonly topic: string
  readonly partition: number
  readonly generation: number = 1
  readonly records: readonly LogRecord[]
  readonly nextOffset: number
  readonly highWatermark: number
  readonly signal: AbortSignal
  readonly #place: Place
  #isReleased = false

  constructor(place: Place, records: readonly LogRecord[], nextOffset: number) {
    this.topic = records[0]?.topic ?? ''
    this.partition = place.partition
    this.records = records
    this.nextOffset = nextOffset
    this.highWatermark = nextOffset
    this.signal = place.loss.signal
    this.#place = place
  }

  get isRevoking(): boolean {
    return this.signal.aborted || this.#place.isRevoking
  }

  handled(nextOffset: number): void {
    if (this.signal.aborted) return
    if (this.#isReleased) throw new Error('handled after it was released')
    if (nextOffset < this.#place.handledTo) throw new Error('handled moves back')
    this.#place.handledTo = nextOffset
  }

  commit(): void {
    if (this.signal.aborted) throw new LogError('REBALANCED', 'lost', {})
    this.#place.handledTo = Math.max(this.#place.handledTo, this.nextOffset)
  }

  cover(): never {
    throw new Error('a member without a group commits nothing')
  }

  coveredOutcome(): undefined {
    return undefined
  }

  uncover(): void {
    // Nothing is covered.
  }

  release(): void {
    if (this.#isReleased) throw new Error('released twice')
    this.#isReleased = true
    this.#place.out.delete(this)
  }
}
