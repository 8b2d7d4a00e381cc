/**
 * The records of the soak. Every partition is written by one writer, so a record's offset says all
 * that is in it: whoever reads one can tell whether it is the one that belongs there.
 */
import { crc32c } from '../../src/format/crc32c.ts'
import type { LogRecord } from '../../src/index.ts'

const CRC_BYTES = 4
const OFFSET_BYTES = 8
const MOST_BYTES = 3_000

/** The value of the record at `offset`: a checksum over its offset and its filling. */
export function soakValue(offset: number): Buffer {
  const mixed = Math.imul(offset + 1, 0x9e3779b1) >>> 0
  // Few are long: most batches hold many records.
  const fillBytes = mixed % 16 === 0 ? mixed % MOST_BYTES : mixed % 120
  const value = Buffer.alloc(CRC_BYTES + OFFSET_BYTES + fillBytes, mixed & 0xff)
  value.writeBigUInt64BE(BigInt(offset), CRC_BYTES)
  value.writeUInt32BE(crc32c(value, CRC_BYTES, value.length))
  return value
}

/** @throws where it is not the record of its offset. */
export function checkSoakRecord({ topic, partition, offset, value }: LogRecord): void {
  checkSoakValue(value ?? Buffer.alloc(0), offset, `${topic}-${partition}`)
}

/** @throws where it is not the value of that offset. */
export function checkSoakValue(value: Buffer, offset: number, where: string): void {
  const isWhole =
    value.length >= CRC_BYTES + OFFSET_BYTES &&
    value.readUInt32BE() === crc32c(value, CRC_BYTES, value.length)
  if (!isWhole) throw new Error(`${where}: what is at offset ${offset} fails its checksum`)
  const found = Number(value.readBigUInt64BE(CRC_BYTES))
  if (found !== offset) throw new Error(`${where}: offset ${offset} holds the record of ${found}`)
}
