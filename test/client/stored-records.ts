/** Records as a reader hands them out: prepared, encoded into a batch, read from a copy. */
import type { StoredRecord } from '../../src/client/log-record.ts'
import { PreparedBatch } from '../../src/client/prepared-batch.ts'
import { RecordMemory } from '../../src/client/record-memory.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { Tail, TailBudget } from '../../src/log/tail.ts'

/** Bytes as keys and values. */
export const RAW: RecordTypes = new RecordTypes('raw', null, false)

/** The records of one append of `inputs`, read through `readTypes`. */
export function storedRecords(
  inputs: readonly unknown[],
  types: RecordTypes = RAW,
  readTypes: RecordTypes = types,
): readonly StoredRecord[] {
  const batch = PreparedBatch.take(new Tail(new TailBudget(1_048_576)))
  const { builder } = batch
  batch.read(inputs, types, 1_000)
  batch.giveBack()
  builder.finish('none')
  const chunk = Buffer.alloc(builder.sizeBytes)
  builder.buffer.copy(chunk, 0, builder.start, builder.start + builder.sizeBytes)
  return recordsIn(chunk, readTypes)
}

/** The only record of an append. */
export function storedRecord(
  input: unknown,
  types?: RecordTypes,
  readTypes?: RecordTypes,
): StoredRecord {
  const [record] = storedRecords([input], types, readTypes)
  if (record === undefined) throw new Error('no record was stored')
  return record
}

function recordsIn(chunk: Buffer, types: RecordTypes): readonly StoredRecord[] {
  const reader = new RecordBatchReader()
  reader.reset(chunk, 0, 1_000_000)
  const memory = new RecordMemory(types, 3)
  const records: StoredRecord[] = []
  while (reader.next()) records.push(memory.next(reader))
  return records
}
