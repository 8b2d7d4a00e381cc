/**
 * A consumer group over everything that a round writes: two members for the whole round, and now
 * and then a third that joins, takes some records and leaves, so that partitions change hands.
 *
 * Every record is handled at least once, those of a partition in order and without a gap, from one
 * round to the next. Records that a leaving member had taken may come again.
 */
import type { ConsumerGroup, EventLog, LogRecord, Running } from '../../src/index.ts'
import type { SoakCounts } from './soak-load.ts'
import { checkSoakRecord } from './soak-records.ts'

const MEMBERS = 2
const VISIT_RECORDS = 50

/** The group of one round. */
export class SoakGroup {
  readonly #log: EventLog
  readonly #topics: readonly string[]
  readonly #counts: SoakCounts
  readonly #group: ConsumerGroup<LogRecord>
  readonly #running: Running
  /** First offset that nobody has handled, by partition. */
  readonly #next = new Map<string, number>()
  #failure: unknown

  private constructor(log: EventLog, topics: readonly string[], counts: SoakCounts) {
    this.#log = log
    this.#topics = topics
    this.#counts = counts
    this.#group = log.consumerGroup('soak', { topics })
    for (const { topic, partition, offset } of this.#group.offsets()) {
      this.#next.set(`${topic}-${partition}`, offset)
    }
    this.#running = this.#group.run((record) => this.#handle(record), { members: MEMBERS })
    this.#running.done.catch((error: unknown) => {
      this.#failure = error
    })
  }

  /** Starts it, where the last round's ended. */
  static async start(
    log: EventLog,
    topics: readonly string[],
    counts: SoakCounts,
  ): Promise<SoakGroup> {
    const group = new SoakGroup(log, topics, counts)
    await group.#running.ready
    return group
  }

  /** Records below it may be deleted: the group has committed that it is through with them. */
  committed(topic: string, partition: number): number {
    const found = this.#group
      .offsets()
      .find((one) => one.topic === topic && one.partition === partition)
    return found?.offset ?? 0
  }

  /** @throws what it has found. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** A member comes, takes some records and goes. */
  async visit(): Promise<void> {
    const consumer = await this.#group.join()
    await consumer.ready()
    for (const record of await consumer.poll({ max: VISIT_RECORDS, timeoutMs: 5 })) {
      this.#handle(record)
    }
    await consumer.commit()
    await consumer.leave()
    this.#counts.visits += 1
  }

  /** Handles what is left, and ends. */
  async finish(): Promise<void> {
    while (this.#group.lag().total > 0) {
      this.check()
      await new Promise((resolve) => void setTimeout(resolve, 5))
    }
    await this.#running.stop()
    this.check()
    for (const topic of this.#topics) {
      for (const { index, logEndOffset } of this.#log.topic(topic).partitions) {
        const committed = this.committed(topic, index)
        if (committed !== logEndOffset) {
          throw new Error(`${topic}-${index}: committed ${committed} of ${logEndOffset}`)
        }
      }
    }
  }

  #handle(record: LogRecord): void {
    const { topic, partition, offset } = record
    const place = `${topic}-${partition}`
    const next = this.#next.get(place) ?? 0
    if (offset > next) throw new Error(`${place}: the group was given ${offset} before ${next}`)
    checkSoakRecord(record)
    this.#next.set(place, Math.max(next, offset + 1))
    this.#counts.handled += 1
  }
}
