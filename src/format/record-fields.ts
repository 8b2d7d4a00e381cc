/**
 * RecordFields: where key, value and headers of one record are, found a second time, when somebody
 * asks for them.
 *
 * A reader of batches has checked the record and noted where its fields start; keeping six more
 * numbers for each record costs more than reading them again. One is kept and used for ever.
 */
import { readFieldLength } from './record.ts'
import { VarintReader } from './varint.ts'

/** The places of one record's fields. */
export class RecordFields {
  keyStart = 0
  /** -1 for null. */
  keyLength = -1
  valueStart = 0
  /** -1 for null. */
  valueLength = -1
  /** Where `readHeaders` starts. */
  headersStart = 0
  headerCount = 0
  readonly #varints = new VarintReader()

  /**
   * Turns to the record whose fields start at `at`. Allocates nothing.
   *
   * @throws {CorruptBytes} `record` for bytes that no reader has checked.
   */
  read(buffer: Buffer, at: number): void {
    const varints = this.#varints
    const end = buffer.length
    varints.position = at
    this.keyLength = readFieldLength(varints, buffer, end)
    this.keyStart = varints.position
    if (this.keyLength > 0) varints.position += this.keyLength
    this.valueLength = readFieldLength(varints, buffer, end)
    this.valueStart = varints.position
    if (this.valueLength > 0) varints.position += this.valueLength
    this.headerCount = varints.readVarint(buffer, end)
    this.headersStart = varints.position
  }
}
