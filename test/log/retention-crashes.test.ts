/**
 * Retention that is stopped at each call it makes to the disk, by a kill or by a power cut: the log
 * opens, sound, with everything that retention keeps, and the next run brings it to its end.
 */
import { describe, expect, it } from 'vitest'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure, type Procedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { everyCrash, STATES_A_CALL } from '../support/every-crash.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { offsetsOf, partitionOf, range, readFromFiles } from './open-log.ts'
import { appendSegments, namesIn, RetainedLog } from './retained-log.ts'

const NOW_MS = 1_000
const SEGMENTS = 3
const END = 2 * SEGMENTS

interface Case {
  readonly name: string
  readonly config: TopicConfig
  /** What was appended is on stable storage before retention runs. */
  readonly isSynced: boolean
  readonly before?: (retained: RetainedLog, log: PartitionLog) => Procedure<unknown>
  /** Where the log starts when it is through. */
  readonly startsAt: number
  readonly segments: number
}

const CASES: readonly Case[] = [
  {
    name: 'by time',
    config: { retentionMs: NOW_MS - 4 },
    isSynced: true,
    startsAt: 4,
    segments: 1,
  },
  {
    name: 'of everything, of which nothing is synced',
    config: { retentionMs: 0 },
    isSynced: false,
    startsAt: END,
    segments: 1,
  },
  {
    name: 'of everything, which was synced',
    config: { retentionBytes: 0 },
    isSynced: true,
    startsAt: END,
    segments: 1,
  },
  {
    name: 'of what deleteRecords left',
    config: { cleanupPolicy: 'compact' },
    isSynced: true,
    before: (retained, log) => retained.log.deleteRecordsBefore(log, 5),
    startsAt: 5,
    segments: 1,
  },
  {
    name: 'of all that deleteRecords left, of which nothing is synced',
    config: {},
    isSynced: false,
    before: (retained, log) => retained.log.deleteRecordsBefore(log, END),
    startsAt: END,
    segments: 1,
  },
]

/** Logs that were opened, until their retention is stopped. */
const OPENED = new WeakMap<StorageDriver, RetainedLog>()

async function prepare(driver: StorageDriver, one: Case): Promise<void> {
  const retained = await RetainedLog.open(driver, new FakeClock(NOW_MS))
  const defaults = { preallocate: false, fileDeleteDelayMs: 0 }
  await runProcedure(retained.log.createTopic('t', { ...defaults, ...one.config }))
  const log = partitionOf(retained.log, 't')
  appendSegments(log, SEGMENTS)
  if (one.isSynced) await retained.log.syncForCheckpoint()
  if (one.before !== undefined) await runProcedure(one.before(retained, log))
  OPENED.set(driver, retained)
}

function* retaining(driver: StorageDriver): Procedure<void> {
  const retained = OPENED.get(driver)
  if (retained === undefined) throw new Error('prepared before')
  const { failure } = yield* retained.retaining()
  if (failure !== undefined) throw failure
}

describe.each(CASES)('a stop in retention $name', (one) => {
  it('leaves a sound log, and the next run ends what it began', async () => {
    const starts = new Set<number>()
    let states = 0
    const crashes = everyCrash(function* (driver) {
      yield () => prepare(driver, one)
    }, retaining)
    for await (const { kind, stoppedAt, driver } of crashes) {
      states += 1
      const where = `${kind} at call ${stoppedAt}`
      // What was published before a loss of power was of another boot of the machine.
      const machine = kind === 'kill' ? {} : { bootId: 'later boot' }
      const retained = await RetainedLog.open(driver, new FakeClock(NOW_MS), machine)
      const log = partitionOf(retained.log, 't')
      starts.add(log.logStartOffset)
      expect(
        retained.report.partitions.flatMap(({ damage }) => damage),
        where,
      ).toEqual([])
      expect(log.logStartOffset, where).toBeLessThanOrEqual(one.startsAt)
      expect(log.logEndOffset, where).toBeGreaterThanOrEqual(log.logStartOffset)
      if (one.isSynced) expect(log.logEndOffset, where).toBe(END)
      const kept = range(log.logStartOffset, log.logEndOffset)
      expect(offsetsOf(readFromFiles(log)), where).toEqual(kept)
      expect(namesIn(driver, log, '.deleted'), where).toEqual([])
      if (stoppedAt === Infinity) {
        expect(log.logStartOffset, where).toBe(one.startsAt)
        expect(log.segments.count, where).toBe(one.segments)
      }
      appendSegments(log, 1)
      await retained.retain()
      expect(log.logEndOffset - log.logStartOffset, where).toBeLessThanOrEqual(END)
      const left = offsetsOf(readFromFiles(log))
      expect(left, where).toEqual(range(log.logStartOffset, log.logEndOffset))
      await runProcedure(retained.log.close())
    }
    expect(states % STATES_A_CALL).toBe(0)
    expect([...starts]).toContain(one.startsAt)
  })
})
