/**
 * PreparedBatch: the records of one `append`, each read whole, checked, and encoded at once, where
 * the batch will stay.
 *
 * A getter, serde or schema of the user's may itself append. So whoever appends takes a batch of
 * its own for the call and gives it back; between the calls they are kept for reuse.
 *   I1  a record is read and checked before any byte of it is encoded, and nothing of it is kept
 *   I2  where a record is refused, the batch is given up: nothing of it was in the log
 *   I3  what is encoded in the memory of a partition's tail is moved out before others append there
 */
import { LogError } from '../errors/log-error.ts'
import { RecordBatchBuilder } from '../format/record-batch-builder.ts'
import type { Tail } from '../log/tail.ts'
import { PreparedRecord, prepareNow } from './record-input.ts'
import type { RecordTypes } from './record-types.ts'

/** Batches kept for reuse: nested appends are rare, deep ones rarer. */
const MAX_SPARE_BATCHES = 2

const spareBatches: PreparedBatch[] = []

/** The batch of one call. */
export class PreparedBatch {
  /** Has every record that was read. */
  readonly builder: RecordBatchBuilder = new RecordBatchBuilder()
  readonly #record: PreparedRecord = new PreparedRecord()

  /** A batch for one call, empty, in the memory of `tail`. Give it back, whatever happened. */
  static take(tail: Tail): PreparedBatch {
    const batch = spareBatches.pop() ?? new PreparedBatch()
    tail.begin(batch.builder)
    return batch
  }

  /**
   * Reads `records` for one partition. `nowMs` is the timestamp of records without one.
   * @throws {LogError} as `prepareNow`, for the first record that is refused, naming its index.
   */
  read(records: readonly unknown[], types: RecordTypes, nowMs: number): void {
    const recordCount = records.length
    let index = 0
    try {
      for (; index < recordCount; index += 1) this.add(records[index], types, nowMs)
    } catch (error) {
      throw recordCount === 1 ? error : withIndex(error, index)
    }
  }

  /** Reads one more record. Hot. */
  add(input: unknown, types: RecordTypes, nowMs: number): void {
    const record = this.#record
    prepareNow(input, types, 'append', nowMs, record)
    this.builder.addRecord(record)
  }

  /** Forgets the records and keeps the batch for the next call. */
  giveBack(): void {
    this.#record.clear()
    if (spareBatches.length < MAX_SPARE_BATCHES) spareBatches.push(this)
  }
}

/** The same error, saying which record of the call it is about. */
function withIndex(error: unknown, index: number): unknown {
  if (!LogError.is(error)) return error
  const { code, message, details, cause } = error
  const options = cause === undefined ? undefined : { cause }
  return new LogError(code, `record ${index} of the call: ${message}`, details, options)
}
