/**
 * MappedWindow: one read-only mapping of a part of a file, from the moment it is made to its end.
 *
 * The only place that holds mapped memory; what is mapped when is mapping-pool.ts's business.
 *   I1  memory is unmapped only after every view of it was detached: a view that somebody kept is
 *       empty then, and touching it an exception instead of the end of the process
 *   I2  whoever forgets to close a window leaks it until the garbage collector finds it, not longer
 * What no process can be protected from: somebody else truncating the file, or a disk that cannot
 * give a page back, ends it with SIGBUS when that page is touched.
 */
import { assert } from '../errors/invariant.ts'
import type { NativeBinding, NativeMapping } from './native-binding.ts'

const NO_BYTES = Buffer.alloc(0)

/** `ArrayBuffer.prototype.transfer`, from Node 21 on. */
interface Transferable {
  transfer?(byteLength: number): ArrayBuffer
}

/** What a window leaves behind when it is collected without having been closed. */
interface Leak extends Omit<NativeMapping, 'bytes'> {
  readonly native: NativeBinding
}

let countOfProcess = 0

const leaks = new FinalizationRegistry<Leak>((leak) => {
  countOfProcess -= 1
  leak.native.unmap(leak)
})

/** Part of a file, as memory. */
export class MappedWindow {
  readonly #native: NativeBinding
  readonly #mapping: Omit<NativeMapping, 'bytes'>
  #bytes: Buffer
  /** Of its first byte in the file. */
  readonly position: number
  /** The pool's use counter at the last use: the smallest is idle for longest. */
  lastUse = 0

  private constructor(native: NativeBinding, position: number, mapping: NativeMapping) {
    const { bytes, address, byteLength } = mapping
    this.#native = native
    this.#mapping = { address, byteLength }
    this.#bytes = Buffer.from(bytes)
    this.position = position
    countOfProcess += 1
    leaks.register(bytes, { native, address, byteLength }, this)
  }

  /** Windows mapped now, whoever has them. */
  static get countOfProcess(): number {
    return countOfProcess
  }

  /** Maps `byteLength` bytes of the file, all of them below its end; undefined where that fails. */
  static map(
    native: NativeBinding,
    descriptor: number,
    position: number,
    byteLength: number,
  ): MappedWindow | undefined {
    assert(byteLength > 0, 'map: at least one byte')
    const mapping = native.mapFile(descriptor, position, byteLength)
    return mapping === null ? undefined : new MappedWindow(native, position, mapping)
  }

  /** Borrowed until the window is closed; empty from then on. Never written to. */
  get bytes(): Buffer {
    return this.#bytes
  }

  get byteLength(): number {
    return this.#mapping.byteLength
  }

  get isClosed(): boolean {
    return this.#bytes === NO_BYTES
  }

  /**
   * Has the kernel read from disk what of `[start, end)` is not in memory, in one go: touching it
   * page by page would wait for each. Both count from the window's first byte.
   */
  willNeed(start: number, end: number): void {
    assert(!this.isClosed, 'window: not used after close')
    this.#native.willNeed(this.#mapping.address + start, end - start)
  }

  /** Detaches every view, then unmaps (I1). A second close does nothing. */
  close(): void {
    if (this.isClosed) return
    const { buffer } = this.#bytes
    this.#bytes = NO_BYTES
    // Where an engine refuses to detach, the memory stays until nobody can touch it any more (I2).
    // `as`: a Buffer over an ArrayBuffer, which is what the constructor made it from.
    if (!detach(buffer as ArrayBuffer)) return
    leaks.unregister(this)
    countOfProcess -= 1
    this.#native.unmap(this.#mapping)
  }
}

/**
 * Empties an ArrayBuffer over memory of somebody else's, with all its views; false: it is as it
 * was.
 */
function detach(bytes: ArrayBuffer): boolean {
  try {
    // `as`: the types are those of the oldest engine, which has no `transfer`.
    const transferable = bytes as Transferable
    if (transferable.transfer !== undefined) transferable.transfer(0)
    else giveAway(bytes)
  } catch {
    return false
  }
  return bytes.byteLength === 0
}

/** A byte stream takes what it is given away from the giver, without copying it. */
function giveAway(bytes: ArrayBuffer): ReadableStream {
  return new ReadableStream({
    type: 'bytes',
    start(stream) {
      stream.enqueue(new Uint8Array(bytes))
    },
  })
}
