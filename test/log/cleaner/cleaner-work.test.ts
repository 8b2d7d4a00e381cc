/** How compaction goes about its work: in slices, stopped at any step, without leaving anything. */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../../src/log/clock.ts'
import { cleanPartition } from '../../../src/log/cleaner/cleaner.ts'
import { refuseDamage } from '../../../src/log/cleaner/segment-batches.ts'
import { openMemoryDriver } from '../../../src/storage/memory-driver.ts'
import { completeProcedure, type Procedure, runProcedure } from '../../../src/storage/procedure.ts'
import type { Segment } from '../../../src/storage/segment.ts'
import type { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { openLog, partitionOf } from '../open-log.ts'
import { namesEnding } from '../tampering.ts'
import {
  append,
  compact,
  compactedLog,
  type CompactedLog,
  end,
  latest,
  putAll,
  recordsIn,
  settingsOf,
} from './compacting.ts'

const rounds = (count: number): readonly (readonly [string, string])[] =>
  Array.from({ length: count }, (_, at) => [`k${at % 7}`, `${at}`.padEnd(60, '.')] as const)

async function filled(): Promise<CompactedLog> {
  const compacted = await compactedLog()
  putAll(compacted.partition, rounds(80))
  return compacted
}

describe('compaction that is stopped', () => {
  it('leaves no file of its own, whatever step it is stopped at, and the same values', async () => {
    const compacted = await filled()
    const values = latest(recordsIn(compacted.partition))
    let isComplete = false
    for (let steps = 0; !isComplete; steps++) {
      let left = steps
      const result = await compact(compacted, { isStopped: () => --left < 0 })
      isComplete = result.isComplete
      if (!isComplete) expect(result.firstDirtyOffset).toBe(0)
      expect(namesEnding(compacted.driver, '.cleaned')).toEqual([])
      expect(latest(recordsIn(compacted.partition))).toEqual(values)
    }
  })

  it('ends with its log', async () => {
    const compacted = await filled()
    const { partition } = compacted
    const { swap } = settingsOf(compacted)
    const result = await compact(compacted, {
      *swap(old, cleaned): Procedure<void> {
        partition.finish('closed')
        yield* swap(old, cleaned)
      },
    })
    expect(result.isComplete).toBe(false)
    expect(namesEnding(compacted.driver, '.cleaned')).toEqual([])
  })

  it('ends quietly where its topic is deleted meanwhile, whenever that is', async () => {
    let hasEnded = false
    for (let turns = 0; !hasEnded; turns++) {
      const compacted = await filled()
      const { log } = compacted
      let isOver = false
      const result = compact(compacted).then(({ isComplete }) => {
        isOver = true
        return isComplete
      })
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      hasEnded = isOver
      await runProcedure(log.deleteTopic('t'))
      expect(await result).toBe(hasEnded)
    }
  })

  it.each([1, 2, 3, 5, 8, 13, 21])('leaves none where call %i to the disk fails', async (fails) => {
    const compacted = await filled()
    const driver = compacted.driver as FaultDriver // compactedLog made it
    const before = recordsIn(compacted.partition)
    let calls = 0
    driver.onCall = ({ path }) => {
      if (path.endsWith('.cleaned')) calls += 1
      return path.endsWith('.cleaned') && calls === fails ? 'ENOSPC' : undefined
    }
    await compact(compacted).catch((error: unknown) =>
      expect(error).toMatchObject({ name: 'LogError' }),
    )
    driver.onCall = undefined
    expect(namesEnding(driver, '.cleaned')).toEqual([])
    expect(latest(recordsIn(compacted.partition))).toEqual(latest(before))
    expect((await compact(compacted)).isComplete).toBe(true)
  })
})

describe('compaction', () => {
  it('never goes around damage', async () => {
    const compacted = await filled()
    const { driver, partition } = compacted
    const [, second] = partition.segments
    const path = second?.logPath ?? ''
    driver.openFile(path, 'write').write(Buffer.from('rot'), 0, 3, 200)
    const names = driver.list('t-0')
    await expect(compact(compacted)).rejects.toMatchObject({ code: 'CORRUPT' })
    expect(driver.list('t-0')).toEqual(names)
  })

  it('refuses a log with a segment missing before it makes gaps of its own', async () => {
    const { partition } = await filled()
    const { topic } = partition
    const refused = (isGapless: boolean, left: readonly Segment[]): void =>
      refuseDamage({ topic, partition: 0, isGapless, segments: left })
    const segments = [...partition.segments]
    const gap = segments.toSpliced(1, 1)
    expect(() => refused(true, segments)).not.toThrow()
    expect(() => refused(false, gap)).not.toThrow()
    expect(() => refused(true, gap)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    segments[2]?.markDamaged()
    expect(() => refused(false, segments)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
  })

  it.each(['none', 'gzip'] as const)('goes on beside other work, in slices: %s', async (codec) => {
    const compacted = await compactedLog({ segmentBytes: 1 << 22 })
    let appendedBytes = 0
    for (let at = 0; at < 300; at++) {
      const records = Array.from({ length: 20 }, (_, index) => {
        return { key: `k${(at * 20 + index) % 900}`, value: 'v'.repeat(400) }
      })
      append(compacted.partition, records, { codec })
      appendedBytes += 20 * 400
    }
    compacted.partition.roll()
    let looks = 0
    const paid: number[] = []
    const { stats } = await compact(compacted, {
      isStopped: () => {
        looks += 1
        return false
      },
      throttle: (byteLength) => {
        paid.push(byteLength)
        return undefined
      },
    })
    // Twice over the log: a slice is 128 KiB unpacked and a batch, or a read, and looks twice.
    expect(looks).toBeGreaterThan((2 * appendedBytes) / (131_072 + 8_192))
    expect(looks).toBeLessThan(100 + (codec === 'none' ? 4 : 12) * (appendedBytes / 131_072))
    // What is written last is swapped in without another wait.
    const bytes = stats.readBytes + stats.writtenBytes
    expect(paid.reduce((sum, one) => sum + one, 0)).toBeGreaterThan(bytes - 262_144)
  })

  it('takes as many passes as its memory needs, and comes to the same', async () => {
    const [large, small] = [await filled(), await filled()]
    const once = await compact(large)
    const often = await compact(small, { bufferBytes: 200 })
    expect(once.stats.passes).toBe(1)
    expect(often.stats.passes).toBeGreaterThan(2)
    expect(often.firstDirtyOffset).toBe(once.firstDirtyOffset)
    expect(recordsIn(small.partition)).toEqual(recordsIn(large.partition))
  })

  it('gets past keys that are larger than all of its memory', async () => {
    const compacted = await compactedLog({ segmentBytes: 20_000 })
    const { partition } = compacted
    for (let at = 0; at < 12; at++)
      append(partition, [{ key: `${at % 3}`.repeat(5_000), value: `${at}` }])
    partition.roll()
    const { isComplete, stats } = await compact(compacted, { bufferBytes: 0 })
    expect([isComplete, stats.kept]).toEqual([true, 3])
    expect(recordsIn(partition).map(({ value }) => value)).toEqual(['9', '10', '11'])
  })

  it('is the same over memory, in one go', async () => {
    const compacted = await compactedLog({}, openMemoryDriver())
    putAll(compacted.partition, rounds(80))
    const { isComplete } = completeProcedure(
      cleanPartition(compacted.partition, settingsOf(compacted)),
    )
    expect(isComplete).toBe(true)
    const onDisk = await filled()
    await compact(onDisk)
    expect(recordsIn(compacted.partition)).toEqual(recordsIn(onDisk.partition))
  })
})

describe('what nobody vouches for', () => {
  it('is read for its markers: aborted records go after a kill too', async () => {
    const { driver, clock, partition, log } = await compactedLog()
    const producer = { producerId: 9, transactional: true }
    for (let at = 0; at < 20; at++) {
      append(partition, [{ key: 'k', value: `committed ${at}` }], producer)
      end(partition, 9, 'commit')
      append(partition, [{ key: 'k', value: 'aborted'.padEnd(60, '.') }], producer)
      append(partition, [{ key: 'l', value: 'aborted' }], producer)
      end(partition, 9, 'abort')
    }
    putAll(partition, rounds(10))
    await runProcedure(log.checkpoint())
    const fresh = (driver as FaultDriver).processKill() // compactedLog made it
    const opened = (await openLog(fresh, { clock })).log
    const compacted = { driver: fresh, clock, log: opened, partition: partitionOf(opened, 't') }
    const [first] = compacted.partition.segments
    expect(first?.aborted.knownFrom).toBeGreaterThan(first?.baseOffset ?? 0)
    const before = recordsIn(compacted.partition, true)
    const { firstDirtyOffset } = await compact(compacted)
    expect(latest(recordsIn(compacted.partition, true))).toEqual(latest(before))
    const left = recordsIn(compacted.partition).filter(({ offset }) => offset < firstDirtyOffset)
    expect(left.filter(({ value }) => value?.startsWith('aborted'))).toEqual([])
    expect(compacted.partition.segments.first.aborted.knownFrom).toBe(0)
  })
})
