/**
 * lmdb as a log: the offset is the key, key and value of a record are its value. Tuned as far as
 * its manual goes: keys as uint32, `append`, values encoded beforehand, no copy when reading.
 *
 * Written: no syncs, a writable mapping: survives a kill of the process, as acks 1 does. Durable: a
 * commit is over when it is synced.
 */
import { crc32Of, KEY_BYTES, mustEqual, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { openLmdbDirectory, type LmdbDatabase } from './peer-packages.ts'
import { encodedRecords } from './shaped-records.ts'

/** What it is in a contest. */
export const LMDB = { role: 'peer', needs: 'lmdb' } as const

const FILL_BATCH_RECORDS = 10_000
const APPEND = { append: true }

/** A database that records are appended to. */
export class LmdbLog {
  readonly #database: LmdbDatabase
  readonly #append: () => void
  #batch: readonly Buffer[] = []
  #nextOffset: number

  constructor(directory: string, sync: 'written' | 'durable', nextOffset: number = 0) {
    this.#nextOffset = nextOffset
    const options = { path: directory, encoding: 'binary', keyEncoding: 'uint32' } as const
    this.#database = openLmdbDirectory(
      sync === 'written'
        ? { ...options, noSync: true, useWritemap: true }
        : { ...options, overlappingSync: false },
    )
    this.#append = () => {
      for (const bytes of this.#batch) this.#database.putSync(this.#nextOffset++, bytes, APPEND)
    }
  }

  /** All of them in one transaction; in the file when it returns. */
  appendAll(batch: readonly Buffer[]): void {
    this.#batch = batch
    this.#database.transactionSync(this.#append)
  }

  /** One record, in lmdb's own group commit; resolves when that is over. */
  put(bytes: Buffer): Promise<boolean> {
    return this.#database.put(this.#nextOffset++, bytes)
  }

  /** Borrowed until the next call; undefined where there is no such record. */
  find(offset: number): Buffer | undefined {
    return this.#database.getBinaryFast(offset)
  }

  /** Borrowed until the next call. */
  get(offset: number): Buffer {
    const bytes = this.#database.getBinaryFast(offset)
    if (bytes === undefined) throw new RangeError('lmdb has no such record')
    return bytes
  }

  /** Owned. */
  getOwned(offset: number): Buffer {
    const bytes = this.#database.getBinary(offset)
    if (bytes === undefined) throw new RangeError('lmdb has no such record')
    return bytes
  }

  /** Throws unless the database holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    for (let offset = 0; offset < recordCount; offset += 1) {
      const bytes = this.get(offset)
      crc = crc32Of(crc, bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES))
    }
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the entries read back')
    mustEqual(this.#nextOffset, recordCount, 'entries written')
  }

  close(): Promise<void> {
    return this.#database.close()
  }
}

/** A database of `recordCount` records. */
export function lmdbStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `lmdb-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const log = new LmdbLog(directory, 'written')
      const records = encodedRecords(dataset)
      for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) {
        const length = Math.min(FILL_BATCH_RECORDS, recordCount - from)
        log.appendAll(Array.from({ length }, (_, index) => records.at(from + index)))
      }
      log.check(dataset, recordCount)
      await log.close()
    },
  }
}
