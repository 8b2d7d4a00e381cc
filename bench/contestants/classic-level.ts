/**
 * classic-level, the LevelDB binding, as a log: the offset is the key, key and value of a record
 * are its value. Tuned: chained batches, which take half the CPU of an array of operations, no
 * compression of bytes that do not compress, a large write buffer, iterators that fetch a thousand
 * values at once.
 *
 * Written: LevelDB hands its log to the kernel with every batch: survives a kill of the process,
 * as acks 1 does. Durable: `sync`, an fdatasync a batch, in a thread.
 */
import { crc32Of, KEY_BYTES, mustEqual, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { openLevelDirectory, type LevelBatch, type LevelDatabase } from './peer-packages.ts'
import { encodedRecords } from './shaped-records.ts'

/** What it is in a contest. */
export const CLASSIC_LEVEL = { role: 'peer', needs: 'classic-level' } as const

const KEY_DIGITS = 10
const PAGE_ENTRIES = 1_000
const PAGE_BYTES = 1_048_576
const FILL_BATCH_RECORDS = 10_000
const OPTIONS = { keyEncoding: 'utf8', valueEncoding: 'buffer', compression: false } as const
/** What is not yet sorted; opening reads all of it, so a log that is opened keeps the default. */
const LARGE_WRITE_BUFFER = { writeBufferSize: 67_108_864 } as const
const SYNC = { sync: true } as const

/** A database that records are appended to. */
export class ClassicLevelLog {
  readonly #database: LevelDatabase
  #nextOffset = 0

  private constructor(database: LevelDatabase) {
    this.#database = database
  }

  /** To be written. */
  static async create(this: void, directory: string): Promise<ClassicLevelLog> {
    return new ClassicLevelLog(
      await openLevelDirectory(directory, { ...OPTIONS, ...LARGE_WRITE_BUFFER }),
    )
  }

  /** To be read, or to be opened again fast. */
  static async open(this: void, directory: string): Promise<ClassicLevelLog> {
    return new ClassicLevelLog(await openLevelDirectory(directory, OPTIONS))
  }

  /** All of them in one batch; resolves when it is in the file. */
  appendAll(batch: readonly Buffer[]): Promise<void> {
    return this.#batchOf(batch).write()
  }

  /** The same; resolves when it is on stable storage. */
  appendAllDurably(batch: readonly Buffer[]): Promise<void> {
    return this.#batchOf(batch).write(SYNC)
  }

  /** One record; resolves when it is in the file. */
  put(bytes: Buffer): Promise<void> {
    return this.#database.put(keyOf(this.#nextOffset++), bytes)
  }

  /** The same; resolves when it is on stable storage. */
  putDurably(bytes: Buffer): Promise<void> {
    return this.#database.put(keyOf(this.#nextOffset++), bytes, SYNC)
  }

  /** Owned. */
  get(offset: number): Buffer {
    const bytes = this.#database.getSync(keyOf(offset))
    if (bytes === undefined) throw new RangeError('classic-level has no such record')
    return bytes
  }

  /** Visits the bytes of every record. */
  async scan(visit: (bytes: Buffer) => void): Promise<number> {
    const values = this.#database.values({ highWaterMarkBytes: PAGE_BYTES })
    let visited = 0
    for (;;) {
      const page = await values.nextv(PAGE_ENTRIES)
      if (page.length === 0) break
      for (const bytes of page) visit(bytes)
      visited += page.length
    }
    await values.close()
    return visited
  }

  /** Throws unless the database holds the first `recordCount` records, in order. */
  async check(dataset: Dataset, recordCount: number): Promise<void> {
    let crc = 0
    const visited = await this.scan((bytes) => {
      crc = crc32Of(crc, bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES))
    })
    mustEqual(visited, recordCount, 'entries read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the entries read back')
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  #batchOf(records: readonly Buffer[]): LevelBatch {
    const batch = this.#database.batch()
    for (const bytes of records) batch.put(keyOf(this.#nextOffset++), bytes)
    return batch
  }
}

/** Digits that sort as the number does. */
function keyOf(offset: number): string {
  return String(offset).padStart(KEY_DIGITS, '0')
}

/** A database of `recordCount` records. */
export function classicLevelStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `classic-level-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const log = await ClassicLevelLog.open(directory)
      const records = encodedRecords(dataset)
      const batchRecords = Math.max(1, Math.floor(FILL_BATCH_RECORDS / dataset.valueBytes) * 100)
      for (let from = 0; from < recordCount; from += batchRecords) {
        const length = Math.min(batchRecords, recordCount - from)
        await log.appendAll(Array.from({ length }, (_, index) => records.at(from + index)))
      }
      await log.check(dataset, recordCount)
      await log.close()
    },
  }
}
