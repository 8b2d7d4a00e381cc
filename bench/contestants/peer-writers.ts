/**
 * Ways to write one record and to be told that it is safe, and what is left of them after a kill:
 * those whose time the other questions take, and those that are said to be safe and are not.
 */
import type { Dataset } from '../runner/dataset.ts'
import { crc32Of, KEY_BYTES } from '../runner/dataset.ts'
import type { Entry } from '../runner/contest.ts'
import { CLASSIC_LEVEL, ClassicLevelLog } from './classic-level.ts'
import { EVENT_STORAGE, EventStorageLog } from './event-storage.ts'
import { JSON_LINES, JsonLines } from './json-lines.ts'
import { LMDB, LmdbLog } from './lmdb.ts'
import { bytesOf, encodedRecords, jsonRecords, type JsonRecord } from './shaped-records.ts'
import { SQLITE, SqliteLog, type SqliteSync } from './sqlite.ts'
import { StreambedLog } from './streambed.ts'

/** What a process that will be killed is asked to do. */
export interface KilledErrand {
  readonly writer: string
  readonly directory: string
  readonly valueBytes: number
  readonly recordCount: number
}

/** What was found: records, and the checksum over all of them in order. */
export interface Survivors {
  readonly recordCount: number
  readonly crc: number
}

/** Writes record `index`; over, or resolved, when it is called safe. */
export type AppendOne = (index: number) => unknown

/** A way to write. */
export interface PeerWriter extends Entry {
  /** Opens a store in an empty directory. */
  open(directory: string, dataset: Dataset): Promise<AppendOne> | AppendOne
  /** Opens it again after the kill and reads everything. */
  survivors(directory: string): Promise<Survivors> | Survivors
}

/** All of them. */
export const peerWriters: readonly PeerWriter[] = [
  streambedWriter(1),
  streambedWriter('all'),
  sqliteWriter('NORMAL'),
  sqliteWriter('FULL'),
  lmdbWriter('written'),
  lmdbWriter('durable'),
  levelWriter(false),
  levelWriter(true),
  eventWriter('event-storage, committed', false, (log, record) => log.commit(record)),
  eventWriter('event-storage syncOnFlush, committed', true, (log, record) => log.commit(record)),
  eventWriter('event-storage syncOnFlush, flushed', true, (log, record) => {
    log.commitAll([record])
    log.flush()
  }),
  {
    name: 'json lines',
    ...JSON_LINES,
    open: (directory, dataset) => {
      const file = JsonLines.open(directory)
      const records = jsonRecords(dataset)
      return (index) => file.appendAll([records.at(index)])
    },
    survivors: jsonSurvivors,
  },
]

/** Adds up what was read. */
class Count {
  recordCount = 0
  crc = 0

  add(key: string | Uint8Array, value: Uint8Array): void {
    this.recordCount += 1
    this.crc = crc32Of(this.crc, key, value)
  }

  addEncoded(bytes: Buffer): void {
    this.add(bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES))
  }

  addJson(record: JsonRecord): void {
    this.add(record.key, bytesOf(record))
  }
}

function streambedWriter(acks: 1 | 'all'): PeerWriter {
  return {
    name: `streambed, acks ${acks}`,
    role: 'ours',
    open: async (directory, dataset) => {
      const { log, topic } = await StreambedLog.open(directory)
      const producer = log.producer({ acks })
      return (index) => producer.send(topic, dataset.at(index))
    },
    survivors: async (directory) => {
      const open = await StreambedLog.open(directory)
      const count = new Count()
      for (const { key, value } of open.partition.records()) {
        if (key !== null && value !== null) count.add(key, value)
      }
      await open.close()
      return count
    },
  }
}

function sqliteWriter(sync: SqliteSync): PeerWriter {
  return {
    name: `sqlite ${sync}`,
    ...SQLITE,
    open: (directory, dataset) => {
      const log = new SqliteLog(directory, sync)
      return (index) => log.append(dataset.at(index))
    },
    survivors: (directory) => {
      const log = new SqliteLog(directory, sync)
      const count = new Count()
      log.scan(({ key, value }) => count.add(key, value))
      log.close()
      return count
    },
  }
}

function lmdbWriter(sync: 'written' | 'durable'): PeerWriter {
  return {
    name: sync === 'written' ? 'lmdb noSync' : 'lmdb',
    ...LMDB,
    open: (directory, dataset) => {
      const log = new LmdbLog(directory, sync)
      const records = encodedRecords(dataset)
      return (index) => log.put(records.at(index))
    },
    survivors: async (directory) => {
      const log = new LmdbLog(directory, sync)
      const count = new Count()
      for (let bytes = log.find(0); bytes !== undefined; bytes = log.find(count.recordCount)) {
        count.addEncoded(bytes)
      }
      await log.close()
      return count
    },
  }
}

function levelWriter(isDurable: boolean): PeerWriter {
  return {
    name: isDurable ? 'classic-level sync' : 'classic-level',
    ...CLASSIC_LEVEL,
    open: async (directory, dataset) => {
      const log = await ClassicLevelLog.create(directory)
      const records = encodedRecords(dataset)
      return (index) => (isDurable ? log.putDurably(records.at(index)) : log.put(records.at(index)))
    },
    survivors: async (directory) => {
      const log = await ClassicLevelLog.open(directory)
      const count = new Count()
      await log.scan((bytes) => count.addEncoded(bytes))
      await log.close()
      return count
    },
  }
}

function eventWriter(
  name: string,
  isDurable: boolean,
  append: (log: EventStorageLog, record: JsonRecord) => unknown,
): PeerWriter {
  return {
    name,
    ...EVENT_STORAGE,
    open: async (directory, dataset) => {
      const log = await EventStorageLog.open(directory, { isDurable, isTuned: false })
      const records = jsonRecords(dataset)
      return (index) => append(log, records.at(index))
    },
    survivors: async (directory) => {
      const log = await EventStorageLog.open(directory, { reclaimsLock: true })
      const count = new Count()
      log.scan((record) => count.addJson(record))
      log.close()
      return count
    },
  }
}

function jsonSurvivors(directory: string): Survivors {
  const file = JsonLines.open(directory)
  const count = new Count()
  file.scan((record) => count.addJson(record))
  file.close()
  return count
}
