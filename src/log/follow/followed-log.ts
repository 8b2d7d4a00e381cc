/**
 * FollowedLog: the log in one directory as somebody sees it who does not write it: its topics, who
 * writes them, and when there is something new.
 *
 * Owns when the parts look: which topics there are is followed-topics.ts' to find out, how far the
 * writer is to be believed writer-watch.ts', what is in a partition followed-partition.ts'; when it
 * looks by itself follow-schedule.ts decides. Writes nothing and takes no lock.
 *   I1  a topic that was shown is replaced as soon as metadata.json names another one, and its
 *       partitions end before their successors are shown
 *   I2  once the directory is gone, or is another one, every partition has ended, and there is no
 *       topic
 *   I3  a look that nobody asked for fails nobody: what it met is met again by who reads
 */
import { invalidArgument, LogError } from '../../errors/log-error.ts'
import { controlSlotKey } from '../../storage/control-slot.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { isUnfinishedBackup } from '../backup-directory.ts'
import type { AppliedPolicy } from '../cleanup-policy.ts'
import type { Clock } from '../clock.ts'
import type { ReadableTopic } from '../readable-partition.ts'
import { TailBudget } from '../tail.ts'
import type { FollowContext, FollowedPlace, WriterWord } from './follow-context.ts'
import { FollowSchedule } from './follow-schedule.ts'
import { FollowedCheckpoints } from './followed-checkpoints.ts'
import { FollowedPartition } from './followed-partition.ts'
import { FollowedTopics } from './followed-topics.ts'
import type { WakeSource } from './wake-source.ts'
import { WriterWatch } from './writer-watch.ts'

export type { WakeSource } from './wake-source.ts'

/** Memory that the tails of all partitions may take together. */
const TAIL_BUDGET_BYTES = 67_108_864

/** Partitions whose readers hear of records before everything else is looked at. */
const MAX_GLANCES = 4

/** What a followed log runs on. */
export interface FollowEnvironment {
  /** Opens files to read, and nothing else. */
  readonly driver: StorageDriver
  /** Of this boot of the machine and this directory; null where that is unknown. */
  readonly bootId: string | null
  readonly clock: Clock
  readonly wake: WakeSource
  /** Whether process `pid` holds the writer's lock, or may hold it. */
  readonly hasLiveWriter: (pid: number) => boolean
  /** The wake source failed: it is polled instead. Called once. */
  readonly onFallback: (cause: unknown) => void
}

/** The log in one directory, followed. */
export class FollowedLog {
  readonly #environment: FollowEnvironment
  readonly #root: string | undefined
  readonly #writer: WriterWatch
  readonly #topics: FollowedTopics
  readonly #schedule: FollowSchedule
  readonly #context: Omit<FollowContext, 'listening'>
  /** By `controlSlotKey`. */
  readonly #partitions = new Map<string, FollowedPartition>()
  /** Those that somebody waits for, as well. */
  readonly #listened = new Map<string, FollowedPartition>()
  /** Those whose last look met an error. */
  readonly #failed = new Set<FollowedPartition>()
  /** Made since the last look at what partitions hold. */
  readonly #unseen: FollowedPartition[] = []
  readonly #topicListeners = new Set<() => void>()
  #loss: LogError | undefined
  #isClosed = false

