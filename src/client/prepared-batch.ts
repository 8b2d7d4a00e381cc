/**
 * PreparedBatch: the records of one `append`, read and checked whole before the first is encoded.
 *
 * A getter, serde or schema of the user's may itself append. So whoever appends takes a batch of
 * its own for the call and gives it back; between the calls they are kept for reuse. Columns
 * instead of objects: reading a record allocates nothing.
 */
import { LogError } from '../errors/log-error.ts'
import type { FlatHeaders } from '../format/record.ts'
import { PreparedRecord, prepareNow } from './record-input.ts'
import type { RecordTypes } from './record-types.ts'
import type { EncodedValue } from './serde.ts'

/** Batches kept for reuse: nested appends are rare, deep ones rarer. */
const MAX_SPARE_BATCHES = 2
/** Longer columns are dropped, so that one huge append is not remembered for ever. */
const MAX_SPARE_RECORDS = 16_384

const spareBatches: PreparedBatch[] = []

/** Records ready to be encoded, by column; the first `recordCount` of each count. */
export class PreparedBatch {
  recordCount = 0
  readonly keys: (EncodedValue | null)[] = []
  readonly values: (EncodedValue | null)[] = []
  readonly headers: (FlatHeaders | null)[] = []
  readonly timestamps: number[] = []
  readonly #record: PreparedRecord = new PreparedRecord()

  /** A batch for one call, empty. Give it back afterwards, whatever happened. */
  static take(): PreparedBatch {
    return spareBatches.pop() ?? new PreparedBatch()
  }

  /**
   * Reads `records` for one partition. `nowMs` is the timestamp of records without one.
   * @throws {LogError} as `prepareNow`, for the first record that is refused, naming its index.
   */
  read(records: readonly unknown[], types: RecordTypes, nowMs: number): void {
    const recordCount = records.length
    for (let index = 0; index < recordCount; index += 1) {
      try {
        this.add(records[index], types, nowMs)
      } catch (error) {
        throw recordCount === 1 ? error : withIndex(error, index)
      }
    }
  }

  /** Reads one more record. */
  add(input: unknown, types: RecordTypes, nowMs: number): void {
    const record = this.#record
    prepareNow(input, types, 'append', nowMs, record)
    const index = this.recordCount
    this.keys[index] = record.key
    this.values[index] = record.value
    this.headers[index] = record.headers
    this.timestamps[index] = record.timestamp
    this.recordCount = index + 1
  }

  /** Forgets the records and keeps the room for the next call. */
  giveBack(): void {
    this.#record.clear()
    const { recordCount } = this
    this.recordCount = 0
    if (recordCount > MAX_SPARE_RECORDS || spareBatches.length >= MAX_SPARE_BATCHES) return
    for (let index = 0; index < recordCount; index += 1) {
      this.keys[index] = null
      this.values[index] = null
      this.headers[index] = null
    }
    spareBatches.push(this)
  }
}

/** The same error, saying which record of the call it is about. */
function withIndex(error: unknown, index: number): unknown {
  if (!LogError.is(error)) return error
  const { code, message, details, cause } = error
  const options = cause === undefined ? undefined : { cause }
  return new LogError(code, `record ${index} of the call: ${message}`, details, options)
}
