/**
 * One start: loads a package, opens a log with it and appends a record, in a process that did
 * nothing before, and prints what each step took. Started by start-up.ts, with nothing loaded that
 * a program of the package's user would not load.
 *
 *   node start-up-program.js <way> <address of the package's module> <directory>
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type * as Package from '../dist/index.js'
import type { Start, Way } from './start-up.ts'

const VALUE = Buffer.alloc(100, 'v')
const KEY = 'key-000000000000'
const TOPIC = 'bench'

/** Appends the record to what it opened; what it returns closes that. */
type Append = () => Promise<Close> | Close
type Close = () => unknown

/** What a package exports, of which each way knows its part. */
type Loaded = Readonly<Record<string, unknown>>

/** How each package is opened, at `directory`. What they export is declared where it is used. */
const ways: Readonly<Record<Way, (loaded: Loaded, directory: string) => Promise<Append> | Append>> =
  {
    streambed: async (loaded, directory) => {
      const { EventLog } = loaded as typeof Package // Its own declarations.
      const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
      return appending(log, await log.ensureTopic(TOPIC))
    },
    'streambed-in-memory': async (loaded) => {
      const { EventLog } = loaded as typeof Package // Its own declarations.
      const log = EventLog.inMemory()
      return appending(log, await log.ensureTopic(TOPIC))
    },
    'better-sqlite3': ({ default: exported }, directory) => {
      const Database = exported as new (path: string) => Sqlite // Its own signature, a part of it.
      const database = new Database(join(directory, 'log.sqlite'))
      database.pragma('journal_mode = WAL')
      database.pragma('synchronous = NORMAL')
      database.exec('create table if not exists log (id integer primary key, key text, value blob)')
      return () => {
        database.prepare('insert into log (key, value) values (?, ?)').run(KEY, VALUE)
        return () => database.close()
      }
    },
    lmdb: ({ open }, path) => {
      const options = { path, noSync: true, useWritemap: true, encoding: 'binary' }
      const database = (open as (options: object) => Lmdb)(options) // Its own signature.
      return () => {
        database.putSync(1, VALUE)
        return () => database.close()
      }
    },
    'classic-level': async ({ ClassicLevel }, directory) => {
      const Level = ClassicLevel as new (path: string, options: object) => Level // Its signature.
      const database = new Level(directory, { valueEncoding: 'buffer' })
      await database.open()
      return async () => {
        await database.put(KEY, VALUE)
        return () => database.close()
      }
    },
    'event-storage': async ({ default: exported }, storageDirectory) => {
      const EventStore = exported as new (name: string, options: object) => Store // Its signature.
      const store = new EventStore('bench', { storageDirectory })
      await new Promise((resolve) => store.once('ready', resolve))
      return async () => {
        await new Promise((resolve) => {
          store.commit(TOPIC, [{ key: KEY, value: VALUE.toString('latin1') }], resolve)
        })
        return () => store.close()
      }
    },
    file: (_, directory) => {
      const descriptor = openSync(join(directory, 'file'), 'a')
      return () => {
        writeSync(descriptor, VALUE)
        return () => closeSync(descriptor)
      }
    },
  }

interface Sqlite {
  pragma(text: string): unknown
  exec(sql: string): unknown
  prepare(sql: string): { run(...values: readonly unknown[]): unknown }
  close(): void
}

interface Lmdb {
  putSync(key: number, value: Buffer): void
  close(): Promise<void>
}

interface Level {
  open(): Promise<void>
  put(key: string, value: Buffer): Promise<void>
  close(): Promise<void>
}

interface Store {
  once(name: 'ready', listener: (value: unknown) => void): unknown
  commit(stream: string, events: readonly object[], done: (value: unknown) => void): void
  close(): void
}

function appending(log: Package.EventLog, topic: Package.Topic): Append {
  return () => {
    topic.partition(0).append({ key: KEY, value: VALUE })
    return () => log.close()
  }
}

async function start(way: Way, address: string, directory: string): Promise<void> {
  const bootedMs = performance.now() // Since the process began.
  const loaded = (await import(address)) as Loaded // A module's exports.
  const importedMs = performance.now()
  const append = await ways[way](loaded, directory)
  const openedMs = performance.now()
  const close = await append()
  const appendedMs = performance.now()
  const steps: Start = {
    bootMs: bootedMs,
    importMs: importedMs - bootedMs,
    openMs: openedMs - importedMs,
    appendMs: appendedMs - openedMs,
    residentBytes: process.memoryUsage.rss(),
    cpu: process.cpuUsage(),
  }
  await close()
  console.log(JSON.stringify(steps))
}

const [way = '', address = '', directory = ''] = process.argv.slice(2)
if (!(way in ways)) throw new Error(`nobody starts as ${way}`)
await start(way as Way, address, directory) // One of its keys.
