/**
 * event-storage as a log: one stream, a record is an event `{ key, value }` with its value in
 * base64.
 *
 * Tuned: buffers of 64 KiB for reading and writing, of 16 KiB for its indexes. What it calls
 * committed is in the stream's file, but not in the indexes without which nobody finds it: those
 * it writes up to 100 ms later, and rebuilds from no file. So where records have to survive a kill
 * of the process it is told to write everything (`flush`), where they have to survive a power cut
 * with `syncOnFlush`, an fsync of each of its three files: peer-durability shows what is lost
 * without.
 */
import { crc32Of, mustEqual, type BenchRecord, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { newEventStore, type EventStore, type EventStorageOptions } from './peer-packages.ts'
import { bytesOf, jsonRecords, type JsonRecord } from './shaped-records.ts'

/** What it is in a contest. */
export const EVENT_STORAGE = { role: 'peer', needs: 'event-storage' } as const

const STREAM = 'bench'
const BUFFER_BYTES = 65_536
const INDEX_BUFFER_BYTES = 16_384
/** A document has to fit its read buffer: JSON, base64 and what it says of itself. */
const DOCUMENT_FACTOR = 2
const FILL_BATCH_RECORDS = 1_000

/** How a store is opened. */
export interface EventStorageTerms {
  /** Of the largest record. */
  readonly valueBytes?: number
  /** Syncs with each flush. */
  readonly isDurable?: boolean
  /** Documents in its buffer at most; 0 is its default: no bound. */
  readonly maxWriteBufferDocuments?: number
  /** Its own buffer sizes where this is false. */
  readonly isTuned?: boolean
  /** Takes the lock of a process that was killed. */
  readonly reclaimsLock?: boolean
}

/** An event store with one stream. */
export class EventStorageLog {
  readonly #store: EventStore

  private constructor(store: EventStore) {
    this.#store = store
  }

  /** Opens the store in `directory`, making it where there is none. */
  static async open(
    this: void,
    directory: string,
    terms: EventStorageTerms = {},
  ): Promise<EventStorageLog> {
    const options: EventStorageOptions = {
      maxWriteBufferDocuments: terms.maxWriteBufferDocuments ?? 0,
      syncOnFlush: terms.isDurable ?? false,
      ...(terms.isTuned === false ? {} : buffersFor(terms.valueBytes ?? 0)),
    }
    const store = newEventStore(directory, options, terms.reclaimsLock ?? false)
    await new Promise<void>((resolve) => {
      store.once('ready', resolve)
    })
    return new EventStorageLog(store)
  }

  /** All of them in one commit; some in its buffers when it returns. */
  commitAll(batch: readonly JsonRecord[]): void {
    this.#store.commit(STREAM, batch)
  }

  /** Writes its buffers, and syncs where it was opened as durable. */
  flush(): void {
    this.#store.storage.flush()
  }

  /** Resolves when the store calls the record committed. */
  commit(record: JsonRecord): Promise<void> {
    return new Promise((resolve) => {
      this.#store.commit(STREAM, [record], () => resolve())
    })
  }

  /** The record with its value as bytes; encoding them counts. */
  append({ key, value }: BenchRecord): void {
    this.#store.commit(STREAM, [{ key, value: value.toString('base64') }])
  }

  /** Calls `take` with each value that is committed from now on. */
  follow(take: (value: Buffer) => void): void {
    // A consumer wants a stream that is there: the first commit would make it.
    if (this.#store.getStreamVersion(STREAM) === -1) {
      this.#store.createEventStream(STREAM, { stream: STREAM })
    }
    const consumer = this.#store.getConsumer(STREAM, 'bench-consumer')
    consumer.on('data', (record) => take(bytesOf(record)))
  }

  /** Visits every record. */
  scan(visit: (record: JsonRecord) => void): number {
    const { storage } = this.#store
    if (storage.length === 0) return 0
    let visited = 0
    for (const { payload } of storage.readRange(1, storage.length)) {
      visit(payload)
      visited += 1
    }
    return visited
  }

  /** The record at `offset`, from 0. */
  get(offset: number): JsonRecord {
    const found = this.#store.storage.read(offset + 1)
    if (found === false) throw new RangeError('event-storage has no such record')
    return found.payload
  }

  /** Throws unless the stream holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    const visited = this.scan((record) => {
      crc = crc32Of(crc, record.key, bytesOf(record))
    })
    mustEqual(visited, recordCount, 'events read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the events read back')
  }

  close(): void {
    this.#store.close()
  }
}

function buffersFor(valueBytes: number): Partial<EventStorageOptions> {
  return {
    readBufferSize: Math.max(BUFFER_BYTES, DOCUMENT_FACTOR * valueBytes),
    writeBufferSize: BUFFER_BYTES,
    indexOptions: { writeBufferSize: INDEX_BUFFER_BYTES },
  }
}

/** A store of `recordCount` events. */
export function eventStorageStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `event-storage-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const { valueBytes } = dataset
      const log = await EventStorageLog.open(directory, { valueBytes })
      const records = jsonRecords(dataset)
      for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) {
        const length = Math.min(FILL_BATCH_RECORDS, recordCount - from)
        log.commitAll(Array.from({ length }, (_, index) => records.at(from + index)))
      }
      log.check(dataset, recordCount)
      log.close()
    },
  }
}
