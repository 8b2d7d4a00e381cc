/**
 * The limits: the same bytes with nothing around them. A raw file has a length before each record
 * and no more: no checksum, offset, timestamp or index. Memory has not even a file.
 *
 *   length int32 of what follows | key | value
 */
import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32Of, KEY_BYTES, mustEqual, type BenchRecord, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'

/** Bytes before each record. */
export const LENGTH_BYTES = 4
/** Larger than any batch that is measured. */
const BUFFER_BYTES = 12_582_912
const READ_BYTES = 262_144
const PREALLOCATED_BYTES = 16_777_216
const FILL_BATCH_BYTES = 65_536

/** Copies records into memory that is used again and again. */
export class FrameBuffer {
  readonly bytes: Buffer = Buffer.alloc(BUFFER_BYTES)
  usedBytes = 0
  #passedBytes = 0

  add({ key, value }: BenchRecord): void {
    const at = this.usedBytes
    this.bytes.writeInt32BE(KEY_BYTES + value.length, at)
    this.bytes.write(key, at + LENGTH_BYTES, 'latin1')
    this.bytes.set(value, at + LENGTH_BYTES + KEY_BYTES)
    this.usedBytes = at + LENGTH_BYTES + KEY_BYTES + value.length
  }

  /** The next record goes to the start again. */
  startOver(): void {
    this.#passedBytes += this.usedBytes
    this.usedBytes = 0
  }

  /** Throws unless so many records were copied. */
  check(dataset: Dataset, recordCount: number): void {
    const frameBytes = dataset.byteCount(recordCount) + LENGTH_BYTES * recordCount
    mustEqual(this.#passedBytes + this.usedBytes, frameBytes, 'bytes copied')
  }

  close(): void {}
}

/** A file that batches are appended to by positioned writes. */
export class RawFile {
  readonly #fd: number
  readonly #frames = new FrameBuffer()
  #sizeBytes: number

  private constructor(fd: number) {
    this.#fd = fd
    this.#sizeBytes = fstatSync(fd).size
  }

  /** An empty file, to be written. */
  static create(this: void, directory: string): RawFile {
    return new RawFile(openSync(pathIn(directory), 'w+'))
  }

  /** A file of `rawStore`, to be read. */
  static open(this: void, directory: string): RawFile {
    return new RawFile(openSync(pathIn(directory), 'r'))
  }

  /** Makes the file as large as what will be written: a sync then has no size to store. */
  preallocate(sizeBytes: number = PREALLOCATED_BYTES): void {
    ftruncateSync(this.#fd, sizeBytes)
  }

  /** Adds a record to the next write. */
  add(record: BenchRecord): void {
    this.#frames.add(record)
  }

  /** One positioned write of what was added. */
  write(): void {
    const frames = this.#frames
    const written = writeSync(this.#fd, frames.bytes, 0, frames.usedBytes, this.#sizeBytes)
    mustEqual(written, frames.usedBytes, 'bytes taken by one write')
    this.#sizeBytes += written
    frames.startOver()
  }

  /** One write of all of them. */
  appendAll(records: readonly BenchRecord[]): void {
    for (const record of records) this.#frames.add(record)
    this.write()
  }

  /** Resolves when what was written is on stable storage. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
  }

  /**
   * Visits every record by positioned reads of 256 KiB; positions are those of the chunk. Returns
   * how many there were.
   */
  scan(visit: (chunk: Buffer, recordStart: number, recordLength: number) => void): number {
    const chunk = Buffer.alloc(READ_BYTES)
    let visited = 0
    for (let position = 0; position < this.#sizeBytes;) {
      const byteLength = Math.min(READ_BYTES, this.#sizeBytes - position)
      const read = readSync(this.#fd, chunk, 0, byteLength, position)
      const [count, used] = visitFrames(chunk, read, visit)
      visited += count
      position += used
    }
    return visited
  }

  /** One positioned read into all of `target`. */
  readInto(target: Buffer, position: number): void {
    readSync(this.#fd, target, 0, target.length, position)
  }

  /** Throws unless the file holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    const visited = this.scan((chunk, start, length) => {
      const record = chunk.subarray(start, start + length)
      crc = crc32Of(crc, record.subarray(0, KEY_BYTES), record.subarray(KEY_BYTES))
    })
    mustEqual(visited, recordCount, 'frames read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the frames read back')
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** A file of `rawStore` in memory. */
export class RawMemory {
  readonly bytes: Buffer

  constructor(directory: string) {
    this.bytes = readFileSync(pathIn(directory))
  }

  check(): void {}
  close(): void {}
}

/** Where the file of a store lies. */
function pathIn(directory: string): string {
  return join(directory, 'frames')
}

/** Visits the whole frames in `chunk`; returns how many there are, and their bytes. */
export function visitFrames(
  chunk: Buffer,
  chunkBytes: number,
  visit: (chunk: Buffer, recordStart: number, recordLength: number) => void,
): readonly [count: number, usedBytes: number] {
  let at = 0
  let count = 0
  while (at + LENGTH_BYTES <= chunkBytes) {
    const length = chunk.readInt32BE(at)
    if (at + LENGTH_BYTES + length > chunkBytes) break
    visit(chunk, at + LENGTH_BYTES, length)
    at += LENGTH_BYTES + length
    count += 1
  }
  return [count, at]
}

/** A file of `recordCount` records. */
export function rawStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `raw-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const file = RawFile.create(directory)
      const batchRecords = Math.max(1, Math.floor(FILL_BATCH_BYTES / dataset.valueBytes))
      for (let from = 0; from < recordCount; from += batchRecords) {
        const end = Math.min(recordCount, from + batchRecords)
        for (let index = from; index < end; index += 1) file.add(dataset.at(index))
        file.write()
      }
      file.check(dataset, recordCount)
      file.close()
    },
  }
}
