/**
 * TableFollower: keeps a table's entries what the topic's partitions say: loads them, then follows.
 *
 *   loading -> following <-> catching up -> over
 *   I1  only what is committed gets in, in offset order within a partition
 *   I2  while following, whatever an append or a commit makes visible is in when that returns; a
 *       commit that brings more than SLICE_BYTES is caught up with in the background
 *   I3  in the background nothing holds the event loop: it takes SLICE_BYTES at a time, and cold
 *       data is read beside it
 *   I4  nothing that goes wrong here gets into the append that was followed: it ends the table
 */
import { assert } from '../../errors/invariant.ts'
import { nextTurn } from '../../log/clock.ts'
import { endedError } from '../../log/partition-errors.ts'
import type { ReadablePartition } from '../../log/readable-partition.ts'
import { tableEnded } from '../log-warnings.ts'
import type { Range } from '../position.ts'
import { RecordSource } from '../record-source.ts'
import type { Segment } from '../../storage/segment.ts'
import type { TopicView } from '../topic-state.ts'
import type { TableEntries } from './table-entries.ts'
import type { TableListeners } from './table-listeners.ts'

const SLICE_BYTES = 262_144
/** What a record counts beside its key and value: small ones take their time too. */
const RECORD_BYTES = 32
/** So often it is loaded anew where compaction was faster. */
const MOST_LOADS = 4
/** Entries that are looked at in one go. */
const SLICE_ENTRIES = 4_096

/** One partition of the topic. */
interface Followed {
  readonly log: ReadablePartition
  readonly source: RecordSource
  /** Those there were when it began. */
  segments: readonly Segment[]
  /** Stops listening. */
  readonly release: () => void
  logStartOffset: number
  /** Up to there was read, though it may be that nothing is there. */
  readTo: number
}

