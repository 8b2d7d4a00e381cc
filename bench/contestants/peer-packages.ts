/**
 * The packages that streambed is compared with, installed by `npm install --prefix bench`. Only the
 * parts of them that are used are declared here, so that the project type-checks without them.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BENCH = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const load = createRequire(join(BENCH, 'package.json'))

/** Stores inside the process, by the names of their packages. */
export const STORE_PACKAGES = ['better-sqlite3', 'lmdb', 'classic-level', 'event-storage'] as const
/** One of them. */
export type StorePackage = (typeof STORE_PACKAGES)[number]
/** All packages: a client of Kafka too. */
export const PEER_PACKAGES: readonly PeerPackage[] = [...STORE_PACKAGES, 'kafkajs']
/** One of them. */
export type PeerPackage = StorePackage | 'kafkajs'

/** A prepared statement of better-sqlite3. */
export interface SqliteStatement {
  run(...values: readonly unknown[]): unknown
  get(...values: readonly unknown[]): unknown
  all(...values: readonly unknown[]): unknown[]
}

/** A database of better-sqlite3. */
export interface SqliteDatabase {
  pragma(text: string): unknown
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  transaction<T>(work: (value: T) => void): (value: T) => void
  close(): void
}

/** A database of lmdb with number keys and Buffer values. */
export interface LmdbDatabase {
  put(key: number, value: Buffer): Promise<boolean>
  putSync(key: number, value: Buffer, options: { readonly append: boolean }): void
  transactionSync<T>(work: () => T): T
  getBinaryFast(key: number): Buffer | undefined
  getBinary(key: number): Buffer | undefined
  close(): Promise<void>
}

/** Options of lmdb that are set here. */
export interface LmdbOptions {
  readonly path: string
  readonly encoding: 'binary'
  readonly keyEncoding: 'uint32'
  readonly noSync?: boolean
  readonly useWritemap?: boolean
  readonly overlappingSync?: boolean
}

/** One record of a batch of classic-level that is given as a list. */
export interface LevelPut {
  readonly type: 'put'
  readonly key: string
  readonly value: Buffer
}

/** A batch of classic-level, filled operation by operation. */
export interface LevelBatch {
  put(key: string, value: Buffer): unknown
  write(options?: LevelWriteOptions): Promise<void>
}

/** What classic-level writes with. */
export interface LevelWriteOptions {
  readonly sync: boolean
}

/** The values of a database of classic-level, in the order of their keys. */
export interface LevelValues {
  nextv(count: number): Promise<readonly Buffer[]>
  close(): Promise<void>
}

/** A database of classic-level with text keys and Buffer values. */
export interface LevelDatabase {
  open(): Promise<void>
  batch(): LevelBatch
  batch(operations: readonly LevelPut[]): Promise<void>
  put(key: string, value: Buffer, options?: LevelWriteOptions): Promise<void>
  getSync(key: string): Buffer | undefined
  values(options: { readonly highWaterMarkBytes: number }): LevelValues
  close(): Promise<void>
}

/** Options of classic-level that are set here. */
export interface LevelOptions {
  readonly keyEncoding: 'utf8'
  readonly valueEncoding: 'buffer'
  readonly compression: boolean
  readonly writeBufferSize?: number
}

/** An event as it is stored here. */
export interface StoredEvent {
  readonly key: string
  readonly value: string
}

/** What lies below an event store; its documents are numbered from 1. */
export interface EventStorage {
  readonly length: number
  flush(): unknown
  read(number: number): { readonly payload: StoredEvent } | false
  readRange(from: number, until: number): Iterable<{ readonly payload: StoredEvent }>
}

/** A store of event-storage. */
export interface EventStore {
  readonly storage: EventStorage
  once(event: 'ready', listener: () => void): unknown
  commit(stream: string, events: readonly StoredEvent[], callback?: () => void): void
  /** -1 where there is no such stream. */
  getStreamVersion(stream: string): number
  createEventStream(stream: string, matcher: { readonly stream: string }): unknown
  getConsumer(
    stream: string,
    name: string,
  ): { on(event: 'data', listener: (record: StoredEvent) => void): unknown }
  close(): void
}

/** Options of event-storage that are set here. */
export interface EventStorageOptions {
  readonly readBufferSize?: number
  readonly writeBufferSize?: number
  readonly maxWriteBufferDocuments: number
  readonly syncOnFlush: boolean
  readonly indexOptions?: { readonly writeBufferSize: number }
}

/** Opens a database file with better-sqlite3. */
export function openSqliteFile(path: string): SqliteDatabase {
  // The package's own signature, of which this is a part.
  const Database = load('better-sqlite3') as new (path: string) => SqliteDatabase
  return new Database(path)
}

/** Opens a directory with lmdb. */
export function openLmdbDirectory(options: LmdbOptions): LmdbDatabase {
  // The package's own signature, of which this is a part.
  const lmdb = load('lmdb') as { open(from: LmdbOptions): LmdbDatabase }
  return lmdb.open(options)
}

/** Opens a directory with classic-level. */
export async function openLevelDirectory(
  directory: string,
  options: LevelOptions,
): Promise<LevelDatabase> {
  // The package's own signature, of which this is a part.
  const { ClassicLevel } = load('classic-level') as {
    readonly ClassicLevel: new (directory: string, options: LevelOptions) => LevelDatabase
  }
  const database = new ClassicLevel(directory, options)
  await database.open()
  return database
}

/** Makes a store of event-storage, which is open when it says 'ready'. */
export function newEventStore(
  storageDirectory: string,
  options: EventStorageOptions,
  reclaimsLock: boolean,
): EventStore {
  // The package's own signature, of which this is a part.
  const Store = load('event-storage') as {
    new (name: string, options: object): EventStore
    readonly LOCK_RECLAIM: number
  }
  const lock = reclaimsLock ? { lock: Store.LOCK_RECLAIM } : {}
  return new Store('bench', { storageDirectory, storageConfig: { ...options, ...lock } })
}

/** Loads the stores that are there: opening what they wrote does not count their loading. */
export function loadPeers(): void {
  for (const name of STORE_PACKAGES) if (versionOf(name) !== undefined) load(name)
  // Its native part comes with the first database.
  if (versionOf('better-sqlite3') !== undefined) openSqliteFile(':memory:').close()
}

/** The version that is installed; undefined where none is. */
export function versionOf(name: PeerPackage): string | undefined {
  const path = join(BENCH, 'node_modules', name, 'package.json')
  if (!existsSync(path)) return undefined
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as { version: string } // npm's own file.
  return manifest.version
}
