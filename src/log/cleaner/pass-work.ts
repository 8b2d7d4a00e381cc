/**
 * PassWork: how the work of a cleaner goes on beside that of others: in slices, at the rate that it
 * is allowed, until it is told to stop.
 *   I1  what was read or decoded since others had their turn is at most a slice, and one batch
 *   I2  once it is stopped every step says so
 */
import type { DeviceWait, Procedure } from '../../storage/procedure.ts'
import { nextTurn } from '../clock.ts'
import type { SegmentBatches } from './segment-batches.ts'

/** Bytes of batches, unpacked, that are looked at in one turn of the event loop. */
const SLICE_BYTES = 131_072

/** What holds a cleaner back. */
export interface PassLimits {
  /** So many bytes were read or written: what to wait for before going on, or nothing. */
  readonly throttle: (byteLength: number) => DeviceWait | undefined
  /** Asked at each step: true where the work is to end. */
  readonly isStopped: () => boolean
}

/** See the file's header. */
export class PassWork {
  readonly #limits: PassLimits
  #sliceBytes = 0
  /** Bytes of batches read, and written, in all. */
  readBytes = 0
  writtenBytes = 0
  #paidBytes = 0

  constructor(limits: PassLimits) {
    this.#limits = limits
  }

  /** Notes bytes that were looked at; true where others are to have their turn. Hot. */
  isSliceOver(byteLength: number): boolean {
    this.#sliceBytes += byteLength
    return this.#sliceBytes >= SLICE_BYTES
  }

  /** Lets others have their turn; false where the work is to end. */
  *turn(): Procedure<boolean> {
    yield nextTurn
    return yield* this.#paid()
  }

  /** Brings more batches; false where the work is to end. */
  *read(batches: SegmentBatches): Procedure<boolean> {
    this.readBytes += yield* batches.read()
    return yield* this.#paid()
  }

  /** Waits for what was read and written to be allowed. */
  *#paid(): Procedure<boolean> {
    this.#sliceBytes = 0
    if (this.#limits.isStopped()) return false
    const bytes = this.readBytes + this.writtenBytes
    if (bytes === this.#paidBytes) return true
    const wait = this.#limits.throttle(bytes - this.#paidBytes)
    this.#paidBytes = bytes
    if (wait !== undefined) yield wait
    return !this.#limits.isStopped()
  }
}
