/**
 * better-sqlite3 as a log: one table whose integer primary key is the offset, WAL, statements
 * prepared once. `NORMAL` survives a kill of the process, as acks 1 does; `FULL` a power cut.
 *
 *   log(id integer primary key, key text, value blob)
 */
import { join } from 'node:path'
import { crc32Of, mustEqual, type BenchRecord, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { openSqliteFile, type SqliteDatabase, type SqliteStatement } from './peer-packages.ts'

/** What it is in a contest. */
export const SQLITE = { role: 'peer', needs: 'better-sqlite3' } as const

/** How much a commit survives. */
export type SqliteSync = 'NORMAL' | 'FULL'

/** One row of the table. */
export interface SqliteRow {
  readonly id: number
  readonly key: string
  readonly value: Buffer
}

const PAGE_ROWS = 1_000
const FILL_BATCH_RECORDS = 10_000

/** A table that records are appended to. */
export class SqliteLog {
  readonly #database: SqliteDatabase
  readonly #insert: SqliteStatement
  readonly #insertAll: (records: readonly BenchRecord[]) => void
  readonly #page: SqliteStatement
  readonly #byId: SqliteStatement

  constructor(directory: string, sync: SqliteSync) {
    const database = openSqliteFile(join(directory, 'log.sqlite'))
    database.pragma('journal_mode = WAL')
    database.pragma(`synchronous = ${sync}`)
    database.exec('create table if not exists log (id integer primary key, key text, value blob)')
    const insert = database.prepare('insert into log (key, value) values (?, ?)')
    this.#database = database
    this.#insert = insert
    this.#insertAll = database.transaction((records: readonly BenchRecord[]) => {
      for (const { key, value } of records) insert.run(key, value)
    })
    this.#page = database.prepare('select id, key, value from log where id > ? order by id limit ?')
    this.#byId = database.prepare('select id, key, value from log where id = ?')
  }

  /** One record in a transaction of its own. */
  append({ key, value }: BenchRecord): void {
    this.#insert.run(key, value)
  }

  /** All of them in one transaction. */
  appendAll(records: readonly BenchRecord[]): void {
    this.#insertAll(records)
  }

  /** Visits every row, a page at a time: faster than its iterator. */
  scan(visit: (row: SqliteRow) => void): number {
    let lastId = 0
    let visited = 0
    for (;;) {
      const rows = this.#page.all(lastId, PAGE_ROWS) as SqliteRow[] // What the statement selects.
      for (const row of rows) visit(row)
      visited += rows.length
      if (rows.length < PAGE_ROWS) return visited
      lastId = rows.at(-1)?.id ?? lastId
    }
  }

  /** As `scan`, keeping where it is in a row of its own behind each page. */
  consume(visit: (row: SqliteRow) => void): number {
    this.#database.exec('create table if not exists position (id integer primary key, at integer)')
    const keep = this.#database.prepare('insert or replace into position (id, at) values (1, ?)')
    let visited = 0
    this.scan((row) => {
      visit(row)
      visited += 1
      if (visited % PAGE_ROWS === 0) keep.run(row.id)
    })
    return visited
  }

  /** The record at `offset`, from 0. */
  get(offset: number): SqliteRow {
    return this.#byId.get(offset + 1) as SqliteRow // What the statement selects.
  }

  /** Throws unless the table holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    const visited = this.scan(({ key, value }) => {
      crc = crc32Of(crc, key, value)
    })
    mustEqual(visited, recordCount, 'rows read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the rows read back')
  }

  close(): void {
    this.#database.close()
  }
}

/** A table of `recordCount` records. */
export function sqliteStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `sqlite-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const log = new SqliteLog(directory, 'NORMAL')
      for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) {
        const length = Math.min(FILL_BATCH_RECORDS, recordCount - from)
        log.appendAll(Array.from({ length }, (_, index) => dataset.at(from + index)))
      }
      log.check(dataset, recordCount)
      log.close()
    },
  }
}
