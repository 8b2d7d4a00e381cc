/** What becomes of batches that the segment which is made of them has hardly room for. */
import { describe, expect, it } from 'vitest'
import { RecordBatchReader } from '../../../src/format/record-batch-reader.ts'
import { attributesOf, hasDeleteHorizon } from '../../../src/format/record-batch.ts'
import { codecOfAttributes } from '../../../src/format/compression.ts'
import { BatchFilter } from '../../../src/log/cleaner/batch-filter.ts'
import { CleanedSegment } from '../../../src/log/cleaner/cleaned-segment.ts'
import { KeyOffsets } from '../../../src/log/cleaner/key-offsets.ts'
import { SegmentBatches } from '../../../src/log/cleaner/segment-batches.ts'
import { TransactionFacts } from '../../../src/log/cleaner/transaction-facts.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { append, compactedLog, type KeyedRecord } from './compacting.ts'

const MAX_SEGMENT_BYTES = 0x7fff_ffff
const VALUE = 'x'.repeat(5_000)

interface Filtered {
  readonly keys: readonly string[]
  readonly codec: string
  readonly hasHorizon: boolean
}

/** One batch, compressed, of a topic that is not compressed any more; of `old` there is a newer. */
async function filtered(records: readonly KeyedRecord[], bytesLeft: number): Promise<Filtered> {
  const { driver, partition } = await compactedLog({ segmentBytes: 1 << 20 })
  append(partition, records, { codec: 'gzip' })
  partition.roll()
  const keys = new KeyOffsets(65_536)
  keys.put(Buffer.from('old'), 0, 3, 99)
  const filter = new BatchFilter({
    keys,
    endOffset: 100,
    logStartOffset: 0,
    nowMs: 1_000_000,
    deleteRetentionMs: 1_000,
    maxDecompressedBytes: 1 << 20,
    compressionType: 'none',
    producers: new Map(),
    facts: new TransactionFacts(partition),
  })
  const batches = new SegmentBatches(partition)
  batches.enter(partition.segments.first)
  await runProcedure(batches.read())
  expect(batches.next()).toBe(true)
  const place = { driver, directory: partition.directory, baseOffset: 0 }
  const settings = { segmentBytes: 1 << 20, indexIntervalBytes: 4_096, preallocate: false }
  const output = await runProcedure(CleanedSegment.create(place, settings))
  const bytesBehind = MAX_SEGMENT_BYTES - batches.batchBytes - bytesLeft
  filter.filter(batches, output, { isLast: false, bytesBehind })
  const reader = new RecordBatchReader()
  reader.reset(output.buffer, 0, 1 << 20)
  const kept: string[] = []
  while (reader.next()) {
    kept.push(String(reader.buffer.subarray(reader.keyStart, reader.keyStart + reader.keyLength)))
  }
  const attributes = attributesOf(output.buffer, 0)
  const hasHorizon = hasDeleteHorizon(attributes)
  output.close()
  return { keys: kept, codec: codecOfAttributes(attributes), hasHorizon }
}

describe('a batch that would be too large unpacked', () => {
  it('loses what is over all the same, and stays compressed', async () => {
    const records = ['old', 'a', 'b'].map((key) => ({ key, value: VALUE }))
    const kept = await filtered(records, 1_000)
    expect(kept).toEqual({ keys: ['a', 'b'], codec: 'gzip', hasHorizon: false })
  })

  it('is left as it is where all of it stays', async () => {
    const records = ['a', 'b'].map((key) => ({ key, value: VALUE }))
    const kept = await filtered([...records, { key: 'c', value: null }], 0)
    expect(kept).toEqual({ keys: ['a', 'b', 'c'], codec: 'gzip', hasHorizon: false })
  })

  it('gets its codec and its horizon where there is room', async () => {
    const records = ['old', 'a'].map((key) => ({ key, value: VALUE }))
    const kept = await filtered(
      [...records, { key: 'c', value: null }],
      MAX_SEGMENT_BYTES / 2 + 9_000,
    )
    expect(kept).toEqual({ keys: ['a', 'c'], codec: 'none', hasHorizon: true })
  })
})
