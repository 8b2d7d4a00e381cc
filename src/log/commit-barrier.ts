/**
 * CommitBarrier: group commit. Durability is a prefix of the partition, not of a file.
 *
 * Whoever needs offsets on stable storage waits here; one round of syncs serves all who came before
 * it began. At most two syncs are in the thread pool at once, which is shared with the user's work.
 *   I1  a partition's durableOffset becomes N only after, in this order: every older file with
 *       unsynced bytes below N is synced, the directory entries of all files below N are synced,
 *       the newest file is synced. (Otherwise a power cut could keep record 7 and lose record 3.)
 *   I2  one round in flight per partition; what arrives meanwhile shares the next one
 *   I3  a failed sync is final: the kernel may have dropped the pages, a retry would lie. All
 *       waiters are rejected with outcome 'unknown' and the partition fails for good.
 *   I4  waiters resolve in offset order
 * Behind this interface so that another scheme, a commit journal say, could take its place.
 */
import type { LogError } from '../errors/log-error.ts'
import type { Clock } from './clock.ts'

/** Concurrent syncs of one log: the thread pool has four threads, and they are the user's too. */
const MAX_CONCURRENT_SYNCS = 2
/** Unsynced bytes from which a round starts by itself. */
export const PARTITION_UNSYNCED_BYTES = 67_108_864
const LOG_UNSYNCED_BYTES = 268_435_456

/**
 * Whoever waits for it runs behind all that were woken before: those append and wait as well, most
 * often, and share a round that begins then.
 */
const WOKEN: Promise<void> = Promise.resolve()

/** What a round of one partition has to sync, captured at its start. */
export interface SyncRound {
  /** The offsets below it are durable when the round is over. */
  readonly targetOffset: number
  /** One after the other; the order is the guarantee (I1). */
  readonly steps: readonly (() => Promise<void>)[]
}

/** A partition as the barrier sees it. */
export interface Syncable {
  readonly logEndOffset: number
  /** `flushMs` of the topic; -1 for none. */
  readonly flushMs: number
  beginRound(): SyncRound
  /** The round is over: what it covered is durable. */
  roundDone(targetOffset: number): void
  /** The round failed: refuse writes from now on. */
  roundFailed(cause: unknown): LogError
}

interface Waiter {
  readonly offset: number
  readonly resolve: () => void
  readonly reject: (error: LogError) => void
}

/** Limits the syncs in the thread pool, and what is unsynced, over all partitions of a log. */
export class CommitBarrier {
  readonly clock: Clock
  readonly #queue: (() => void)[] = []
  #running = 0
  #idleWaiter: (() => void) | undefined
  /** Who has unsynced bytes; first who has had some for longest. */
  readonly #unsynced = new Set<DurablePrefix>()
  #unsyncedBytes = 0
  /** The part of them that rounds under way will have synced. */
  #coveredBytes = 0
  #roomWaiters: (() => void)[] = []

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Bytes appended to any partition and not yet synced. */
  get unsyncedBytes(): number {
    return this.#unsyncedBytes
  }

  /** Unsynced bytes are past twice the bound: who can wait should. */
  get isOverloaded(): boolean {
    return this.#unsyncedBytes > 2 * LOG_UNSYNCED_BYTES
  }

