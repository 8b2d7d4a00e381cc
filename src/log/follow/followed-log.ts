/**
 * FollowedLog: the log in one directory as somebody sees it who does not write it: its topics, who
 * writes them, and when there is something new.
 *
 * Owns which topics there are (followed-topics.ts), how far the writer is to be believed
 * (writer-watch.ts) and when to look (follow-schedule.ts); what is in a partition is
 * followed-partition.ts'. Writes nothing and takes no lock.
 *   I1  a topic that was shown is replaced as soon as metadata.json names another one, and its
 *       partitions end before their successors are shown
 *   I2  once the directory is gone every partition has ended, and there is no topic
 */
import type { LogError } from '../../errors/log-error.ts'
import type { Procedure } from '../../storage/procedure.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import type { AppliedPolicy } from '../cleanup-policy.ts'
import type { Clock } from '../clock.ts'
import type { ReadableTopic } from '../readable-partition.ts'

/** What says that the writer has published something; a poll catches what it misses. */
export interface WakeSource {
  /**
   * Calls `onWake` from now on, at least once behind every publication that it notices. Where it
   * cannot, or no longer can, it calls `onFailure`, once.
   */
  start(onWake: () => void, onFailure: (cause: unknown) => void): void
  /** Calls nothing any more; `start` may be called again. */
  stop(): void
}

/** What a followed log runs on. */
export interface FollowEnvironment {
  /** Opens files to read, and nothing else. */
  readonly driver: StorageDriver
  /** Of this boot of the machine and this directory; null where that is unknown. */
  readonly bootId: string | null
  readonly clock: Clock
  readonly wake: WakeSource
  /** Whether anybody holds the writer's lock, or may hold it. */
  readonly hasLiveWriter: () => boolean
  /** The wake source failed: it is polled instead. Called once. */
  readonly onFallback: (cause: unknown) => void
}

/** The log in one directory, followed. */
export class FollowedLog {
  readonly #environment: FollowEnvironment

  private constructor(environment: FollowEnvironment) {
    this.#environment = environment
  }

  /**
   * Finds out which topics there are, and how far each partition is.
   * @throws {LogError} UNSUPPORTED_FORMAT for a log of a newer version; INVALID_ARGUMENT for a
   *   backup that was not finished; IO.
   */
  // oxlint-disable-next-line require-yield
  static *open(environment: FollowEnvironment): Procedure<FollowedLog> {
    return new FollowedLog(environment)
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
    return false
  }
  /** What reading fails with once the directory is gone. */
  get loss(): LogError | undefined {
    return undefined
  }

  /** Every topic, also the log's own, by name. Looks again first. */
  topics(): readonly ReadableTopic[] {
    return []
  }
  /** The topic of that name, if there is one. Looks again first. */
  topic(_name: string): ReadableTopic | undefined {
    return undefined
  }
  /** The topic whose name differs from `name` in nothing or only in case. Looks again first. */
  topicLike(_name: string): ReadableTopic | undefined {
    return undefined
  }
  /** What may happen to old records of a topic; 'none' also where it is gone. */
  policyOf(_topic: ReadableTopic): AppliedPolicy {
    return 'none'
  }

  /** Looks which topics there are, whether there is a new writer, and at every partition. */
  refresh(): void {}

  /**
   * Calls `listener` when a topic was made, deleted, grown or reconfigured, or all are lost. It
   * does not make the log look: that is done at once while somebody waits for a partition, else
   * every second.
   */
  onTopicsChange(_listener: () => void): () => void {
    return () => undefined
  }

  /** Ends every partition and releases everything. May be called twice. */
  close(): void {}
}
