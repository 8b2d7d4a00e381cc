/**
 * The header of the control file: who writes the log, and since which boot.
 *
 *   byte  0       8        12          16           20    24      28       92    124
 *         | magic | format | slotBytes | generation | pid | clean | bootId | 0 … | crc |
 *
 * Big-endian, 32 bits each but for magic and bootId, which are text; the CRC-32C covers all before
 * it. Pure: no state, no I/O.
 */
import { crc32c } from '../format/crc32c.ts'
import { CONTROL_SLOT_BYTES } from './control-slot.ts'

/** Who writes. */
export interface ControlWriter {
  /** One more than the one of the last writer, modulo 2^32. */
  readonly writerGeneration: number
  /** Null where the platform tells none: what is published then means nothing to a later writer. */
  readonly bootId: string | null
  readonly pid: number
}

/** What the header says. */
export interface ControlHeader extends ControlWriter {
  /** The writer has closed the log. */
  readonly clean: boolean
}

/** Slots begin behind it. */
export const CONTROL_HEADER_BYTES = 128
/** Longer ones are cut to that. */
export const BOOT_ID_BYTES = 64

const MAGIC = 'STRMBCTL'
const FORMAT = 1
const FORMAT_AT = 8
const SLOT_BYTES_AT = 12
const GENERATION_AT = 16
const PID_AT = 20
const CLEAN_AT = 24
const BOOT_ID_AT = 28
const CRC_AT = 124

/** The bytes of a header. Owned. */
export function controlHeaderBytes(header: ControlHeader): Buffer {
  const bytes = Buffer.alloc(CONTROL_HEADER_BYTES)
  bytes.write(MAGIC, 0, 'latin1')
  bytes.writeInt32BE(FORMAT, FORMAT_AT)
  bytes.writeInt32BE(CONTROL_SLOT_BYTES, SLOT_BYTES_AT)
  bytes.writeUInt32BE(header.writerGeneration, GENERATION_AT)
  bytes.writeInt32BE(header.pid, PID_AT)
  bytes.writeInt32BE(header.clean ? 1 : 0, CLEAN_AT)
  bytes.write(header.bootId ?? '', BOOT_ID_AT, BOOT_ID_BYTES, 'latin1')
  bytes.writeUInt32BE(crc32c(bytes, 0, CRC_AT), CRC_AT)
  return bytes
}

/** What `bytes` start with; undefined where that is no header of a format that is known here. */
export function readControlHeader(bytes: Buffer): ControlHeader | undefined {
  if (bytes.length < CONTROL_HEADER_BYTES) return undefined
  if (bytes.toString('latin1', 0, FORMAT_AT) !== MAGIC) return undefined
  if (bytes.readUInt32BE(CRC_AT) !== crc32c(bytes, 0, CRC_AT)) return undefined
  if (bytes.readInt32BE(FORMAT_AT) !== FORMAT) return undefined
  if (bytes.readInt32BE(SLOT_BYTES_AT) !== CONTROL_SLOT_BYTES) return undefined
  const bootId = bytes
    .toString('latin1', BOOT_ID_AT, BOOT_ID_AT + BOOT_ID_BYTES)
    .replace(/\0+$/, '')
  return {
    writerGeneration: bytes.readUInt32BE(GENERATION_AT),
    pid: bytes.readInt32BE(PID_AT),
    bootId: bootId === '' ? null : bootId,
    clean: bytes.readInt32BE(CLEAN_AT) === 1,
  }
}
