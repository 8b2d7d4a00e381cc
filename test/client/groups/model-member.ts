/**
 * One member as the model knows it: what it owns by its hooks, where it is in each partition, what
 * its user has in hand. What it is given is checked as it comes: nothing is left out, nothing comes
 * twice, nothing comes of what is another member's.
 */
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { Batch, TopicPartition } from '../../../src/client/group-types.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { keyOf } from './assigning.ts'
import { must } from './membership-harness.ts'
import type { ModelPartition } from './model-partition.ts'
import type { ModelWorld } from './model-world.ts'

/** How its user takes records. */
export const MODES = ['poll', 'records', 'batches'] as const
/** What its user does in `onRevoked`. */
export const REVOKERS = ['nothing', 'waits', 'commits'] as const

/** How a member behaves. */
export interface MemberKind {
  readonly mode: (typeof MODES)[number]
  readonly revoker: (typeof REVOKERS)[number]
  readonly instanceId: string | undefined
}

/** A partition that it owns. */
export interface ModelFeed {
  readonly partition: ModelPartition
  readonly startedAt: number
  position: number
  handled: number
  /** `handled` moved, and nothing was committed since. */
  isUnwritten: boolean
  isPaused: boolean
  /** Up to here a transaction commits, or was to: nothing else does by itself. */
  coveredTo: number
  /** It was moved while something of it was in hand, and nothing was asked for since. */
  isSought: boolean
  /** What is handled is not committed by itself: covered before a seek, or the new place is. */
  isSettled: boolean
}

/** See the file's header. */
export class ModelMember {
  readonly kind: MemberKind
  readonly feeds: Map<string, ModelFeed> = new Map()
  /** Partitions of which its user has something. */
  readonly inHand: Set<string> = new Set()
  /** Something that its user has in hand was lost. */
  hasLostInHand = false
  /** A partition went with records that nothing committed. */
  hasForfeited = false
  consumer: Consumer | undefined
  /** Nothing more is asked of it. */
  isOver = false
  isFenced = false
  lastAskMs = 0
  readonly #world: ModelWorld
  #iterator: AsyncIterator<LogRecord | Batch> | undefined
  /** An ask that was not answered yet. */
  isWaiting = false

  constructor(world: ModelWorld, kind: MemberKind) {
    this.#world = world
    this.kind = kind
  }

