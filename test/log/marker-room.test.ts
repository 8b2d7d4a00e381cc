/**
 * The room that is kept for markers, on a disk that everything else has filled.
 */
import { describe, expect, test } from 'vitest'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import { append, end, errorOf, open, tx } from './faulty-partition.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

describe('room for a marker', () => {
  /** Appends records until nothing fits. */
  function fill(partition: PartitionLog): void {
    for (let valueBytes = 900; valueBytes >= 1; valueBytes = Math.floor(valueBytes / 3)) {
      while (errorOf(() => appendMany(partition, 1, valueBytes)) === undefined) continue
    }
  }

  for (const preallocate of [true, false]) {
    const kind = preallocate ? 'preallocated' : 'growing'

    test(`stays on a full disk, in a ${kind} file, for as many as were asked for`, async () => {
      const { partition, driver } = await open({ preallocate, segmentBytes: 1 << 20 })
      for (let id = 1; id <= 3; id += 1) append(partition, tx(id, 0))
      partition.reserveMarker()
      partition.reserveMarker()
      driver.machine.capacityBytes = bytesUsed(driver) + 30_000
      fill(partition)
      expect(errorOf(() => end(partition, 'commit', 3))?.code).toBe('NO_SPACE')
      expect(errorOf(() => partition.reserveMarker())?.code).toBe('NO_SPACE')
      end(partition, 'commit', 1, true)
      partition.releaseMarker()
      expect(errorOf(() => end(partition, 'commit', 3))?.code).toBe('NO_SPACE')
      end(partition, 'commit', 2, true)
      partition.releaseMarker()
      expect(partition.producers.open()).toHaveLength(1)
      const written = partition.logEndOffset
      driver.machine.capacityBytes = Infinity
      const again = partitionOf((await openLog(driver.processKill())).log, 't')
      expect(again.logEndOffset).toBeGreaterThanOrEqual(written)
    })

    test(`goes with the log into its next segment, in ${kind} files`, async () => {
      const { partition, driver } = await open({ preallocate, segmentBytes: 4_096 })
      append(partition, tx(1, 0))
      partition.reserveMarker()
      driver.machine.capacityBytes = bytesUsed(driver) + 60_000
      fill(partition)
      expect(partition.segments.count).toBeGreaterThan(3)
      end(partition, 'commit', 1, true)
      partition.releaseMarker()
      expect(partition.lastStableOffset).toBe(partition.logEndOffset)
    })
  }

  test('given back is anybody’s', async () => {
    const { partition, driver } = await open()
    append(partition, tx(1, 0))
    partition.reserveMarker()
    driver.machine.capacityBytes = bytesUsed(driver) + 30_000
    fill(partition)
    expect(errorOf(() => end(partition, 'commit', 1))?.code).toBe('NO_SPACE')
    partition.releaseMarker()
    end(partition, 'commit', 1)
    expect(() => partition.releaseMarker()).toThrow('what is released was reserved')
  })

  function bytesUsed(driver: FaultDriver): number {
    driver.machine.tree.measure()
    return driver.machine.tree.usedBytes
  }
})