  /** Runs `sync` when fewer than two others run. */
  async withSlot(sync: () => Promise<void>): Promise<void> {
    if (this.#running >= MAX_CONCURRENT_SYNCS)
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    else this.#running += 1
    try {
      await sync()
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#running -= 1
      else next() // The slot passes on.
      if (this.#running === 0) this.#idleWaiter?.()
    }
  }

  /** Resolves once no sync runs any more: of a deleted partition nobody else awaits the last. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idleWaiter = resolve))
  }

  /** `bytes` were appended; starts rounds where the log as a whole has too much unsynced. */
  appended(prefix: DurablePrefix, bytes: number): void {
    if (prefix.unsyncedBytes === bytes) this.#unsynced.add(prefix) // It had none before.
    this.#unsyncedBytes += bytes
    if (this.#isUncovered) this.#relieve()
  }

  /** `bytes` are synced, or nobody will ever sync them. */
  settled(prefix: DurablePrefix, bytes: number): void {
    if (bytes === 0) return
    this.#unsyncedBytes -= bytes
    this.#unsynced.delete(prefix)
    if (prefix.unsyncedBytes > 0) this.#unsynced.add(prefix)
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const wake of waiters) wake()
  }

  /** A round that syncs `bytes` began; its end, whatever became of it, is `-bytes`. */
  covered(bytes: number): void {
    this.#coveredBytes += bytes
  }

  /** Resolves when unsynced bytes next become fewer; at once where the log is not overloaded. */
  room(): Promise<void> {
    if (!this.isOverloaded) return Promise.resolve()
    this.#relieve() // So that some round is under way, whose end ends the wait.
    return new Promise((resolve) => this.#roomWaiters.push(resolve))
  }

  get #isUncovered(): boolean {
    return this.#unsyncedBytes - this.#coveredBytes > LOG_UNSYNCED_BYTES
  }

  /**
   * Starts rounds until enough is covered. Who has had unsynced bytes for longest comes first: were
   * it only those that are appended to, idle partitions could hold the log over its bound for ever.
   */
  #relieve(): void {
    for (const prefix of this.#unsynced) {
      if (!this.#isUncovered) return
      prefix.syncSoon()
    }
  }
}

/** The durable prefix of one partition. */
export class DurablePrefix {
  readonly #barrier: CommitBarrier
  readonly #partition: Syncable
  #durableOffset: number
  #waiters: Waiter[] = []
  #roundRuns = false
  #failure: LogError | undefined
  #unsyncedBytes = 0
  #timer: unknown
  #closed = false

  constructor(barrier: CommitBarrier, partition: Syncable, durableOffset: number) {
    this.#barrier = barrier
    this.#partition = partition
    this.#durableOffset = durableOffset
  }

  /** First offset that a power cut could lose. */
  get durableOffset(): number {
    return this.#durableOffset
  }
  get unsyncedBytes(): number {
    return this.#unsyncedBytes
  }

  /** Unsynced bytes are past twice the bound: who can wait should. */
  get isOverloaded(): boolean {
    return this.#failure === undefined && (this.#isFull || this.#barrier.isOverloaded)
  }

  /**
   * Resolves once less is unsynced: here where that is too much, else in the log.
   * @throws {LogError} As `reach`.
   */
  room(): Promise<void> {
    return this.#isFull ? this.reach(this.#partition.logEndOffset) : this.#barrier.room()
  }

  get #isFull(): boolean {
    return this.#unsyncedBytes > 2 * PARTITION_UNSYNCED_BYTES
  }

  /** Bytes were appended; starts a round in the background where too many are unsynced. */
  appended(bytes: number): void {
    this.#unsyncedBytes += bytes
    this.#barrier.appended(this, bytes)
    if (this.#unsyncedBytes > PARTITION_UNSYNCED_BYTES) {
      this.syncSoon()
    } else if (this.#partition.flushMs >= 0 && this.#timer === undefined) {
      this.#timer = this.#barrier.clock.setTimeout(() => {
        this.#timer = undefined
        this.syncSoon()
      }, this.#partition.flushMs)
    }
  }

  /** Starts a round unless one runs; nobody waits for it. */
  syncSoon(): void {
    if (!this.#roundRuns && this.#failure === undefined && !this.#closed)
      void this.#runRounds(this.#partition.logEndOffset)
  }

  /**
   * Resolves when every offset below `offset` is on stable storage.
   * @throws {LogError} IO with `details.outcome: 'unknown'` when a sync failed.
   */
  reach(offset: number): Promise<void> {
    if (offset <= this.#durableOffset) return Promise.resolve()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiters.push({ offset, resolve, reject })
      if (this.#roundRuns) return
      this.#roundRuns = true
      void WOKEN.then(() => this.#runRounds(offset))
    })
  }

  /** No round starts any more; who still waits, and who comes, is rejected with `reason`. */
  close(reason: LogError): void {
    this.#closed = true
    this.#failure ??= reason
    this.#rejectWaiters(this.#failure)
    if (this.#timer !== undefined) this.#barrier.clock.clearTimeout(this.#timer)
    this.#forgetUnsynced()
  }

  #forgetUnsynced(): void {
    const bytes = this.#unsyncedBytes
    this.#unsyncedBytes = 0
    this.#barrier.settled(this, bytes)
  }

  /** Rounds until `goal` and every waiter is covered (I2). Never rejects. */
  async #runRounds(goal: number): Promise<void> {
    this.#roundRuns = true
    try {
      while (!this.#closed && (this.#durableOffset < goal || this.#waiters.length > 0))
        await this.#runRound()
    } catch (cause) {
      this.#fail(cause)
    } finally {
      this.#roundRuns = false
    }
  }

  async #runRound(): Promise<void> {
    const { targetOffset, steps } = this.#partition.beginRound()
    const bytes = this.#unsyncedBytes
    this.#barrier.covered(bytes)
    try {
      for (const step of steps) await this.#barrier.withSlot(step)
    } finally {
      this.#barrier.covered(-bytes)
    }
    this.#durableOffset = targetOffset
    if (!this.#closed) {
      this.#unsyncedBytes -= bytes
      this.#barrier.settled(this, bytes)
    }
    this.#partition.roundDone(targetOffset)
    const served = this.#waiters.filter((waiter) => waiter.offset <= targetOffset)
    this.#waiters = this.#waiters.filter((waiter) => waiter.offset > targetOffset)
    served.sort((a, b) => a.offset - b.offset)
    for (const waiter of served) waiter.resolve()
  }

  #fail(cause: unknown): void {
    // The files were closed or deleted under the round; nobody waits for it.
    if (this.#closed) return
    this.#failure = this.#partition.roundFailed(cause)
    // Nobody will ever sync them: they must not hold up the writers of other partitions.
    this.#forgetUnsynced()
    this.#rejectWaiters(this.#failure)
  }

  #rejectWaiters(error: LogError): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(error)
  }
}
