/**
 * Recovery of one partition: what is taken, cut, set aside and called damage, by what is known of
 * the partition.
 */
import { describe, expect, it } from 'vitest'
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
import { broken } from './stored-batches.ts'
import { bytesOf, namesEnding, overwrite, segmentFile } from './tampering.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'

describe('a first segment that starts later', () => {
  const segments = { 5: at(5, 6) }

  it('has lost what was before it, where the start of the log is known', async () => {
    const recovered = await recover(folder(segments))
    expect(recovered).toMatchObject({
      logStartOffset: 0,
      report: {
        damage: [
          {
            topic: 't',
            partition: 0,
            file: segmentFile(5),
            position: 0,
            bytes: 0,
            firstOffset: 0,
            lastOffset: 4,
            reason: 'missing',
          },
        ],
      },
    })
    expect(recovered.report.cutAtOffset).toBeNull()
    expect(shape(recovered)).toEqual([[5, 7, 2 * batchBytes]])
  })

  it('has lost only what was in the log', async () => {
    const recovered = await recover(folder(segments), { logStartOffset: 3 })
    expect(recovered.logStartOffset).toBe(3)
    expect(recovered.report.damage).toMatchObject([{ firstOffset: 3, lastOffset: 4 }])
    const none = await recover(folder(segments), { logStartOffset: 5 })
    expect([none.logStartOffset, none.report.damage]).toEqual([5, []])
    const later = await recover(folder(segments), { logStartOffset: 6 })
    expect([later.logStartOffset, later.report.damage]).toEqual([6, []])
  })

  it('is where the log starts, as long as nobody knows better', async () => {
    const unknown = await recover(folder(segments), { logStartOffset: null })
    expect([unknown.logStartOffset, unknown.report.damage]).toEqual([5, []])
    const compacted = await recover(folder(segments), { isGapless: false })
    expect([compacted.logStartOffset, compacted.report.damage]).toEqual([5, []])
  })
})

describe('a segment that does not follow on the one before', () => {
  const hole = { 0: at(0), 1: at(1, 2), 5: at(5, 6), 7: at(7) }

  it('is set aside with those behind it, where nothing of that was synced', async () => {
    const driver = folder(hole)
    overwrite(driver, 't-0/00000000000000000004.snapshot', Buffer.from('later'))
    const recovered = await recover(driver)
    expect(recovered.report).toMatchObject({ cutAtOffset: 3, cutBytes: 3 * batchBytes, damage: [] })
    expect(shape(recovered)).toEqual([
      [0, 1, batchBytes],
      [1, 3, 2 * batchBytes],
    ])
    expect(namesEnding(driver, '.salvaged').map((name) => Number.parseInt(name, 10))).toEqual([
      5, 7,
    ])
    expect(namesEnding(driver, '.snapshot')).toEqual([])
    expect(recovered.epochs.latest).toBe(2)
  })

  it('is kept where what is missing was synced, which is damage', async () => {
    const driver = folder(hole)
    const recovered = await recover(driver, { recoveryPoint: 4 })
    expect(recovered.report).toMatchObject({
      cutAtOffset: null,
      cutBytes: 0,
      damage: [{ file: segmentFile(5), firstOffset: 3, lastOffset: 4, reason: 'missing' }],
    })
    expect(shape(recovered).map(([base]) => base)).toEqual([0, 1, 5, 7])
    expect(recovered.epochs.latest).toBe(7)
    expect(namesEnding(driver, '.salvaged')).toEqual([])
  })

  it('is kept where offsets may be left out', async () => {
    const recovered = await recover(folder(hole), { isGapless: false })
    expect(recovered.report).toMatchObject({ cutAtOffset: null, damage: [] })
    expect(shape(recovered).at(-1)).toEqual([7, 8, batchBytes])
  })

  it('is another one where its first batch belongs behind the next one, gaps or none', async () => {
    const swapped = { 0: at(7, 8), 7: at(0, 3) }
    const recovered = await recover(folder(swapped), {
      isGapless: false,
      isOwn: true,
      recoveryPoint: 9,
    })
    expect(recovered.report.damage).toMatchObject([
      { file: segmentFile(0), firstOffset: 0, lastOffset: 6 },
      { file: segmentFile(7), firstOffset: 7, lastOffset: 8 },
    ])
  })

  it('ends before the next one, whatever base offset its last batch has come to', async () => {
    for (const moved of [9, 200]) {
      const damaged = { 0: [...at(0), ...at(3), ...at(moved)], 7: at(7, 8) }
      const recovered = await recover(folder(damaged), {
        isGapless: false,
        isOwn: true,
        recoveryPoint: 9,
      })
      expect(recovered.report.damage).toMatchObject([
        { file: segmentFile(0), firstOffset: 4, lastOffset: 6 },
      ])
      expect(recovered.segments.active.nextOffset).toBe(9)
    }
  })

  it('has lost what was before it in a log that only we have compacted', async () => {
    const ours = { isGapless: false, isOwn: true }
    const recovered = await recover(folder(hole), { ...ours, recoveryPoint: 8 })
    expect(recovered.report.damage).toMatchObject([{ firstOffset: 3, lastOffset: 4 }])
    const first = await recover(folder({ 5: at(5) }), ours)
    expect(first.report.damage).toMatchObject([{ firstOffset: 0, lastOffset: 4 }])
    const within = await recover(folder({ 0: at(3, 5), 6: at(8) }), ours)
    expect(within.report).toMatchObject({ cutAtOffset: null, damage: [] })
    expect(shape(within).map(([base, next]) => [base, next])).toEqual([
      [0, 6],
      [6, 9],
    ])
  })

  it('is set aside where it starts within it', async () => {
    const driver = folder({ 0: at(0, 1, 2), 2: at(2, 3) })
    for (const isGapless of [true, false]) {
      const copy = folder({ 0: at(0, 1, 2), 2: at(2, 3) })
      const recovered = await recover(copy, { isGapless })
      expect(recovered.report).toMatchObject({ cutAtOffset: 3, cutBytes: 2 * batchBytes })
      expect(shape(recovered)).toEqual([[0, 3, 3 * batchBytes]])
    }
    expect(namesEnding(driver, '.log')).toHaveLength(2)
  })

  it('gives no offset twice where it starts within it and was synced', async () => {
    const driver = folder({ 0: at(0, 1, 2), 2: at(2, 3) })
    const recovered = await recover(driver, { recoveryPoint: 4, checkpointedPoint: 0 })
    expect(recovered.report.cutAtOffset).toBeNull()
    // Its first batch is out of place; no offset is gone.
    expect(recovered.report.damage).toMatchObject([
      { file: segmentFile(2), position: 0, bytes: batchBytes, firstOffset: null, lastOffset: null },
    ])
    const [first, second] = recovered.segments
    expect([first?.nextOffset, second?.nextOffset]).toEqual([3, 4])
  })
})

