/**
 * TableFollower: keeps a table's entries what the topic's partitions say: loads them, then follows.
 *
 *   loading -> following <-> catching up -> over
 *              loading anew, in memory beside what is shown
 *   I1  only what is committed gets in, in offset order within a partition
 *   I2  while following, whatever an append or a commit makes visible is in when that returns; a
 *       commit that brings more than SLICE_BYTES is caught up with in the background
 *   I3  in the background nothing holds the event loop: it takes SLICE_BYTES at a time, and cold
 *       data is read beside it
 *   I4  nothing that goes wrong here gets into the append that was followed: it ends the table
 *   I5  where what was read is not what the log holds any more (table-source.ts), it is loaded
 *       anew,
 *       and shown when all of it is there: nobody sees a part
 */
import { assert } from '../../errors/invariant.ts'
import { nextTurn } from '../../log/clock.ts'
import { endedError } from '../../log/partition-errors.ts'
import { tableEnded } from '../log-warnings.ts'
import type { Range } from '../position.ts'
import { RecordSource } from '../record-source.ts'
import type { TopicView } from '../topic-state.ts'
import { noteDifferences } from './table-differences.ts'
import { TableEntries } from './table-entries.ts'
import type { TableListeners } from './table-listeners.ts'
import { TableSource } from './table-source.ts'

const SLICE_BYTES = 262_144
/** What a record counts beside its key and value: small ones take their time too. */
const RECORD_BYTES = 32
/** So often it is loaded anew where compaction was faster. */
const MOST_LOADS = 4
/** Entries that are looked at in one go. */
const SLICE_ENTRIES = 4_096

