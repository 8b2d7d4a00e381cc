/**
 * LogCut: taking what is torn off the end of a partition's log, so that every byte of it is still
 * there under another name.
 *
 *   00000000000000000000.8192.salvaged   what was cut at position 8192 of that segment
 *   00000000000000004096.0.salvaged      a whole segment that does not follow on what is whole
 *
 * Kafka and we pass over such files. Owns names and order; where to cut is recovery.ts' to say.
 *   I1  the copy is whole, under its name, and on stable storage before anything is cut
 *   I2  later segments go before earlier ones: a stop in between leaves nothing behind a hole
 */
import {
  parseSegmentFileName,
  segmentFileName,
  type SegmentSuffix,
} from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver, StorageFile } from '../storage/storage-driver.ts'

const COPY_BYTES = 1_048_576
/** What belongs to a .log. */
const INDEX_SUFFIXES: readonly SegmentSuffix[] = ['.index', '.timeindex', '.txnindex']

/** Whose bytes are kept: owned copies, shorter only at the end. */
export interface CopiedLog {
  copy(position: number, byteLength: number): Buffer
}

/** Cuts in one partition's folder. */
export class LogCut {
  readonly #driver: StorageDriver
  readonly #directory: string

  /** For the folder of one partition. */
  constructor(driver: StorageDriver, directory: string) {
    this.#driver = driver
    this.#directory = directory
  }

  /**
   * Removes what a stop in mid-work left behind: files that a deletion had renamed, half-written
   * ones, indexes without a log. Returns the base offsets of the segments there are, ascending.
   */
  *tidy(): Procedure<readonly number[]> {
    const names = this.#driver.list(this.#directory)
    const bases = new Set<number>()
    for (const name of names) {
      const parsed = parseSegmentFileName(name)
      if (parsed?.suffix === '.log') bases.add(parsed.baseOffset)
    }
    for (const name of names) {
      const parsed = parseSegmentFileName(name)
      const isOrphan =
        parsed !== undefined &&
        INDEX_SUFFIXES.includes(parsed.suffix) &&
        !bases.has(parsed.baseOffset)
      if (isOrphan || name.endsWith('.deleted') || name.endsWith('.tmp')) yield* this.#unlink(name)
    }
    return [...bases] // In the order of their names, which is that of their offsets.
  }

  /** Copies `byteLength` bytes of a segment, durably (I1). */
  *salvage(
    log: CopiedLog,
    from: { readonly baseOffset: number; readonly position: number },
    byteLength: number,
  ): Procedure<void> {
    const name = this.#salvageName(from.baseOffset, from.position)
    const file = openAnew(this.#driver, `${name}.tmp`)
    try {
      for (let done = 0; done < byteLength; done += COPY_BYTES) {
        const bytes = log.copy(from.position + done, Math.min(COPY_BYTES, byteLength - done))
        file.write(bytes, 0, bytes.length, done)
      }
      yield () => file.flush()
    } finally {
      file.close()
    }
    this.#driver.rename(`${name}.tmp`, name)
    yield () => this.#driver.flushDirectory(this.#directory)
  }

  /** Sets whole segments aside, durably (I2); returns how many bytes that were. */
  *setAside(bases: readonly number[]): Procedure<number> {
    let cutBytes = 0
    for (const baseOffset of bases.toReversed()) {
      const log = segmentFileName(baseOffset, '.log')
      const path = `${this.#directory}/${log}`
      const sizeBytes = this.#driver.status(path)?.sizeBytes ?? 0
      cutBytes += sizeBytes
      if (sizeBytes > 0) this.#driver.rename(path, this.#salvageName(baseOffset, 0))
      else yield* this.#unlink(log)
      for (const suffix of INDEX_SUFFIXES) yield* this.#unlink(segmentFileName(baseOffset, suffix))
    }
    yield () => this.#driver.flushDirectory(this.#directory)
    return cutBytes
  }

  /** Removes producer snapshots of more of the log than there is. */
  *removeSnapshots(endOffset: number): Procedure<void> {
    for (const name of this.#driver.list(this.#directory)) {
      const parsed = parseSegmentFileName(name)
      if (parsed?.suffix === '.snapshot' && parsed.baseOffset > endOffset) yield* this.#unlink(name)
    }
  }

  *#unlink(name: string): Procedure<void> {
    const path = `${this.#directory}/${name}`
    // A directory of such a name is nobody's work, and nobody's to remove.
    if (this.#driver.status(path)?.kind !== 'file') return
    // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
    const removal = this.#driver.unlink(path)
    // Where another partition ends the open, nobody comes to the wait to hear of it.
    removal.catch(() => undefined)
    yield () => removal
  }

  #salvageName(baseOffset: number, position: number): string {
    const stem = `${segmentFileName(baseOffset, '.log').slice(0, -'.log'.length)}.${position}`
    let name = `${this.#directory}/${stem}.salvaged`
    for (let again = 1; this.#driver.status(name) !== undefined; again++) {
      name = `${this.#directory}/${stem}.${again}.salvaged`
    }
    return name
  }
}

/** An empty file: a new one, or what a stop left half-written cut to nothing. */
export function openAnew(driver: StorageDriver, path: string): StorageFile {
  const isLeftOver = driver.status(path) !== undefined
  const file = driver.openFile(path, isLeftOver ? 'write' : 'create')
  if (isLeftOver) file.resize(0)
  return file
}
