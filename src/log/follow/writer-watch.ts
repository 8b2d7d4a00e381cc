/**
 * WriterWatch: what the writer of a followed log has published, and how far that may be believed.
 *
 *   control file of this boot, slot there, and    the end of a partition is
 *     a writer lives, or closed the log             where the slot says: 'published'
 *     nobody lives, and the log was not closed      in the files, from the slot on: 'derived'
 *   anything else                                   in the files alone: 'derived'
 *
 * Owns the last look at the control file and when the writer's lock is looked at; what follows for
 * a partition is followed-partition.ts'.
 *   I1  of another boot nothing is ever said: its page cache is gone, and with it what was true
 *   I2  a slot that cannot be read, since it is being written, says what it said before
 *   I3  a writer that died is noticed within `LIVENESS_MS` of a look
 */
import { LogError } from '../../errors/log-error.ts'
import { readControlFile, type ControlFileContents } from '../../storage/control-file.ts'
import { controlSlotKey, type PublishedPartition } from '../../storage/control-slot.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import type { Clock } from '../clock.ts'
import type { WriterWord } from './follow-context.ts'

/** Who looks at the lock reads two files and asks for a process. */
const LIVENESS_MS = 1_000

const NOBODY: WriterWord = { mode: 'derived', published: undefined, writerGeneration: undefined }

/** What is watched. */
export interface WatchedWriter {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly bootId: string | null
  readonly hasLiveWriter: () => boolean
}

/** See the file's header. */
export class WriterWatch {
  readonly #watched: WatchedWriter
  /** The last control file of this boot that could be read. */
  #contents: ControlFileContents | undefined
  /** By `controlSlotKey`: what was last said. */
  readonly #words = new Map<string, WriterWord>()
  /** The last look found no control file, the one before it did. */
  #isUnreadable = false
  #isAlive = false
  #askedMs = -Infinity

  /** Looks at once. */
  constructor(watched: WatchedWriter) {
    this.#watched = watched
    this.look()
  }

  /** Looks at everything; returns what else is said now, by `controlSlotKey`. */
  look(): ReadonlyMap<string, WriterWord> {
    this.#read()
    const changed = new Map<string, WriterWord>()
    for (const [key, before] of this.#words) {
      const word = this.#wordOf(key)
      if (word !== before) changed.set(key, word)
    }
    return changed
  }

  /** What is said of one partition at this moment. */
  word({ topicId, partition }: Pick<PublishedPartition, 'topicId' | 'partition'>): WriterWord {
    this.#read()
    return this.#wordOf(controlSlotKey(topicId, partition))
  }

  /** Forgets a partition that is gone. */
  forget({ topicId, partition }: Pick<PublishedPartition, 'topicId' | 'partition'>): void {
    this.#words.delete(controlSlotKey(topicId, partition))
  }

  /** The same object as long as it says the same. */
  #wordOf(key: string): WriterWord {
    const before = this.#words.get(key)
    const word = this.#newWordOf(key, before)
    if (before !== undefined && isSameWord(before, word)) return before
    this.#words.set(key, word)
    return word
  }

  #newWordOf(key: string, before: WriterWord | undefined): WriterWord {
    const contents = this.#contents
    if (contents === undefined) return NOBODY
    const { writerGeneration } = contents
    const published = contents.slots.get(key) ?? before?.published // I2
    const mode = published !== undefined && this.#believes ? 'published' : 'derived'
    return { mode, published, writerGeneration }
  }

  get #believes(): boolean {
    return this.#contents?.clean === true || this.#isAlive
  }

  #read(): void {
    const { bootId } = this.#watched
    const before = this.#contents
    const found = this.#readFile()
    // A header is read in the middle of its being written once, not twice.
    this.#isUnreadable = found === undefined && before !== undefined && !this.#isUnreadable
    if (this.#isUnreadable) return
    const isOfThisBoot = found !== undefined && bootId !== null && found.bootId === bootId
    this.#contents = isOfThisBoot ? found : undefined // I1
    const isNew = found?.writerGeneration !== before?.writerGeneration
    if (found?.clean !== true) this.#askIfAlive(isNew)
  }

  #readFile(): ControlFileContents | undefined {
    try {
      return readControlFile(this.#watched.driver)
    } catch (error) {
      if (!LogError.is(error)) throw error
      return undefined // Without it the files tell.
    }
  }

  #askIfAlive(isNew: boolean): void {
    const { clock, hasLiveWriter } = this.#watched
    const nowMs = clock.monotonicNow()
    if (!isNew && nowMs - this.#askedMs < LIVENESS_MS) return
    this.#askedMs = nowMs
    try {
      this.#isAlive = hasLiveWriter()
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.#isAlive = false // The directory is gone, or not to be read: its files say the rest.
    }
  }
}

function isSameWord(one: WriterWord, other: WriterWord): boolean {
  if (one.mode !== other.mode || one.writerGeneration !== other.writerGeneration) return false
  const a = one.published
  const b = other.published
  if (a === undefined || b === undefined) return a === b
  return (
    a.logEndOffset === b.logEndOffset &&
    a.lastStableOffset === b.lastStableOffset &&
    a.highWatermark === b.highWatermark &&
    a.durableOffset === b.durableOffset &&
    a.logStartOffset === b.logStartOffset &&
    a.layoutEpoch === b.layoutEpoch &&
    a.writerGeneration === b.writerGeneration
  )
}