/** Keeps the entries of one table. */
export class TableFollower {
  readonly #view: TopicView
  /** What is shown. */
  readonly #entries: TableEntries
  /** Where records go: the same, but while it is loaded anew. */
  #taking: TableEntries
  readonly #listeners: TableListeners
  readonly #followed: TableSource[] = []
  readonly #releases: (() => void)[] = []
  /** Loading or catching up: what changes meanwhile is met on the way. */
  #isBehind = true
  #isExpiring = false
  #mustExpire = false
  #isLoaded = false
  #isLoadingAnew = false
  /** What was read is not what the log holds. */
  #isVoid = false
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
    this.#taking = entries
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
    this.#releases.push(this.#view.state.onGrowth(() => this.#join()))
    await this.#loadAll()
    this.checkUsable()
    this.#isLoaded = true
  }

  async #loadAll(): Promise<void> {
    for (let attempt = 1; this.#end === undefined; attempt++) {
      const startedMs = this.#nowMs()
      this.#isVoid = false
      this.#taking.keepsTombstones = this.#view.partitions.length > 1
      this.#join()
      await Promise.race([this.#catchUp(), this.#ending])
      const tookMs = this.#nowMs() - startedMs
      if (this.#end !== undefined) return
      const isWhole = attempt >= MOST_LOADS || !this.#mayHaveMissed(tookMs)
      if (isWhole && !this.#isVoid) break
      this.#taking.clear()
      this.#startOver()
    }
    for (const followed of this.#followed) followed.loaded()
  }

  /** I5. Never rejects. */
  async #loadAnew(): Promise<void> {
    this.#isLoadingAnew = true
    this.#taking = new TableEntries()
    this.#startOver()
    try {
      await this.#loadAll()
    } catch (error) {
      this.#fail(error)
    }
    this.#isLoadingAnew = false
    if (this.#end !== undefined) return
    noteDifferences(this.#entries, this.#taking, this.#listeners)
    this.#entries.adopt(this.#taking)
    this.#taking = this.#entries
    this.#listeners.tell()
    void this.#expire()
  }

  #nowMs(): number {
    return this.#view.state.host.clock.now()
  }

  /**
   * Whether compaction may have removed a tombstone that was not read yet, with the value that was:
   * it does so twice meanwhile, at least `deleteRetentionMs` apart.
   */
  #mayHaveMissed(tookMs: number): boolean {
    if (tookMs < this.#view.config.deleteRetentionMs) return false
    return this.#followed.some(({ hasSeenCompaction }) => hasSeenCompaction)
  }

  #startOver(): void {
    this.#isBehind = true
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
    this.#taking = this.#entries
  }

  /** Takes in the partitions that came since. */
  #join(): void {
    for (const log of this.#view.partitions.slice(this.#followed.length)) {
      const source = new RecordSource(log, this.#view.types, {
        range: this.#view.state.shown(RANGE),
        live: true,
        onDamage: passNoDamage,
      })
      const release = log.onChange(() => this.#changed(followed))
      const followed = new TableSource(source, release, this.#nowMs())
      this.#taking.startsAt(log.partition, followed.logStartOffset)
      this.#followed.push(followed)
      if (!this.#isBehind) this.#changed(followed)
    }
  }

  #changed(followed: TableSource): void {
    const { log, source } = followed
    if (this.#end !== undefined) return
    if (log.end !== undefined) {
      this.finish(() => endedError(log))
      return
    }
    if (log.logStartOffset > followed.logStartOffset) this.#startMoved(followed)
    if (this.#isGone(followed) || this.#isBehind) return
    if (!followed.hasMore) return followed.note(this.#nowMs())
    try {
      let takenBytes = 0
      while (takenBytes < SLICE_BYTES && source.load()) {
        while (!source.needsLoad) takenBytes += this.#take(followed)
      }
      if (followed.hasMore) void this.#catchUp()
      followed.note(this.#nowMs())
    } catch (error) {
      this.#fail(error)
    }
    this.#listeners.tell()
  }

  /** Whether what was read is void: then it is loaded anew, unless that is under way. */
  #isGone(followed: TableSource): boolean {
    if (!this.#isVoid)
      this.#isVoid = followed.isVoid(this.#nowMs(), this.#view.config.deleteRetentionMs)
    if (this.#isVoid && !this.#isBehind) void this.#loadAnew()
    return this.#isVoid
  }

  /** Takes a slice of what is at hand; returns its bytes. */
  #take({ log, source }: TableSource): number {
    const entries = this.#taking
    const listeners = entries === this.#entries ? this.#listeners : null
    const { partition } = log
    let takenBytes = 0
    while (takenBytes < SLICE_BYTES) {
      const record = source.advance()
      if (record === undefined) break
      const { keyLength, valueLength } = record
      takenBytes += RECORD_BYTES + Math.max(0, keyLength) + Math.max(0, valueLength)
      if (keyLength < 0) continue // Of before the topic was compacted.
      if (entries.take(record, partition)) listeners?.note(record, partition)
    }
    return takenBytes
  }

  /** Reads in slices until nothing is left. Never rejects. */
  async #catchUp(): Promise<void> {
    this.#isBehind = true
    // Whoever appends without a pause must not keep it behind for ever: with each round more of
    // what is left may be read in one go.
    for (let round = 1; this.#isBehind && !this.#isOver; round *= 2) {
      try {
        for (let index = 0; index < this.#followed.length; index++) {
          const followed = this.#followed[index]
          if (followed !== undefined) await this.#drain(followed)
        }
        if (this.#taking.keepsTombstones) await this.#dropTombstones()
        if (!this.#isOver) this.#isBehind = !this.#takeRest(round)
      } catch (error) {
        this.#fail(error)
      }
      this.#listeners.tell()
    }
    for (const followed of this.#followed) followed.note(this.#nowMs())
    if (this.#isVoid && this.#isLoaded && !this.#isLoadingAnew) void this.#loadAnew()
  }

  /** Reads a partition up to where it ends at the call. */
  async #drain(followed: TableSource): Promise<void> {
    const { source } = followed
    const end = source.visibleEnd
    while (followed.hasMore) {
      if (source.needsLoad) {
        if (source.nextOffset >= end || this.#isGone(followed)) return
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
      while (followed.hasMore) {
        if (takenBytes > SLICE_BYTES * slices) return false
        const end = source.visibleEnd
        if (source.needsLoad && !source.load()) followed.readTo = end
        takenBytes += this.#take(followed)
      }
    }
    return true
  }

  /** Nothing that is read now counts any more. */
  get #isOver(): boolean {
    return this.#end !== undefined || this.#isVoid
  }

  /** What may have happened while something was waited for. */
  #mustStop(): boolean {
    if (this.#end === undefined && !this.#view.state.host.isOpen) {
      this.#view.state.checkUsable()
    }
    return this.#isOver
  }

  /** Everything was read: what they were kept for cannot come any more. */
  async #dropTombstones(): Promise<void> {
    const entries = this.#taking
    entries.keepsTombstones = false
    for (let number = 0; entries.tombstoneCount > 0 && number < entries.numberCount; number++) {
      if (!entries.turnTo(number) && entries.isTombstone) entries.remove(number)
      if (number % SLICE_ENTRIES === SLICE_ENTRIES - 1) await nextTurn()
    }
  }

  /** The log's start moved up: its keys are gone for who asks, and out of memory soon. */
  #startMoved(followed: TableSource): void {
    const { logStartOffset, partition } = followed.log
    followed.logStartOffset = logStartOffset
    this.#entries.startsAt(partition, logStartOffset)
    this.#taking.startsAt(partition, logStartOffset)
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
    if (this.#followed.some((one) => one.isCut && this.#isGone(one))) return // It was read of that.
    const { host } = this.#view.state
    if (this.#isLoaded && host.isOpen) host.warn(tableEnded(this.#view.name, error))
    this.finish(() => error)
  }
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
