/**
 * Control files with the checksums put right: no mutation hits a CRC, and behind it is what a
 * target is there for.
 */
import { crc32c } from '../../src/format/crc32c.ts'
import { CONTROL_HEADER_BYTES } from '../../src/storage/control-header.ts'
import {
  CONTROL_SLOT_BYTES,
  SLOT_COPY_BYTES,
  SLOT_KEY_BYTES,
  slotCopyAt,
} from '../../src/storage/control-slot.ts'

/** A copy whose header and slots have the checksums that they should. */
export function withControlChecksums(input: Buffer): Buffer {
  const bytes = Buffer.from(input)
  if (bytes.length < CONTROL_HEADER_BYTES) return bytes
  const crcAt = CONTROL_HEADER_BYTES - 4
  bytes.writeUInt32BE(crc32c(bytes, 0, crcAt), crcAt)
  for (let at = CONTROL_HEADER_BYTES; at + CONTROL_SLOT_BYTES <= bytes.length;) {
    for (const place of [0, 1]) sealCopy(bytes, at, at + slotCopyAt(place))
    at += CONTROL_SLOT_BYTES
  }
  return bytes
}

function sealCopy(bytes: Buffer, at: number, copyAt: number): void {
  const crcAt = copyAt + SLOT_COPY_BYTES - 4
  const key = bytes.subarray(at, at + SLOT_KEY_BYTES)
  const image = Buffer.concat([key, bytes.subarray(copyAt, crcAt)])
  bytes.writeUInt32BE(crc32c(image, 0, image.length), crcAt)
}
