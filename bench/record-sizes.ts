/**
 * What does the size of a record do to appending in batches and to scanning? Values of 10 B to
 * 1 MiB, in batches of about 64 KiB, as a producer gathers them, or of one record where that is
 * larger. The contestants are those of append-throughput and of scan-throughput.
 *
 * As many bytes of each size, so far as there are not too many records: with small ones it is the
 * record that costs, with large ones the copy, the checksum and the kernel.
 */
import { appendContestants } from './append-throughput.ts'
import { scanContestants } from './scan-throughput.ts'
import { Dataset } from './runner/dataset.ts'
import type { Question, Scale } from './runner/question.ts'

/** Values, and records of a batch: a number that goes round the pool of records. */
const SIZES = [
  { name: '10 B', valueBytes: 10, batchRecords: 1_000 },
  { name: '100 B', valueBytes: 100, batchRecords: 500 },
  { name: '1 KiB', valueBytes: 1_024, batchRecords: 50 },
  { name: '10 KiB', valueBytes: 10_240, batchRecords: 5 },
  { name: '100 KiB', valueBytes: 102_400, batchRecords: 1 },
  { name: '1 MiB', valueBytes: 1_048_576, batchRecords: 1 },
] as const
type Size = (typeof SIZES)[number]

const QUICK_BYTES = 33_554_432
const FULL_BYTES = 134_217_728
const QUICK_MAX_RECORDS = 200_000
const FULL_MAX_RECORDS = 1_000_000
/** A scan reads its log as often as this before the clock starts, and while it runs. */
const SCAN_PASSES = 3

/** The question of writing. */
export const appendByRecordSize: Question = {
  name: 'record-sizes-append',
  asks: 'appends records of 10 B to 1 MiB in batches, safe from a kill of the process',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const recordCount = recordCountOf(size, scale)
      const plan = {
        dataset: new Dataset(size.valueBytes),
        recordCount,
        batchRecords: size.batchRecords,
        warmUpCount: Math.ceil(recordCount / 2 / size.batchRecords) * size.batchRecords,
      }
      return { name: size.name, contestants: appendContestants(plan) }
    }),
}

/** The question of reading. */
export const scanByRecordSize: Question = {
  name: 'record-sizes-scan',
  asks: 'reads records of 10 B to 1 MiB from start to end, looking at each value',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const recordCount = recordCountOf(size, scale)
      const plan = {
        dataset: new Dataset(size.valueBytes),
        recordCount,
        warmUpRecords: recordCount * SCAN_PASSES,
        timedRecords: recordCount * SCAN_PASSES,
      }
      return { name: size.name, contestants: scanContestants(plan) }
    }),
}

/** Every other one in a quick run. */
function sizesOf({ quick }: Scale): readonly Size[] {
  return quick ? SIZES.filter((_, index) => index % 2 === 1) : SIZES
}

function recordCountOf({ valueBytes, batchRecords }: Size, { quick }: Scale): number {
  const wanted = Math.min(
    (quick ? QUICK_BYTES : FULL_BYTES) / valueBytes,
    quick ? QUICK_MAX_RECORDS : FULL_MAX_RECORDS,
  )
  return Math.ceil(wanted / batchRecords) * batchRecords
}
