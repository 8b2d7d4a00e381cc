/** A log with segments that retention deletes, and runs of it, without the rest of housekeeping. */
import type { AppliedPolicy } from '../../src/log/cleanup-policy.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import {
  RetentionRuns,
  type RetentionEvent,
  type RetentionOutcome,
  type RetentionRun,
} from '../../src/log/retention-run.ts'
import { SegmentRemoval } from '../../src/log/segment-removal.ts'
import type { Procedure } from '../../src/storage/procedure.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendBatch, openLog, type OpenLog, valueAt } from './open-log.ts'

/** See the file's header. */
export class RetainedLog {
  readonly driver: StorageDriver
  readonly clock: FakeClock
  readonly log: OpenLog['log']
  readonly report: OpenLog['report']
  readonly removal: SegmentRemoval
  readonly runs: RetentionRuns
  readonly events: RetentionEvent[] = []
  /** By group. */
  readonly positions: Map<string, number> = new Map()
  policy: AppliedPolicy = 'delete'

  private constructor(driver: StorageDriver, { log, report }: OpenLog, clock: FakeClock) {
    this.driver = driver
    this.clock = clock
    this.log = log
    this.report = report
    this.removal = new SegmentRemoval(driver, clock)
    this.runs = new RetentionRuns({
      driver,
      removal: this.removal,
      topics: () => log.topics(),
      policyOf: () => this.policy,
      offsets: {
        get: (groupId) => {
          const offset = this.positions.get(groupId)
          if (offset === undefined) return undefined
          return { offset, leaderEpoch: -1, metadata: '', commitTimestampMs: 0 }
        },
      },
    })
  }

  /** What `driver` holds. */
  static async open(
    driver: StorageDriver,
    clock: FakeClock = new FakeClock(),
    machine: { readonly bootId?: string } = {},
  ): Promise<RetainedLog> {
    return new RetainedLog(driver, await openLog(driver, { clock, ...machine }), clock)
  }

  /** One run, with everything freed whose delay is over. */
  async retain(given: Partial<RetentionRun> = {}): Promise<RetentionOutcome> {
    return await runProcedure(this.retaining(given))
  }

  /** See `retain`. */
  *retaining(given: Partial<RetentionRun> = {}): Procedure<RetentionOutcome> {
    const outcome = yield* this.runs.run({
      nowMs: this.clock.now(),
      clockJumped: false,
      moveLogStarts: async (starts) => {
        for (const [partition, offset] of starts) {
          await runProcedure(this.log.deleteRecordsBefore(partition, offset))
        }
      },
      change: (begin) => runProcedure(begin()),
      through: (begin) => begin(),
      isStopped: () => false,
      warn: (event) => this.events.push(event),
      ...given,
    })
    yield* this.removal.freeDue(this.clock.now())
    return outcome
  }
}

/** Appends segments of `size` records each, every one a batch, a millisecond after the other. */
export function appendSegments(log: PartitionLog, count: number, size: number = 2): void {
  for (let segment = 0; segment < count; segment++) {
    if (log.segments.active.sizeBytes > 0) log.roll()
    for (let record = 0; record < size; record++) {
      const offset = log.logEndOffset
      appendBatch(log, [{ timestamp: offset, value: valueAt(offset) }])
    }
  }
}

/** The base offsets of its segments. */
export function basesOf(log: PartitionLog): readonly number[] {
  return Array.from(log.segments, ({ baseOffset }) => baseOffset)
}

/** The names of its files that end so, without leading zeros. */
export function namesIn(driver: StorageDriver, log: PartitionLog, ending: string): string[] {
  return driver
    .list(log.directory)
    .filter((name) => name.endsWith(ending))
    .map((name) => name.replace(/^0+(?=\d)/, ''))
}
