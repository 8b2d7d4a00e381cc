/**
 * WriterWatch: what the writer of a followed log has published, and how far that may be believed.
 *
 *   control file of this boot, slot there, and    the end of a partition is
 *     its writer lives, or closed the log           where the slot says: 'published'
 *     nobody lives, and the log was not closed      in the files, from the slot on: 'derived'
 *   anything else                                   in the files alone: 'derived'
 *
 * Owns when the control file and the lock are looked at (control-reader.ts reads the one); what
 * follows for a partition is followed-partition.ts'.
 *   I1  of another boot nothing is ever said: its page cache is gone, and with it what was true
 *   I2  a slot that was freed, or is being written, says what it said before
 *   I3  a writer that died is noticed within `LIVENESS_MS` of a look, another control file within
 *       `REPLACED_MS`
 */
import { LogError } from '../../errors/log-error.ts'
import type { ControlHeader } from '../../storage/control-header.ts'
import { ControlReader } from '../../storage/control-reader.ts'
import { controlSlotKey, type PublishedPartition } from '../../storage/control-slot.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import type { Clock } from '../clock.ts'
import { BROKER_FILE } from '../directory-evidence.ts'
import type { WriterWord } from './follow-context.ts'

/** Who looks at the lock reads two files and asks for a process. */
const LIVENESS_MS = 1_000
/** Nobody of us replaces the file: somebody who cleans up does, or a copy that is put back. */
const REPLACED_MS = 50

const NOBODY: WriterWord = { mode: 'derived', published: undefined, writerGeneration: undefined }

/** What is watched. */
export interface WatchedWriter {
  readonly driver: StorageDriver
  readonly clock: Clock
  readonly bootId: string | null
  /** Whether process `pid` holds the writer's lock, or may: another one is yet to publish. */
  readonly hasLiveWriter: (pid: number) => boolean
}

/** See the file's header. */
export class WriterWatch {
  readonly #watched: WatchedWriter
  readonly #reader: ControlReader
  /** By `controlSlotKey`: what was last said. */
  readonly #words = new Map<string, WriterWord>()
  /** Of the header that slots are read with: undefined where that is of no boot of ours. */
  #writerGeneration: number | undefined
  /** Somebody vouches for what is published. */
  #isBelieved = false
  /** Something was met since the last look that may concern every partition. */
  #mayAllDiffer = false
  #isVouchedFor = false
  #wasClean = false
  #askedMs = -Infinity
  #reopenedMs = -Infinity

  /** Looks at once. */
  constructor(watched: WatchedWriter) {
    this.#watched = watched
    this.#reader = new ControlReader(watched.driver)
    this.look()
  }

  /** Looks at everything; returns what else is said now, by `controlSlotKey`. */
  look(): ReadonlyMap<string, WriterWord> {
    this.#reopen()
    const published = this.#reader.look()
    this.#judge()
    const keys = this.#mayAllDiffer ? [...this.#words.keys()] : published
    this.#mayAllDiffer = false
    const changed = new Map<string, WriterWord>()
    for (const key of keys) {
      const before = this.#words.get(key)
      if (before === undefined) continue // Nobody has asked for it.
      const word = this.#wordOf(key, this.#reader.published(key))
      if (word !== before) changed.set(key, word)
    }
    return changed
  }

  /**
   * What the writer that was believed at the last look says of one partition now, where that is
   * something else; whatever else may have happened is left to the next look.
   */
  glance(key: string): WriterWord | undefined {
    const before = this.#words.get(key)
    if (before?.mode !== 'published') return undefined
    const published = this.#reader.glanceAtSlot(key)
    if (published === before.published) return undefined
    if (published?.writerGeneration === this.#writerGeneration && this.#isBelieved) {
      return this.#wordOf(key, published)
    }
    this.#mayAllDiffer = true // Its slot has been read: the next look does not see it change.
    return undefined
  }

  /** What is said of one partition at this moment. */
  word({ topicId, partition }: Pick<PublishedPartition, 'topicId' | 'partition'>): WriterWord {
    const key = controlSlotKey(topicId, partition)
    this.#reopen()
    // Without a slot the reader looks at all of them.
    if (this.#reader.published(key) === undefined) this.#mayAllDiffer = true
    const published = this.#reader.readSlot(key)
    this.#judge()
    return this.#wordOf(key, published)
  }

  /** What was last said, by `controlSlotKey`; undefined where nobody has asked. */
  known(key: string): WriterWord | undefined {
    return this.#words.get(key)
  }

  /** Forgets a partition that is gone. */
  forget({ topicId, partition }: Pick<PublishedPartition, 'topicId' | 'partition'>): void {
    this.#words.delete(controlSlotKey(topicId, partition))
  }

  /** Lets go of the control file. */
  close(): void {
    this.#reader.close()
    this.#words.clear()
  }

  /** The same object as long as it says the same. */
  #wordOf(key: string, found: PublishedPartition | undefined): WriterWord {
    const before = this.#words.get(key)
    const word = this.#newWord(found, before)
    if (before !== undefined && isSameWord(before, word)) return before
    this.#words.set(key, word)
    return word
  }

  #newWord(found: PublishedPartition | undefined, before: WriterWord | undefined): WriterWord {
    const writerGeneration = this.#writerGeneration
    if (writerGeneration === undefined) return NOBODY
    const published = found ?? before?.published // I2
    // Before a new writer has published a partition it appends markers to it at most.
    const isSaid = published?.writerGeneration === writerGeneration && this.#isBelieved
    const mode = isSaid ? 'published' : 'derived'
    return { mode, published, writerGeneration }
  }

  /** Goes over to another file that has the name of the control file now (I3). */
  #reopen(): void {
    const nowMs = this.#watched.clock.monotonicNow()
    if (nowMs - this.#reopenedMs < REPLACED_MS) return
    this.#reopenedMs = nowMs
    if (this.#reader.reopenIfReplaced()) this.#mayAllDiffer = true
  }

  /** Whom to believe. */
  #judge(): void {
    const { bootId } = this.#watched
    const { header } = this.#reader
    const isOfThisBoot = header !== undefined && bootId !== null && header.bootId === bootId
    const generation = isOfThisBoot ? header.writerGeneration : undefined // I1
    const isNew = generation !== this.#writerGeneration
    if (isOfThisBoot) this.#ask(header, isNew)
    const isBelieved = isOfThisBoot && this.#isVouchedFor
    if (isNew || isBelieved !== this.#isBelieved) this.#mayAllDiffer = true
    this.#writerGeneration = generation
    this.#isBelieved = isBelieved
  }

  /** Whether anybody vouches for what is published, as far as that may have changed. */
  #ask({ clean: isClean, pid }: ControlHeader, isNew: boolean): void {
    const { driver, clock, hasLiveWriter } = this.#watched
    const nowMs = clock.monotonicNow()
    const isSame = !isNew && isClean === this.#wasClean
    if (isSame && nowMs - this.#askedMs < LIVENESS_MS) return
    this.#askedMs = nowMs
    this.#wasClean = isClean
    try {
      // A broker that had the directory since has appended without a word in our control file.
      const isFinal = isClean && driver.status(BROKER_FILE) === undefined
      this.#isVouchedFor = isFinal || hasLiveWriter(pid)
    } catch (error) {
      if (!LogError.is(error)) throw error
      this.#isVouchedFor = false // The directory is gone, or not to be read: its files tell.
    }
  }
}

function isSameWord(one: WriterWord, other: WriterWord): boolean {
  return (
    one.mode === other.mode &&
    one.published === other.published &&
    one.writerGeneration === other.writerGeneration
  )
}
