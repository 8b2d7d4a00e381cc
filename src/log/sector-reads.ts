/**
 * SectorReads: a file of which some sectors may be unreadable. A read that the device fails is made
 * again in pieces; what cannot be had reads as zeros, and is remembered. So one bad sector costs
 * the batches that lie in it, not the megabyte around it, nor the whole partition.
 */
import { isDeviceFailure } from '../storage/file-failure.ts'
import type { ReadableLog } from './log-window.ts'

/** Why a batch is bad that lies in such a sector. */
export const UNREADABLE = 'the device cannot read it'

/** What the kernel reads and fails as a whole. */
const PIECE_BYTES = 4096

/** A file that is read around what the device cannot give back. */
export class SectorReads implements ReadableLog {
  readonly #log: ReadableLog
  /** Positions of pieces that cannot be read; filled only where there are any. */
  readonly #lost = new Set<number>()

  constructor(log: ReadableLog) {
    this.#log = log
  }

  /** As the file's own `read`, but for what the device fails. */
  read(target: Buffer, targetStart: number, byteLength: number, position: number): number {
    try {
      return this.#log.read(target, targetStart, byteLength, position)
    } catch (error) {
      if (!isDeviceFailure(error)) throw error
    }
    let done = 0
    while (done < byteLength) {
      const at = position + done
      const pieceBytes = Math.min(PIECE_BYTES - (at % PIECE_BYTES), byteLength - done)
      const read = this.#readPiece(target, targetStart + done, pieceBytes, at)
      done += read
      if (read < pieceBytes) break
    }
    return done
  }

  /** Whether anything between these positions could not be read, as far as it was tried. */
  isLost(position: number, end: number): boolean {
    if (this.#lost.size === 0) return false
    for (let at = position - (position % PIECE_BYTES); at < end; at += PIECE_BYTES) {
      if (this.#lost.has(at)) return true
    }
    return false
  }

  #readPiece(target: Buffer, targetStart: number, byteLength: number, position: number): number {
    try {
      return this.#log.read(target, targetStart, byteLength, position)
    } catch (error) {
      if (!isDeviceFailure(error)) throw error
      this.#lost.add(position - (position % PIECE_BYTES))
      target.fill(0, targetStart, targetStart + byteLength)
      return byteLength
    }
  }
}