/** Keeps the entries of one table. */
export class TableFollower {
  readonly #view: TopicView
  readonly #entries: TableEntries
  readonly #listeners: TableListeners
  readonly #followed: Followed[] = []
  readonly #releases: (() => void)[] = []
  /** Loading or catching up: what changes meanwhile is met on the way. */
  #isBehind = true
  #isExpiring = false
  #mustExpire = false
  #isLoaded = false
  #lastSize = 0
  #end: (() => unknown) | undefined
  #resolveEnding: () => void = () => undefined
  /** Resolves when the table is over: what the device still reads need not be waited for. */
  readonly #ending = new Promise<void>((resolve) => {
    this.#resolveEnding = resolve
  })

  constructor(view: TopicView, entries: TableEntries, listeners: TableListeners) {
    this.#view = view
    this.#entries = entries
    this.#listeners = listeners
  }

  /** How many keys there are, or were when the table ended. */
  get size(): number {
    return this.#end === undefined ? this.#entries.size : this.#lastSize
  }

  /** @throws Why the table is over, where it is. */
  checkUsable(): void {
    if (this.#end !== undefined) throw this.#end()
  }

  /** Reads everything there is, then follows. @throws What ends the table on the way. */
  async load(): Promise<void> {
    this.checkUsable()
    const { state } = this.#view
    this.#releases.push(state.onGrowth(() => this.#join()))
    for (let attempt = 1; ; attempt++) {
      const startedMs = state.host.clock.now()
      this.#entries.keepsTombstones = this.#view.partitions.length > 1
      this.#join()
      await Promise.race([this.#catchUp(), this.#ending])
      this.checkUsable()
      const tookMs = state.host.clock.now() - startedMs
      if (attempt === MOST_LOADS || !this.#mayHaveMissed(tookMs)) break
      this.#startOver()
    }
    this.#isLoaded = true
    for (const followed of this.#followed) followed.segments = []
  }

  /**
   * Whether compaction may have removed a tombstone that was not read yet, with the value that was:
   * it does so twice meanwhile, at least `deleteRetentionMs` apart.
   */
  #mayHaveMissed(tookMs: number): boolean {
    if (tookMs < this.#view.config.deleteRetentionMs) return false
    return this.#followed.some(({ log, segments }) =>
      segments.some((one) => one.nextOffset > log.logStartOffset && !log.segments.includes(one)),
    )
  }

  #startOver(): void {
    this.#isBehind = true
    this.#entries.clear()
    for (const { source, release } of this.#followed.splice(0)) {
      release()
      source.finish()
    }
  }

  /** Ends the table; what is asked of it later is refused with what `error` gives. */
  finish(error: () => unknown): void {
    if (this.#end !== undefined) return
    this.#lastSize = this.#entries.size
    this.#end = error
    this.#resolveEnding()
    for (const release of this.#releases.splice(0)) release()
    for (const { source, release } of this.#followed) {
      release()
      source.finish()
    }
    this.#listeners.end()
    this.#entries.clear()
  }

  /** Takes in the partitions that came since. */
  #join(): void {
    for (const log of this.#view.partitions.slice(this.#followed.length)) {
      const { logStartOffset } = log
      const source = new RecordSource(log, this.#view.types, {
        range: this.#view.state.shown(RANGE),
        live: true,
        onDamage: passNoDamage,
      })
      const release = log.onChange(() => this.#changed(followed))
      const segments = [...log.segments]
      const followed: Followed = { log, source, segments, release, logStartOffset, readTo: 0 }
      this.#entries.startsAt(log.partition, logStartOffset)
      this.#followed.push(followed)
      if (!this.#isBehind) this.#changed(followed)
    }
  }

  #changed(followed: Followed): void {
    const { log, source } = followed
    if (this.#end !== undefined) return
    if (log.end !== undefined) {
      this.finish(() => endedError(log))
      return
    }
    if (log.logStartOffset > followed.logStartOffset) this.#startMoved(followed)
    if (this.#isBehind || !hasMore(followed)) return
    try {
      let takenBytes = 0
      while (takenBytes < SLICE_BYTES && source.load()) {
        while (!source.needsLoad) takenBytes += this.#take(followed)
      }
      if (hasMore(followed)) void this.#catchUp()
    } catch (error) {
      this.#fail(error)
    }
    this.#listeners.tell()
  }

  /** Takes a slice of what is at hand; returns its bytes. */
  #take({ log, source }: Followed): number {
    const entries = this.#entries
    const listeners = this.#listeners
    const { partition } = log
    let takenBytes = 0
    while (takenBytes < SLICE_BYTES) {
      const record = source.advance()
      if (record === undefined) break
      const { keyLength, valueLength } = record
      takenBytes += RECORD_BYTES + Math.max(0, keyLength) + Math.max(0, valueLength)
      if (keyLength < 0) continue // Of before the topic was compacted.
      if (entries.take(record, partition)) listeners.note(record, partition)
    }
    return takenBytes
  }

  /** Reads in slices until nothing is left. Never rejects. */
  async #catchUp(): Promise<void> {
    this.#isBehind = true
    // Whoever appends without a pause must not keep it behind for ever: with each round more of
    // what is left may be read in one go.
    for (let round = 1; this.#isBehind && this.#end === undefined; round *= 2) {
      try {
        for (let index = 0; index < this.#followed.length; index++) {
          const followed = this.#followed[index]
          if (followed !== undefined) await this.#drain(followed)
        }
        if (this.#entries.keepsTombstones) await this.#dropTombstones()
        if (this.#end === undefined) this.#isBehind = !this.#takeRest(round)
      } catch (error) {
        this.#fail(error)
      }
      this.#listeners.tell()
    }
  }

  /** Reads a partition up to where it ends at the call. */
  async #drain(followed: Followed): Promise<void> {
    const { source } = followed
    const end = source.visibleEnd
    while (hasMore(followed)) {
      if (source.needsLoad) {
        if (source.nextOffset >= end) return
        const hasLoaded = await source.loadAhead()
        if (this.#mustStop()) return
        if (!hasLoaded) followed.readTo = end
      }
      this.#take(followed)
      this.#listeners.tell()
      await nextTurn()
      if (this.#mustStop()) return
    }
  }

  /** Takes what came meanwhile, at once; false where that is more than `slices`. */
  #takeRest(slices: number): boolean {
    let takenBytes = 0
    for (const followed of this.#followed) {
      const { source } = followed
      while (hasMore(followed)) {
        if (takenBytes > SLICE_BYTES * slices) return false
        const end = source.visibleEnd
        if (source.needsLoad && !source.load()) followed.readTo = end
        takenBytes += this.#take(followed)
      }
    }
    return true
  }

  /** What may have happened while something was waited for. */
  #mustStop(): boolean {
    if (this.#end === undefined && !this.#view.state.host.isOpen) {
      this.#view.state.checkUsable()
    }
    return this.#end !== undefined
  }

  /** Everything was read: what they were kept for cannot come any more. */
  async #dropTombstones(): Promise<void> {
    const entries = this.#entries
    entries.keepsTombstones = false
    for (let number = 0; entries.tombstoneCount > 0 && number < entries.numberCount; number++) {
      if (!entries.turnTo(number) && entries.isTombstone) entries.remove(number)
      if (number % SLICE_ENTRIES === SLICE_ENTRIES - 1) await nextTurn()
    }
  }

  /** The log's start moved up: its keys are gone for who asks, and out of memory soon. */
  #startMoved(followed: Followed): void {
    const { logStartOffset, partition } = followed.log
    followed.logStartOffset = logStartOffset
    this.#entries.startsAt(partition, logStartOffset)
    void this.#expire()
  }

  async #expire(): Promise<void> {
    this.#mustExpire = true
    if (this.#isExpiring) return
    this.#isExpiring = true
    const entries = this.#entries
    while (this.#mustExpire) {
      this.#mustExpire = false
      for (let chunk = 0; chunk < entries.chunkCount; chunk++) {
        const gone = entries.gone(chunk)
        for (const number of gone) {
          entries.turnTo(number)
          if (!entries.isTombstone) this.#listeners.noteGone(entries)
          entries.remove(number)
        }
        if (gone.length === 0) continue
        this.#listeners.tell()
        await nextTurn()
      }
    }
    this.#isExpiring = false
  }

  /** While it loads, whoever waits for that is told; later nobody might ask for long. */
  #fail(error: unknown): void {
    const ended = this.#followed.find(({ log }) => log.end !== undefined)
    if (this.#end !== undefined) return
    if (ended !== undefined) {
      this.finish(() => endedError(ended.log))
      return
    }
    const { host } = this.#view.state
    if (this.#isLoaded && host.isOpen) host.warn(tableEnded(this.#view.name, error))
    this.finish(() => error)
  }
}

/** Something became visible that was not read. */
function hasMore({ source, readTo }: Followed): boolean {
  if (source.isDone) return false
  const end = source.visibleEnd
  return !source.needsLoad || (source.nextOffset < end && readTo < end)
}

const RANGE: Range = {
  from: 'earliest',
  to: null,
  isolation: 'read_committed',
  visibility: 'written',
  onCorrupt: 'stop',
}

function passNoDamage(): void {
  assert(false, 'a table stops at damage')
}