  private constructor(environment: FollowEnvironment) {
    const { driver, clock, bootId, wake, onFallback } = environment
    this.#environment = environment
    this.#root = driver.status('')?.fileId
    this.#writer = new WriterWatch(environment)
    const checkpoints = new FollowedCheckpoints(driver)
    this.#context = {
      driver,
      clock,
      tailBudget: new TailBudget(TAIL_BUDGET_BYTES),
      word: (place) => this.#writer.word(place),
      missing: () => this.#lookAtTopics(),
      checkpointed: ({ directory }) => checkpoints.of(directory),
      gapFound: () => this.#lookAtTopics(),
    }
    this.#topics = new FollowedTopics({
      driver,
      clock,
      bootId,
      partitionAt: (place) => this.#partitionAt(place),
    })
    const glance = (): void => this.#glance()
    const look = (isPoll: boolean): void => this.#look(isPoll)
    this.#schedule = new FollowSchedule({ clock, wake, onFallback, glance, look })
  }

  /**
   * Finds out which topics there are, and how far each partition is.
   * @throws {LogError} UNSUPPORTED_FORMAT for a log of a newer version; INVALID_ARGUMENT for a
   *   backup that was not finished; IO. Nothing is left to close but the driver.
   */
  static *open(environment: FollowEnvironment): Procedure<FollowedLog> {
    if (yield* isUnfinishedBackup(environment.driver)) throw unfinishedBackup()
    const log = new FollowedLog(environment)
    try {
      yield* log.#open()
    } catch (error) {
      log.close()
      throw error
    }
    return log
  }

  /** What the log lies on. */
  get driver(): StorageDriver {
    return this.#environment.driver
  }
  /** What the log goes by. */
  get clock(): Clock {
    return this.#environment.clock
  }
  /** The directory is gone, and every partition with it. */
  get isLost(): boolean {
    return this.#loss !== undefined
  }
  /** What reading fails with once the directory is gone. */
  get loss(): LogError | undefined {
    return this.#loss
  }

  /**
   * Every topic, also the log's own, by name. Looks again first, as do all that give topics.
   * @throws {LogError} UNSUPPORTED_FORMAT where a newer version has written since.
   */
  topics(): readonly ReadableTopic[] {
    this.#lookAtTopics()
    return this.#topics.all()
  }
  /** The topic of that name, if there is one. @throws {LogError} As `topics`. */
  topic(name: string): ReadableTopic | undefined {
    this.#lookAtTopics()
    return this.#topics.find(name)
  }
  /** The topic whose name differs from `name` in nothing or only in case. @throws As `topics`. */
  topicLike(name: string): ReadableTopic | undefined {
    const lowerCase = name.toLowerCase()
    return (
      this.topic(name) ?? this.#topics.all().find((one) => one.name.toLowerCase() === lowerCase)
    )
  }
  /** What may happen to old records of a topic; 'none' also where it is gone. */
  policyOf(topic: ReadableTopic): AppliedPolicy {
    return this.#topics.policyOf(topic)
  }

  /**
   * Looks which topics there are, whether there is a new writer, and at every partition.
   * @throws {LogError} As `topics`.
   */
  refresh(): void {
    this.#lookAtTopics()
    if (this.#isOver) return
    this.#hear(this.#writer.look())
    for (const partition of [...this.#partitions.values()]) {
      this.#attempt(partition, () => partition.refresh())
    }
  }

  /**
   * Calls `listener` when a topic was made, deleted, grown or reconfigured, or all are lost. It
   * does not make the log look: that is done at once while somebody waits for a partition, else
   * every second.
   */
  onTopicsChange(listener: () => void): () => void {
    this.#topicListeners.add(listener)
    return () => void this.#topicListeners.delete(listener)
  }

  /** Ends every partition and releases everything. May be called twice. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#schedule.close()
    this.#topics.finish('closed')
    this.#topicListeners.clear()
    this.#writer.close()
    this.driver.close()
  }

  *#open(): Procedure<void> {
    this.#topics.look()
    for (const partition of this.#unseen.splice(0)) {
      try {
        yield* partition.open()
      } catch (error) {
        // The others can be read all the same; whoever reads this one meets it again (I3).
        if (!LogError.is(error)) throw error
        this.#lookAtTopics()
      }
    }
  }

  /**
   * What comes first when something woke: whoever waits for records hears of them, and before of
   * settings that were made before these were written. A look follows; where many wait it finds
   * all of them in fewer reads.
   */
  #glance(): void {
    if (this.#isOver || this.#listened.size > MAX_GLANCES) return
    const words = new Map<string, WriterWord>()
    for (const key of this.#listened.keys()) {
      const word = this.#writer.glance(key)
      if (word !== undefined) words.set(key, word)
    }
    if (words.size === 0) return
    try {
      if (!this.#topics.isAsSeen()) this.#lookAtTopics()
    } catch (error) {
      if (!LogError.is(error)) throw error
    }
    this.#hear(words)
  }

  /** One look that nobody asked for (I3). */
  #look(isPoll: boolean): void {
    try {
      this.#lookAtTopics()
    } catch (error) {
      if (!LogError.is(error)) throw error
    }
    if (this.#isOver) return
    this.#hear(this.#writer.look())
    if (isPoll) this.#poll(this.#listened.size > 0 ? this.#listened : this.#partitions)
  }

  /** What nobody publishes nothing wakes for; and what could not be done is tried again. */
  #poll(partitions: ReadonlyMap<string, FollowedPartition>): void {
    for (const [key, partition] of [...partitions]) {
      const word = this.#writer.known(key)
      const isTold = word?.mode === 'published' && !partition.isUnsettled
      if (isTold && !this.#failed.has(partition)) continue
      this.#attempt(partition, () =>
        word === undefined ? partition.refresh() : partition.heard(word),
      )
    }
  }

  /** What fails for one partition concerns no other one, and whoever reads it finds out (I3). */
  #attempt(partition: FollowedPartition, look: () => void): void {
    try {
      look()
      this.#failed.delete(partition)
    } catch (error) {
      if (!LogError.is(error)) throw error
      if (partition.end === undefined) this.#failed.add(partition)
    }
  }

  /** There is nothing to look at any more. */
  get #isOver(): boolean {
    return this.#isClosed || this.#loss !== undefined
  }

  #hear(words: ReadonlyMap<string, WriterWord>): void {
    for (const [key, word] of words) {
      const partition = this.#partitions.get(key)
      if (partition !== undefined) this.#attempt(partition, () => partition.heard(word))
    }
  }

  /** Finds out about topics, and whether there is a directory at all (I2). */
  #lookAtTopics(): void {
    if (this.#isOver) return
    const root = this.driver.status('')?.fileId
    if (root === undefined || root !== this.#root) {
      this.#lose()
      return
    }
    if (!this.#topics.look()) return
    for (const [key, partition] of this.#partitions) {
      if (partition.end === undefined) continue
      this.#partitions.delete(key)
      this.#failed.delete(partition)
      this.#writer.forget(partition)
    }
    for (const partition of this.#unseen.splice(0)) {
      this.#attempt(partition, () => partition.refresh())
    }
    this.#tellOfTopics()
  }

  #lose(): void {
    const cause = Object.assign(new Error('the directory of the log is gone'), { code: 'ENOENT' })
    const message = 'the directory of the log was deleted or replaced while the log was open'
    this.#loss = new LogError('IO', message, {}, { cause })
    this.#topics.finish('lost')
    this.#tellOfTopics()
  }

  #tellOfTopics(): void {
    for (const listener of [...this.#topicListeners]) listener()
  }

  #partitionAt(place: FollowedPlace): FollowedPartition {
    const key = controlSlotKey(place.topicId, place.partition)
    const partition = new FollowedPartition(
      { ...this.#context, listening: (isListening) => this.#listening(key, isListening) },
      place,
    )
    this.#partitions.set(key, partition)
    this.#unseen.push(partition)
    return partition
  }

  #listening(key: string, isListening: boolean): void {
    const partition = this.#partitions.get(key)
    if (isListening && partition !== undefined) this.#listened.set(key, partition)
    else this.#listened.delete(key)
    this.#schedule.listening(isListening)
  }
}

function unfinishedBackup(): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    'EventLog.open: the directory holds a backup that was stopped before its end, which reading ' +
      'must not finish: take the backup again, or open it once for writing',
  )
}
