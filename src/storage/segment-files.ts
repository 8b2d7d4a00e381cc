/**
 * SegmentFiles: the files behind one segment: its .log, the space behind its batches, its indexes.
 *
 * Those of a segment that was found, sealed, are opened when they are first used: a log may have
 * thousands that nobody reads. Owns when that is; what is in them is segment.ts' business.
 *   I1  what is opened then is the file that was found: where its name stands for another one by
 *       now, using it fails as for every open file (storage-driver.ts, D6)
 *   I2  once closed, nothing is opened any more
 */
import { assert } from '../errors/invariant.ts'
import { fileFailure, systemError } from './file-failure.ts'
import type { SegmentContents } from './segment-contents.ts'
import { SegmentIndexes, segmentPath, type SegmentPlace } from './segment-indexes.ts'
import { SpaceAhead, type GrowthSettings } from './space-ahead.ts'
import type { StorageFile } from './storage-driver.ts'
import type { AbortedWitness } from './transaction-index.ts'

/** Files that are open. */
interface OpenFiles {
  readonly log: StorageFile
  readonly indexes: SegmentIndexes
}

/** The files of one segment. */
export class SegmentFiles {
  readonly #place: SegmentPlace
  readonly #settings: GrowthSettings
  readonly #contents: SegmentContents
  /** Which file the .log was when it was found (`FileStatus`). */
  readonly #fileId: string | undefined
  #log: StorageFile | undefined
  #indexes: SegmentIndexes | undefined
  #ahead: SpaceAhead | undefined
  #isClosed = false

  private constructor(
    place: SegmentPlace,
    settings: GrowthSettings,
    contents: SegmentContents,
    fileId?: string,
  ) {
    this.#place = place
    this.#settings = settings
    this.#contents = contents
    this.#fileId = fileId
  }

  /** Files that are open, and hold `contents`. */
  static opened(
    place: SegmentPlace,
    settings: GrowthSettings,
    contents: SegmentContents,
    { log, indexes }: OpenFiles,
  ): SegmentFiles {
    const files = new SegmentFiles(place, settings, contents)
    files.#log = log
    files.#indexes = indexes
    return files
  }

  /** Those of a segment that is sealed; its .log is opened later where it was found already. */
  static sealed(
    place: SegmentPlace,
    settings: GrowthSettings,
    contents: SegmentContents,
    fileId: string | undefined,
  ): SegmentFiles {
    const files = new SegmentFiles(place, settings, contents, fileId)
    if (fileId === undefined) files.#openSealed()
    return files
  }

  /** @throws {LogError} IO where it is opened now, and cannot be (I1). */
  get log(): StorageFile {
    return this.#log ?? this.#openSealed()
  }
  /** Free space behind the batches. */
  get ahead(): SpaceAhead {
    this.#ahead ??= new SpaceAhead(this.log, this.#settings)
    return this.#ahead
  }
  /** See `SpaceAhead.changeCount`. */
  get changeCount(): number {
    return this.#ahead?.changeCount ?? 0
  }
  /** Read at their first use. */
  get indexes(): SegmentIndexes {
    return this.#indexes ?? this.#sealedIndexes()
  }
  /** Those that may have been used; there is nothing to be flushed of others. */
  get usedIndexes(): SegmentIndexes | undefined {
    return this.#indexes
  }

  /** Path of the .log. */
  get logPath(): string {
    return this.#log?.path ?? segmentPath(this.#place, '.log')
  }

  /** See `TransactionIndex`. */
  get abortedWitness(): AbortedWitness {
    if (this.#indexes !== undefined) return this.#indexes.aborted.witness
    const { abortedCount, abortedCrc } = this.#contents
    return { abortedCount, abortedCrc }
  }

  /** Releases the files. Does not flush. */
  close(): void {
    this.#isClosed = true
    this.#log?.close()
    this.#indexes?.close()
  }

  #openSealed(): StorageFile {
    assert(!this.#isClosed, 'file: not used after close') // I2
    const path = this.logPath
    const log = this.#place.driver.openFile(path, 'read')
    if (this.#fileId !== undefined && log.fileId !== this.#fileId) {
      log.close()
      throw fileFailure('open', path, systemError('ESTALE', 'another file has taken its place'))
    }
    log.freeze?.()
    this.#log = log
    return log
  }

  #sealedIndexes(): SegmentIndexes {
    const indexes = new SegmentIndexes(this.#place, this.#contents)
    indexes.becomeFinal()
    if (this.#isClosed) indexes.close() // I2
    this.#indexes = indexes
    return indexes
  }
}
