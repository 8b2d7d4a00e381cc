/** Up to where partitions are compacted, as the next process finds it. */
import { describe, expect, it } from 'vitest'
import { formatOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { CLEANER_OFFSETS } from '../../src/log/log-checkpoints.ts'
import { replaceFile } from '../../src/storage/checkpoint-file.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { append, compact, compactedLog, latest, putAll, recordsIn } from './cleaner/compacting.ts'
import { openLog, partitionOf } from './open-log.ts'

describe('the checkpoint of compaction', () => {
  it('says nothing of a log that ends before it, however long that gets', async () => {
    const first = new FaultDriver()
    const { clock, log, partition } = await compactedLog({ deleteRetentionMs: 0 }, first)
    append(partition, [{ key: 'k', value: 'v' }])
    await runProcedure(log.close())
    const driver = new FaultDriver(first.machine)
    // As in a copy of a log that was written to meanwhile: the checkpoint was copied last.
    const entries = [{ topic: 't', partition: 0, offset: 40 }]
    await runProcedure(replaceFile(driver, CLEANER_OFFSETS, formatOffsetCheckpoint(entries)))
    const again = { driver, clock, log: (await openLog(driver, { clock })).log }
    const reopened = { ...again, partition: partitionOf(again.log, 't') }
    const rest = Array.from({ length: 60 }, () => ['other', 'x'.repeat(60)] as const)
    putAll(reopened.partition, [['k', null], ...rest])
    const { progress } = again.log.housekeeping
    expect(progress.of(reopened.partition)).toBe(0)
    for (let run = 0; run < 3; run++) {
      clock.advance(1)
      const firstDirtyOffset = progress.of(reopened.partition)
      progress.set(
        reopened.partition,
        (await compact(reopened, { firstDirtyOffset })).firstDirtyOffset,
      )
    }
    expect([...latest(recordsIn(reopened.partition)).keys()]).toEqual(['other'])
    await runProcedure(again.log.close())
    const third = await openLog(new FaultDriver(first.machine), { clock })
    const known = progress.of(reopened.partition)
    expect(known).toBeGreaterThan(0)
    expect(third.log.housekeeping.progress.of(partitionOf(third.log, 't'))).toBe(known)
  })
})