describe('a cut inside of a segment', () => {
  it('sets aside what is behind it, where offsets may be left out too', async () => {
    for (const isGapless of [true, false]) {
      const [first = Buffer.alloc(0), second = first] = at(0, 1)
      const driver = folder({ 0: [first, broken(second)], 5: at(5) })
      const recovered = await recover(driver, { isGapless })
      expect(recovered.report).toMatchObject({
        cutAtOffset: 1,
        cutBytes: 2 * batchBytes - 1, // Zeros at the very end are not counted: one is.
        damage: [],
      })
      expect(shape(recovered)).toEqual([[0, 1, batchBytes]])
      expect(recovered.segments.active.isSealed).toBe(false)
      expect(driver.status(segmentFile(0))?.sizeBytes).toBe(batchBytes)
      expect(namesEnding(driver, '.salvaged')).toHaveLength(2)
    }
  })

  it('leaves no empty copy where only zeros are read behind it', async () => {
    const driver = folder({ 0: [...at(0), Buffer.alloc(4 * PIECE)] })
    failReads(driver, 3)
    const recovered = await recover(driver)
    expect(recovered.report).toMatchObject({ cutAtOffset: 1, cutBytes: 0, damage: [] })
    expect(namesEnding(driver, '.salvaged')).toEqual([])
    expect(namesEnding(driver, '.tmp')).toEqual([])
  })
})

describe('damage at the very start of a segment', () => {
  it('is no more than the offsets that are missing, where a whole batch is there', async () => {
    const recovered = await recover(folder({ 0: at(3, 4) }), { recoveryPoint: 4 })
    expect(recovered.report.damage).toMatchObject([
      { position: 0, bytes: 0, firstOffset: 0, lastOffset: 2, reason: 'gap' },
    ])
    const [segment] = recovered.segments
    expect([segment?.nextOffset, segment?.sizeBytes]).toEqual([5, 2 * batchBytes])
  })

  it('is all of the segment where no whole batch is there', async () => {
    const [first = Buffer.alloc(0)] = at(0)
    const recovered = await recover(folder({ 0: [broken(first)], 1: at(1) }), { recoveryPoint: 2 })
    expect(recovered.report.damage).toMatchObject([
      { position: 0, bytes: batchBytes, firstOffset: 0, lastOffset: 0, reason: 'crc' },
    ])
    expect(shape(recovered)).toEqual([
      [0, 1, batchBytes],
      [1, 2, batchBytes],
    ])
  })
})

