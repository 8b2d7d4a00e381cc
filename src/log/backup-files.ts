/**
 * Bringing one file into a backup: kept where it is there already, linked where it may be shared,
 * copied otherwise. A file is known by its path, its size and its CRC-32C; that two names are of
 * one file says the same without reading it.
 */
import { LogError } from '../errors/log-error.ts'
import { crc32c, extendCrc32c } from '../format/crc32c.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver, StorageFile } from '../storage/storage-driver.ts'
import type { BackupDirectory } from './backup-directory.ts'
import type { BackupFile } from './backup-manifest.ts'

/** What is read, and written, before the event loop has its turn. */
const COPY_BYTES = 262_144

/** What was done. */
export interface BackupCounts {
  /** Files made, by copying or linking. */
  files: number
  linked: number
  /** Of what was copied. */
  bytes: number
}

/** A file to be in a backup. */
export interface SourceFile {
  readonly driver: StorageDriver
  readonly sourcePath: string
  /** In the backup. */
  readonly path: string
  /** So much of it from its start. */
  readonly sizeBytes: number
  readonly isShareable: boolean
}

/** Brings files into one state of a backup. */
export class BackupFiles {
  /** Bytes of all files that are there by now, and the one that was brought last. */
  readonly progress: { bytes: number; file: string } = { bytes: 0, file: '' }
  readonly counts: BackupCounts = { files: 0, linked: 0, bytes: 0 }
  readonly #target: BackupDirectory
  readonly #earlier: ReadonlyMap<string, BackupFile>

  /** `earlier` is what the state before consists of, unless its files have changed. */
  constructor(target: BackupDirectory, earlier: ReadonlyMap<string, BackupFile>) {
    this.#target = target
    this.#earlier = earlier
  }

  /** A small file with just these bytes. */
  *bringBytes(path: string, bytes: Buffer): Procedure<void> {
    const known = { sizeBytes: bytes.length, crc: crc32c(bytes, 0, bytes.length) }
    if (yield* this.#isThere(path, known)) {
      this.#kept(path, known)
      return
    }
    const file = this.#target.create(path)
    try {
      file.write(bytes, 0, bytes.length, 0)
      yield () => file.flush()
    } finally {
      file.close()
    }
    this.#made(path, known, bytes.length)
  }

  /**
   * A file of the log.
   * @throws {LogError} IO where it is not there, or shorter than it was; `isMissingFile` tells.
   */
  *bringFile(source: SourceFile): Procedure<void> {
    const { driver, sourcePath, path, sizeBytes } = source
    const earlier = this.#earlier.get(path)
    const { isShareable } = source
    const isShared = this.#isShared(source)
    const isOfSize = earlier?.sizeBytes === sizeBytes
    if (isShared && isShareable && isOfSize) {
      this.#kept(path, earlier)
      return
    }
    // What is shared and must not be is copied.
    if (isShareable || (isOfSize && !isShared)) {
      const known = { sizeBytes, crc: yield* checksumOf(driver, sourcePath, sizeBytes) }
      if (isShared || (yield* this.#isThere(path, known))) {
        this.#kept(path, known)
        return
      }
      if (isShareable && this.#target.link(path, driver, sourcePath)) {
        this.counts.linked += 1
        this.#made(path, known, 0)
        return
      }
    }
    const crc = yield* this.#copy(source)
    this.#made(path, { sizeBytes, crc }, sizeBytes)
  }

  #made(path: string, known: BackupFile, bytes: number): void {
    this.#kept(path, known)
    this.counts.files += 1
    this.counts.bytes += bytes
  }

  #kept(path: string, known: BackupFile): void {
    this.#target.files.set(path, known)
    this.progress.bytes += known.sizeBytes
    this.progress.file = path
  }

  #isShared({ driver, sourcePath, path }: SourceFile): boolean {
    return driver.isLinked?.(sourcePath, this.#target.driver, path) ?? false
  }

  /** Whether the state before has the file as it has to be: it is read, as it may have decayed. */
  *#isThere(path: string, { sizeBytes, crc }: BackupFile): Procedure<boolean> {
    const earlier = this.#earlier.get(path)
    if (earlier?.sizeBytes !== sizeBytes || earlier.crc !== crc) return false
    const { driver } = this.#target
    const status = driver.status(path)
    if (status?.kind !== 'file' || status.sizeBytes !== sizeBytes) return false
    return (yield* checksumOf(driver, path, sizeBytes)) === crc
  }

  *#copy({ driver, sourcePath, path, sizeBytes }: SourceFile): Procedure<number> {
    const source = driver.openFile(sourcePath, 'read')
    try {
      const target = this.#target.create(path)
      try {
        let crc = 0
        for (let position = 0; position < sizeBytes;) {
          const bytes = yield* readPiece(source, position, sizeBytes)
          target.write(bytes, 0, bytes.length, position)
          crc = extendCrc32c(crc, bytes)
          position += bytes.length
        }
        yield () => target.flush()
        return crc
      } finally {
        target.close()
      }
    } finally {
      source.close()
    }
  }
}

/** CRC-32C of the first `sizeBytes` of a file. @throws {LogError} IO where it is shorter. */
function* checksumOf(driver: StorageDriver, path: string, sizeBytes: number): Procedure<number> {
  const file = driver.openFile(path, 'read')
  try {
    let crc = 0
    for (let position = 0; position < sizeBytes;) {
      const bytes = yield* readPiece(file, position, sizeBytes)
      crc = extendCrc32c(crc, bytes)
      position += bytes.length
    }
    return crc
  } finally {
    file.close()
  }
}

function* readPiece(file: StorageFile, position: number, end: number): Procedure<Buffer> {
  let bytes: Buffer | undefined
  yield async () => {
    bytes = await file.readAhead(position, Math.min(COPY_BYTES, end - position))
  }
  if (bytes !== undefined && bytes.length > 0) return bytes
  const message = `${file.path} ends at ${position}, before its ${end} bytes: run EventLog.verify`
  throw new LogError('IO', message, { file: file.path })
}