  /** Begins to join; `consumer` is there once it has. */
  join(): void {
    const { instanceId } = this.kind
    this.lastAskMs = this.#world.nowMs
    const joining = this.#world.group.join({
      ...(instanceId === undefined ? {} : { instanceId }),
      onAssigned: (partitions, consumer: Consumer) => this.#assigned(partitions, consumer),
      onRevoked: (partitions, consumer: Consumer) => this.#revoked(partitions, consumer),
      onLost: (partitions) => this.#lost(partitions),
    })
    this.#watch(
      joining.then((consumer) => {
        this.consumer = consumer
      }),
    )
  }

  /** Asks for records: what it had is handled. */
  ask(max: number): void {
    const { consumer } = this
    if (consumer === undefined || this.isWaiting || this.isOver) return
    this.lastAskMs = this.#world.nowMs
    this.hasLostInHand = false
    if (!this.isFenced) this.#handleAll()
    this.isWaiting = true
    this.#watch(
      this.#answer(consumer, max).finally(() => {
        this.isWaiting = false
      }),
    )
  }

  /** Leaves: what a poll gave is handled, what a loop has in hand is not. */
  leave(inPassing: boolean): void {
    const { consumer } = this
    if (consumer === undefined || this.isOver) return
    const isHandled = this.kind.mode === 'poll' && !inPassing && !this.isFenced
    if (isHandled) this.#handleAll()
    this.inHand.clear()
    this.isOver = true
    this.#watch(inPassing ? consumer[Symbol.asyncDispose]() : consumer.leave())
  }

  /** Everything of a partition that its user did something with by hand is said in `mayBecome`. */
  handledIs(feed: ModelFeed, offset: number): void {
    feed.handled = offset
    feed.isSought = false
    feed.isSettled = false
    feed.isUnwritten = offset > feed.coveredTo
    if (this.#world.options.autoCommit && feed.isUnwritten) feed.partition.mayBecome.add(offset)
  }

  async #answer(consumer: Consumer, max: number): Promise<void> {
    const { mode } = this.kind
    if (mode === 'poll') {
      for (const record of await consumer.poll({ max, timeoutMs: 0 })) this.#take(record)
      return
    }
    this.#iterator ??=
      mode === 'records'
        ? consumer[Symbol.asyncIterator]()
        : consumer.batches({ max })[Symbol.asyncIterator]()
    const next = await this.#iterator.next()
    if (next.done === true) {
      this.isOver = true
      return
    }
    const { value } = next
    // A batch has records; a record has none.
    if ('records' in value) for (const record of value.records) this.#take(record)
    else this.#take(value)
  }

  #take(record: LogRecord): void {
    if (!this.#world.isAlive(this)) return
    const key = keyOf(record)
    const feed = this.feeds.get(key)
    must(feed !== undefined, `${key} is of a partition that the member owns`)
    const { partition } = feed
    must(!feed.isPaused, `${key} is not paused`)
    must(
      record.offset === feed.position,
      `${key} goes on at ${feed.position}, not at ${record.offset}`,
    )
    const value = Buffer.from(record.value ?? []).toString()
    must(value === partition.values[record.offset], `${key} at ${record.offset} is ${value}`)
    feed.position = record.offset + 1
    const { tally } = this.#world
    tally.records += 1
    if (partition.delivered[record.offset] === true) tally.repeated += 1
    partition.delivered[record.offset] = true
    this.inHand.add(key)
  }

  #handleAll(): void {
    for (const key of this.inHand) {
      const feed = this.feeds.get(key)
      if (feed === undefined) continue
      if (feed.handled !== feed.position || feed.isSought) this.handledIs(feed, feed.position)
    }
    this.inHand.clear()
  }

  #assigned(partitions: readonly TopicPartition[], consumer: Consumer): void {
    if (!this.#world.isAlive(this)) return
    this.consumer ??= consumer
    this.#world.observe()
    this.#world.tally.assigned += partitions.length
    for (const name of partitions) {
      const key = keyOf(name)
      must(this.#world.holderOf(key) === undefined, `${key} was given up before it is assigned`)
      const partition = this.#world.partition(name)
      const { start, promised = start } = partition
      must(start === promised, `${key} was given up at ${promised}, and is committed at ${start}`)
      partition.promised = undefined
      const position = consumer.position(name)
      must(position === start, `${key} begins at what is committed, ${start}, not at ${position}`)
      this.feeds.set(key, {
        partition,
        startedAt: start,
        position: start,
        handled: start,
        isUnwritten: false,
        isPaused: false,
        coveredTo: -1,
        isSought: false,
        isSettled: false,
      })
    }
  }

  async #revoked(partitions: readonly TopicPartition[], consumer: Consumer): Promise<void> {
    if (!this.#world.isAlive(this)) return
    const { revoker } = this.kind
    this.#world.tally.revoked += partitions.length
    const feeds = partitions.map((name) => {
      must(!this.inHand.has(keyOf(name)), `nothing of ${keyOf(name)} is in hand when it goes`)
      const feed = this.feeds.get(keyOf(name))
      must(feed !== undefined, `${keyOf(name)} was assigned before it is revoked`)
      return feed
    })
    if (revoker === 'waits') {
      this.#world.runningHooks += 1
      for (let turn = 0; turn < 5; turn += 1) await nextTurn()
      if (!this.#world.isAlive(this)) return
      this.#world.runningHooks -= 1
    }
    for (const [at, feed] of feeds.entries()) {
      const { partition } = feed
      const { topic, key } = partition
      if (this.feeds.get(key) !== feed) continue // Lost meanwhile.
      this.#world.observe()
      if (revoker === 'commits' && at % 2 === 0) {
        // Behind what is handled, where there is anything: its own commit wins.
        const offset = Math.max(0, feed.position - 1)
        partition.mayBecome.add(offset)
        await consumer.commit([{ topic, partition: partition.partition, offset }])
        this.#world.observe()
        partition.mayBecome.clear()
      } else if (this.#world.options.autoCommit && feed.isUnwritten) {
        partition.mayBecome.add(feed.handled)
        if (revoker === 'nothing') partition.promised = feed.handled
      }
      this.#goes(feed)
    }
  }

  #lost(partitions: readonly TopicPartition[]): void {
    if (!this.#world.isAlive(this)) return
    this.#world.tally.lost += partitions.length
    for (const name of partitions) {
      const key = keyOf(name)
      const feed = this.feeds.get(key)
      must(feed !== undefined, `${key} was its own before it is lost`)
      this.#goes(feed)
      if (this.inHand.delete(key)) this.hasLostInHand = true
      this.#world.checkLoss(this, key)
    }
  }

  #goes(feed: ModelFeed): void {
    if (feed.position !== feed.startedAt) this.hasForfeited = true
    this.feeds.delete(feed.partition.key)
  }

  #watch(pending: Promise<void>): void {
    pending.catch((error: unknown) => {
      if (!this.#world.isAlive(this)) return
      const isExpected = this.isFenced && LogError.is(error, 'FENCED')
      if (isExpected) this.isOver = true
      else this.#world.failures.push(error)
    })
  }
}
