/**
 * The end of recovery: what it accepted is written once more where a sync may have failed, and on
 * stable storage when it is done.
 */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import {
  at,
  batchBytes,
  failReads,
  folder,
  PIECE,
  recover,
  shape,
  withIndexes,
  writesOf,
} from './recovered-partition.ts'
import { batchOf } from './stored-batches.ts'
import { bytesOf, segmentFile } from './tampering.ts'

describe('what recovery accepted', () => {
  it('is on stable storage when it is done, with its indexes and the names of both', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const segments = { 0: at(0, 1, 2), 3: at(3, 4), 5: at(5, 6, 7) }
      const driver = folder(segments)
      await driver.flushDirectory('')
      await recover(driver)
      const left = driver.powerCut(new SeededRandom(seed))
      for (const [base, parts] of Object.entries(segments)) {
        const stored = bytesOf(left, segmentFile(Number(base)))
        expect(stored.equals(Buffer.concat(parts))).toBe(true)
      }
      const again = await recover(left, { recoveryPoint: 8 })
      expect(again.report).toMatchObject({ rebuiltIndexes: 0, damage: [], cutAtOffset: null })
    }
  })

  it('is written again above what was synced, all of it, in pieces, and nothing below', async () => {
    const large = batchOf({ baseOffset: 2, valueBytes: 2_500_000 })
    const driver = await withIndexes({ 0: [...at(0, 1), large, ...at(3)] })
    const size = bytesOf(driver, segmentFile(0)).length
    for (const [known, from] of [
      [{}, 0],
      [{ recoveryPoint: 2 }, batchBytes],
      // What was published says that the log was synced, and nothing of its indexes.
      [{ recoveryPoint: 4, checkpointedPoint: 2 }, size - batchBytes],
      [{ recoveryPoint: 4, checkpointedPoint: 4 }, size - batchBytes],
    ] as const) {
      const writes = writesOf(driver, segmentFile(0))
      const recovered = await recover(driver, known)
      let end: number = from
      for (const { position, byteLength } of writes) {
        expect(position).toBe(end)
        expect(byteLength).toBeLessThanOrEqual(1_048_576)
        end += byteLength
      }
      expect(end).toBe(size)
      for (const segment of recovered.segments) segment.close()
    }
  })

  it('is not written again over what the device cannot read', async () => {
    const driver = folder({ 0: [batchOf({ baseOffset: 0, valueBytes: 2 * PIECE }), ...at(1)] })
    failReads(driver, 1)
    const writes = writesOf(driver, segmentFile(0))
    const recovered = await recover(driver)
    expect(recovered.report.damage).toMatchObject([{ reason: 'the device cannot read it' }])
    expect(writes).toEqual([])
  })
})

describe('a log of which the device can read nothing', () => {
  it('opens, and goes on behind the one batch that it is known to have had', async () => {
    const driver = folder({ 7: [batchOf({ baseOffset: 7, valueBytes: 2 * PIECE })] })
    const whole = bytesOf(driver, segmentFile(7))
    failReads(driver, 0, segmentFile(7))
    for (let again = 0; again < 2; again++) {
      const recovered = await recover(driver, { logStartOffset: 7 })
      expect(recovered.report).toMatchObject({
        cutAtOffset: null,
        damage: [{ position: 0, bytes: whole.length, firstOffset: 7, lastOffset: 7 }],
      })
      expect(shape(recovered)).toEqual([
        [7, 8, whole.length],
        [8, 8, 0],
      ])
      for (const segment of recovered.segments) segment.close()
    }
    expect(driver.status(segmentFile(7))?.sizeBytes).toBe(whole.length)
  })
})
