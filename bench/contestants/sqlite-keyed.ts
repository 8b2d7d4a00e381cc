/**
 * better-sqlite3 as a log that is cleaned: every record a row, the newest of a key counts. Cleaning
 * is what its users do: superseded rows are deleted, then VACUUM writes the file anew.
 *
 *   log(id integer primary key, key text, value blob)
 */
import { join } from 'node:path'
import { mustEqual } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { openSqliteFile, type SqliteDatabase } from './peer-packages.ts'
import { keyOf, type KeyedPlan, lastWritten } from './streambed-housekeeping.ts'

const FILL_BATCH_RECORDS = 10_000

/** A table in which keys come again and again. */
export class SqliteKeyedLog {
  readonly #database: SqliteDatabase

  constructor(directory: string) {
    this.#database = openSqliteFile(join(directory, 'log.sqlite'))
    this.#database.pragma('journal_mode = WAL')
    this.#database.pragma('synchronous = NORMAL')
    this.#database.exec(
      'create table if not exists log (id integer primary key, key text, value blob)',
    )
  }

  /** Appends the records of `plan`. */
  fill({ dataset, recordCount, keyCount }: KeyedPlan): void {
    const insert = this.#database.prepare('insert into log (key, value) values (?, ?)')
    const insertFrom = this.#database.transaction((from: number) => {
      const end = Math.min(from + FILL_BATCH_RECORDS, recordCount)
      for (let index = from; index < end; index += 1) {
        insert.run(keyOf(index, keyCount), dataset.at(index).value)
      }
    })
    for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) insertFrom(from)
  }

  /** Leaves the newest row of each key, and gives the space of the others back. */
  compact(): void {
    this.#database.exec('delete from log where id not in (select max(id) from log group by key)')
    this.#database.exec('vacuum')
    this.#database.pragma('wal_checkpoint(truncate)')
  }

  /** Throws unless each key has one row left, the last one. */
  checkCompacted(plan: KeyedPlan): void {
    const last = lastWritten(plan)
    const rows = this.#database.prepare('select count(*) as count, sum(id) as ids from log').all()
    const [{ count, ids }] = rows as [{ count: number; ids: number }] // What the statement selects.
    mustEqual(count, last.size, 'rows that are left')
    let sum = 0
    for (const index of last.values()) sum += index + 1
    mustEqual(ids, sum, 'the rows that are left')
  }

  close(): void {
    this.#database.close()
  }
}

/** A table that nobody has cleaned yet. */
export function sqliteKeyedStore(plan: KeyedPlan): Store {
  return {
    name: `sqlite-keyed-${plan.recordCount}-${plan.keyCount}`,
    async fill(directory) {
      const log = new SqliteKeyedLog(directory)
      log.fill(plan)
      log.close()
    },
  }
}