describe('a log that ends below what was synced', () => {
  it('has lost its end, and goes on behind it', async () => {
    const recovered = await recover(folder({ 0: at(0), 1: at(1, 2) }), { recoveryPoint: 10 })
    expect(recovered.report.damage).toMatchObject([
      {
        file: segmentFile(1),
        position: 2 * batchBytes,
        bytes: 0,
        firstOffset: 3,
        lastOffset: 9,
        reason: 'missing',
      },
    ])
    expect(shape(recovered).at(-1)).toEqual([10, 10, 0])
    const published = await recover(folder({ 0: at(0, 1) }), { publishedEndOffset: 3 })
    expect(published.report.damage).toMatchObject([{ firstOffset: 2, lastOffset: 2 }])
  })

  it('has lost all of it where no segment is left', async () => {
    const recovered = await recover(folder({}), { recoveryPoint: 10, logStartOffset: 4 })
    expect(recovered.report.damage).toMatchObject([
      { file: segmentFile(4), position: 0, bytes: 0, firstOffset: 4, lastOffset: 9 },
    ])
    expect(shape(recovered)).toEqual([[10, 10, 0]])
    expect(recovered.logStartOffset).toBe(4)
  })

  it('begins where it starts, where nothing else is known', async () => {
    const recovered = await recover(folder({}), { logStartOffset: 4 })
    expect([shape(recovered), recovered.report.damage]).toEqual([[[4, 4, 0]], []])
  })
})

describe('a segment below the last checkpoint', () => {
  const three = { 0: at(0, 1, 2), 3: at(3, 4), 5: at(5) }
  /** Nobody looks there as long as the ends fit. */
  const rotten = (driver: FaultDriver, offset: number = 0): void => {
    const bytes = bytesOf(driver, segmentFile(0))
    bytes.fill(0xee, offset * batchBytes + 62, offset * batchBytes + 66)
    overwrite(driver, segmentFile(0), bytes)
  }

  it('is taken by its end alone', async () => {
    const driver = await withIndexes(three)
    rotten(driver)
    const writes = writesOf(driver, segmentFile(0))
    for (const checkpointedPoint of [4, 6]) {
      const recovered = await recover(driver, { recoveryPoint: 6, checkpointedPoint })
      expect(recovered.report.damage).toEqual([])
      expect(writes).toEqual([])
      expect(shape(recovered).slice(0, 2)).toEqual([
        [0, 3, 3 * batchBytes],
        [3, 5, 2 * batchBytes],
      ])
      expect([...recovered.segments][0]?.isSealed).toBe(true)
      for (const segment of recovered.segments) segment.close()
    }
  })

  it('is looked at once more where the checkpoint is at its end: it may have been open', async () => {
    const driver = await withIndexes(three)
    const writes = writesOf(driver, segmentFile(0))
    const recovered = await recover(driver, { recoveryPoint: 6, checkpointedPoint: 3 })
    expect(recovered.report.damage).toEqual([])
    expect(writes).toEqual([{ position: 2 * batchBytes, byteLength: batchBytes }])
  })

  it('is checked batch by batch where the checkpoint lies within it', async () => {
    const driver = await withIndexes(three)
    rotten(driver)
    const recovered = await recover(driver, { recoveryPoint: 6, checkpointedPoint: 0 })
    expect(recovered.report.damage).toMatchObject([{ firstOffset: 0, lastOffset: 0 }])
  })

  it('is checked above the checkpoint where it ends behind the start of the next', async () => {
    const driver = await withIndexes({ 0: at(0, 1, 2, 3, 4) })
    overwrite(driver, segmentFile(2), Buffer.concat(at(2)))
    rotten(driver, 3)
    const recovered = await recover(driver, { recoveryPoint: 3 })
    expect(recovered.report.damage).toMatchObject([
      { file: segmentFile(0), position: 3 * batchBytes, reason: 'crc' },
    ])
  })

  it('tells the epochs that were used, where their file was lost', async () => {
    const driver = await withIndexes(three)
    const { epochs } = await recover(driver, { recoveryPoint: 6, checkpointedPoint: 5 })
    // Of the first two nothing but the last batch was looked at.
    epochs.truncateTo(5)
    expect(epochs.latest).toBe(4)
    epochs.truncateTo(3)
    expect(epochs.latest).toBe(2)
  })

  it('ends below the next one where batches of it are gone, which is damage', async () => {
    const driver = await withIndexes(three)
    const bytes = bytesOf(driver, segmentFile(0))
    overwrite(driver, segmentFile(0), bytes.subarray(0, 2 * batchBytes))
    for (const suffix of ['.index', '.timeindex'] as const) {
      overwrite(driver, segmentFile(0, suffix), Buffer.alloc(0))
    }
    const recovered = await recover(driver, { recoveryPoint: 6 })
    expect(recovered.report.damage).toMatchObject([
      { file: segmentFile(3), firstOffset: 2, lastOffset: 2, reason: 'missing' },
    ])
  })
})

describe('indexes that are missing', () => {
  it('are counted where they had been synced, and built anew in any case', async () => {
    const driver = folder({ 0: at(0, 1, 2), 3: at(3, 4), 5: at(5) })
    const recovered = await recover(driver, { recoveryPoint: 4 })
    expect(recovered.report).toMatchObject({ rebuiltIndexes: 2, damage: [] })
    expect([...recovered.segments].map(({ offsetIndex }) => offsetIndex.slotCount)).toEqual([
      2, 1, 0,
    ])
  })
})
