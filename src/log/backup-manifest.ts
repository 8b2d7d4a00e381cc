/**
 * streambed.backup: what a backup consists of, in the directory of the backup. With it a backup is
 * taken again in less time, and restored for what it was.
 *
 *   streambed backup 1
 *   generation 3                                       of this state of the backup
 *   log <id>                                           whose backup it is
 *   directory <id>                                     directory.id of the backup itself
 *   created 1767225600000
 *   partition orders 0 12 4096                    its first offset, and the one behind its last
 *   file 0a1b2c3d 1048576 orders-0/00000000000000000000.log    CRC-32C, bytes, path
 *   removed orders-0/00000000000000000012.snapshot     of the state before, not of this one
 *   crc32c 4d3c2b1a                                    of all that is above, for the last line
 *
 * Owns the text alone; who replaces the file, and when, is backup-directory.ts. A log may have a
 * hundred thousand files, so it is read and written in slices.
 */
import { assert } from '../errors/invariant.ts'
import { crc32c } from '../format/crc32c.ts'
import { isKafkaTopicName } from '../format/topic-name.ts'
import { readWholeFile } from '../storage/checkpoint-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { nextTurn } from './clock.ts'

/** The file's name in the directory of a backup. */
export const BACKUP_MANIFEST_FILE = 'streambed.backup'

const FIRST_LINE = 'streambed backup 1'
const LINES_A_TURN = 4_096
/** A name, or a name in a folder. */
const PATH = /^[A-Za-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]{1,255})?$/
const DOTS = /(?:^|\/)\.{1,2}(?:\/|$)/
const HEX = /^[0-9a-f]{8}$/
const COUNT = /^(?:0|[1-9]\d{0,15})$/

/** What a file is known by. */
export interface BackupFile {
  readonly sizeBytes: number
  /** CRC-32C of its bytes. */
  readonly crc: number
}

/** What a backup holds of one partition. */
export interface BackupPartition {
  readonly topic: string
  readonly partition: number
  readonly logStartOffset: number
  readonly logEndOffset: number
}

/** See the file's header. */
export interface BackupManifest {
  readonly generation: number
  readonly logId: string
  readonly directoryId: string
  readonly createdMs: number
  readonly partitions: readonly BackupPartition[]
  /** By path. */
  readonly files: ReadonlyMap<string, BackupFile>
  readonly removed: readonly string[]
}

/** What the manifest in the driver's directory says; null: it is damaged; undefined: none. */
export function* readBackupManifest(
  driver: StorageDriver,
): Procedure<BackupManifest | null | undefined> {
  const bytes = readWholeFile(driver, BACKUP_MANIFEST_FILE)
  if (bytes === undefined) return undefined
  return (yield* parseBackupManifest(bytes)) ?? null
}

/** The bytes of a manifest. */
export function* formatBackupManifest(manifest: BackupManifest): Procedure<Buffer> {
  const pieces: Buffer[] = []
  let lines: string[] = []
  for (const line of linesOf(manifest)) {
    lines.push(line)
    if (lines.length < LINES_A_TURN) continue
    pieces.push(textOf(lines))
    lines = []
    yield nextTurn
  }
  pieces.push(textOf(lines))
  const body = Buffer.concat(pieces)
  return Buffer.concat([body, textOf([`crc32c ${hex(crc32c(body, 0, body.length))}`])])
}

/** What the bytes say; undefined where they are not what was written. */
export function* parseBackupManifest(bytes: Buffer): Procedure<BackupManifest | undefined> {
  const end = bytes.lastIndexOf('\n', -2) + 1
  const lastLine = `crc32c ${hex(crc32c(bytes, 0, end))}\n`
  if (bytes.toString('latin1', end) !== lastLine) return undefined
  const parsing = new ManifestParsing()
  let lineCount = 0
  for (let start = 0; start < end;) {
    const lineEnd = bytes.indexOf('\n', start)
    if (!parsing.take(bytes.toString('latin1', start, lineEnd), lineCount)) return undefined
    start = lineEnd + 1
    lineCount += 1
    if (lineCount % LINES_A_TURN === 0) yield nextTurn
  }
  return parsing.result
}

function* linesOf(manifest: BackupManifest): Generator<string, void, undefined> {
  yield FIRST_LINE
  yield `generation ${manifest.generation}`
  yield `log ${manifest.logId}`
  yield `directory ${manifest.directoryId}`
  yield `created ${manifest.createdMs}`
  for (const { topic, partition, logStartOffset, logEndOffset } of manifest.partitions) {
    yield `partition ${topic} ${partition} ${logStartOffset} ${logEndOffset}`
  }
  for (const [path, { sizeBytes, crc }] of manifest.files) {
    assert(isBackupPath(path), 'what is written can be read')
    yield `file ${hex(crc)} ${sizeBytes} ${path}`
  }
  for (const path of manifest.removed) {
    assert(isBackupPath(path), 'what is written can be read')
    yield `removed ${path}`
  }
}

function textOf(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')
}

/** Takes the lines one after the other. */
class ManifestParsing {
  readonly #single = new Map<string, string>()
  readonly #partitions: BackupPartition[] = []
  readonly #files = new Map<string, BackupFile>()
  readonly #removed: string[] = []

  /** False for a line that no manifest has. */
  take(line: string, index: number): boolean {
    if (index === 0) return line === FIRST_LINE
    const [kind = '', ...words] = line.split(' ')
    if (kind === 'file') return this.#takeFile(words)
    if (kind === 'partition') return this.#takePartition(words)
    const [word = '', ...rest] = words
    if (rest.length > 0) return false
    if (kind === 'removed') return isBackupPath(word) && this.#removed.push(word) > 0
    if (this.#single.has(kind)) return false
    this.#single.set(kind, word)
    return true
  }

  /** Undefined where something is missing. */
  get result(): BackupManifest | undefined {
    const generation = countOf(this.#single.get('generation'))
    const createdMs = countOf(this.#single.get('created'))
    const logId = this.#single.get('log') ?? ''
    const directoryId = this.#single.get('directory') ?? ''
    if (generation === undefined || createdMs === undefined) return undefined
    if (logId === '' || directoryId === '') return undefined
    const [partitions, files, removed] = [this.#partitions, this.#files, this.#removed]
    return { generation, logId, directoryId, createdMs, partitions, files, removed }
  }

  #takeFile([crc = '', size, path = '', ...rest]: readonly string[]): boolean {
    const sizeBytes = countOf(size)
    const isFile =
      HEX.test(crc) && sizeBytes !== undefined && isBackupPath(path) && rest.length === 0
    if (!isFile || this.#files.has(path)) return false
    this.#files.set(path, { sizeBytes, crc: Number.parseInt(crc, 16) })
    return true
  }

  #takePartition([topic = '', number, start, end, ...rest]: readonly string[]): boolean {
    const partition = countOf(number)
    const logStartOffset = countOf(start)
    const logEndOffset = countOf(end)
    if (partition === undefined || logStartOffset === undefined || logEndOffset === undefined) {
      return false
    }
    if (!isKafkaTopicName(topic) || rest.length > 0) return false
    this.#partitions.push({ topic, partition, logStartOffset, logEndOffset })
    return true
  }
}

/** A path of a file that a backup may hold: nothing that was written by others leads elsewhere. */
export function isBackupPath(path: string): boolean {
  return PATH.test(path) && !DOTS.test(path)
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined || !COUNT.test(text)) return undefined
  const count = Number(text)
  return Number.isSafeInteger(count) ? count : undefined
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0')
}
