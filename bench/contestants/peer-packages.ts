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

/** The packages, by their names. */
export const PEER_PACKAGES = ['better-sqlite3', 'lmdb', 'classic-level', 'event-storage'] as const
/** One of them. */
export type PeerPackage = (typeof PEER_PACKAGES)[number]

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

/** Loads those that are there, so that opening what they wrote does not count their loading. */
export function loadPeers(): void {
  for (const name of PEER_PACKAGES) if (versionOf(name) !== undefined) load(name)
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
