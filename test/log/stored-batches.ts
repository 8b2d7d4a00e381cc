/**
 * Batches by hand, and .log files of them in memory: what the parts of recovery are asked about
 * one by one, without a log around them.
 */
import { assignOffsets, sealBatch } from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import type { ReadableLog } from '../../src/log/log-window.ts'
import { systemError, fileFailure } from '../../src/storage/file-failure.ts'
import type { Procedure } from '../../src/storage/procedure.ts'

/** What a batch is like; all but its offset is optional. */
export interface BatchShape {
  readonly baseOffset: number
  readonly recordCount?: number
  readonly valueBytes?: number
  readonly value?: Buffer
  readonly leaderEpoch?: number
  readonly timestamp?: number
}

/** A whole batch. Owned. */
export function batchOf(shape: BatchShape): Buffer {
  const { baseOffset, recordCount = 1, valueBytes = 8, leaderEpoch = 0, timestamp = 1 } = shape
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(256), 0)
  for (let index = 0; index < recordCount; index++) {
    builder.add(timestamp, null, shape.value ?? Buffer.alloc(valueBytes, 'v'), null)
  }
  builder.finish('none')
  const { buffer, start, sizeBytes } = builder
  const batch = Buffer.from(buffer.subarray(start, start + sizeBytes))
  assignOffsets(batch, 0, baseOffset, leaderEpoch)
  sealBatch(batch, 0)
  return batch
}

/** Where the CRC is, the length, and the epoch, which no CRC covers. */
export const FIELDS = { length: 8, leaderEpoch: 12, magic: 16, crc: 17 } as const

/** `batch` with another CRC than its bytes have. */
export function broken(batch: Buffer): Buffer {
  const copy = Buffer.from(batch)
  copy.writeUInt32BE((copy.readUInt32BE(FIELDS.crc) ^ 1) >>> 0, FIELDS.crc)
  return copy
}

/** No zeros, and no stretch of 4096 bytes like another one. */
export function patternOf(byteLength: number): Buffer {
  return Buffer.from(
    Array.from({ length: byteLength }, (_, at) => 1 + ((at * 7 + (at >>> 8)) % 255)),
  )
}

/** A file in memory whose pieces of 4096 bytes may be unreadable; remembers how it was read. */
export class BufferLog implements ReadableLog {
  readonly bytes: Buffer
  /** Numbers of the pieces that the device cannot read. */
  readonly badPieces: Set<number> = new Set()
  /** Another error than that. */
  failure: Error | undefined
  readonly reads: { readonly position: number; readonly byteLength: number }[] = []

  constructor(...parts: readonly Buffer[]) {
    this.bytes = Buffer.concat(parts)
  }

  read(target: Buffer, targetStart: number, byteLength: number, position: number): number {
    this.reads.push({ position, byteLength })
    if (this.failure !== undefined) throw this.failure
    for (const piece of this.badPieces) {
      if (position < (piece + 1) * 4096 && position + byteLength > piece * 4096) {
        throw fileFailure('read', 'file', systemError('EIO', 'a bad sector'))
      }
    }
    return this.bytes.copy(
      target,
      targetStart,
      position,
      Math.min(position + byteLength, this.bytes.length),
    )
  }
}

/** What `procedure` returns, and how often it let others have their turn. */
export function turnsOf<T>(procedure: Procedure<T>): {
  readonly result: T
  readonly turns: number
} {
  let turns = 0
  for (;;) {
    const step = procedure.next()
    if (step.done === true) return { result: step.value, turns }
    turns += 1
  }
}
