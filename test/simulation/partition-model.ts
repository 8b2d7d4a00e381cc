/**
 * PartitionModel: what one partition promised so far: an array of what was seen at each offset, and
 * the watermarks at the last look. Every look, read and reopening is held against it.
 *
 *   I1  what was seen at an offset is there for ever, but for what a power cut may take
 *   I2  watermarks only rise; durableOffset <= logEndOffset
 *   I3  no record is seen twice, none that was refused or lost, none that nobody wrote
 *   I4  records of one sender come in the order in which they were sent
 *   I5  after an unclean stop what is appended has a newer leader epoch than all before
 *   I6  an offset without a record is the marker of a transaction, of which each has one at most
 */
import type { Partition, RecordCursor } from '../../src/index.ts'
import type { RecordBook, WrittenRecord } from './record-book.ts'
import { must } from './simulation-failure.ts'

/** How a process ended. */
export type Stop = 'clean' | 'killed' | 'cut'

/** What stands for an offset at which nothing could be seen. */
const UNSEEN: number = -1
/** What stands for an offset that a marker has. */
const MARKER: number = -2

/** See the file's header. */
export class PartitionModel {
  readonly topic: string
  readonly index: number
  /** Numbers of the records by offset. */
  readonly ids: number[] = []
  readonly times: number[] = []
  logStart = 0
  /** Starts that were asked for and may have become durable. */
  readonly pendingStarts: Set<number> = new Set()
  /** Log end and durable offset at the last look. */
  written = 0
  durable = 0
  /** Leader epochs that the next append may have: after a clean stop the one there was. */
  #epochs = { least: 0, most: Infinity }
  /** A sync failed: read-only until the next open. */
  isFailed = false
  /** Times are those of appends: nobody knows them before. */
  hasAppendTimes = false
  /** Numbers of the transactions that have sent something to it. */
  readonly transactions: Set<number> = new Set()
  readonly #book: RecordBook
  #handle: Partition | undefined
  #lastOfSender = new Map<number, number>()
  #highestEpoch = -1
  /** In the life before, so that its epoch is known. */
  #wasAppendedTo = false
  /** Nothing failed in the life before: what a failed call leaves may look like an unclean stop. */
  wasUndisturbed = false

  constructor(topic: string, index: number, book: RecordBook) {
    this.topic = topic
    this.index = index
    this.#book = book
  }

  get name(): string {
    return `${this.topic}-${this.index}`
  }

  /** Of this life. */
  get handle(): Partition {
    must(this.#handle !== undefined, () => `${this.name} has no handle`)
    return this.#handle
  }

  set handle(handle: Partition) {
    this.#handle = handle
  }

  /** I2, on the watermarks as they are now. */
  look(): void {
    const { handle, name } = this
    const { logStartOffset, highWatermark, lastStableOffset, logEndOffset, durableOffset } = handle
    must(
      logStartOffset === this.logStart || this.pendingStarts.has(logStartOffset),
      () => `${name}: starts at ${logStartOffset}, not at ${this.logStart}`,
    )
    must(logStartOffset >= this.logStart, () => `${name}: the start went back`)
    must(
      logStartOffset <= lastStableOffset &&
        lastStableOffset <= highWatermark &&
        highWatermark <= logEndOffset,
      () => `${name}: watermarks out of order`,
    )
    must(
      logEndOffset >= this.written,
      () => `${name}: the end went back from ${this.written} to ${logEndOffset}`,
    )
    must(
      durableOffset >= this.durable,
      () => `${name}: durableOffset went back from ${this.durable} to ${durableOffset}`,
    )
    must(durableOffset <= logEndOffset, () => `${name}: durable beyond the end`)
    this.logStart = logStartOffset
    this.written = logEndOffset
    this.durable = durableOffset
  }

  /** Sees what was appended since the last time; returns how many records that were. */
  catchUp(): number {
    this.look()
    const end = this.written
    while (this.ids.length < this.logStart) this.#skip()
    if (this.ids.length >= end) return 0
    const visited = this.handle.scan((cursor) => this.#see(cursor), { from: this.ids.length })
    must(this.ids.length <= end, () => `${this.name}: reads end at ${this.ids.length}, not ${end}`)
    this.#seeMarkers(end)
    if (visited > 0) this.appendedIn(this.#lastEpoch())
    return visited
  }

  /** The first offset from `offset` on that has no marker. */
  pastMarkers(offset: number): number {
    let at = offset
    while (this.ids[at] === MARKER) at += 1
    return at
  }

  /** The record is of a transaction that was not committed, as far as anybody knows. */
  isHidden(id: number): boolean {
    const { transaction } = this.#book.of(id)
    return transaction !== null && transaction.outcome !== 'committed'
  }

  /** How many markers there are, from the start on. */
  get markerCount(): number {
    let count = 0
    for (let at = this.logStart; at < this.ids.length; at++) if (this.ids[at] === MARKER) count += 1
    return count
  }

  /** The epoch of the last record. */
  #lastEpoch(): number {
    for (let offset = this.written - 1; offset >= this.logStart; offset--) {
      if (this.ids[offset] === MARKER) continue
      return this.handle.get(offset)?.leaderEpoch ?? -1
    }
    return this.#epochs.least
  }

  /** Behind all that was seen there is no record up to `end` (I6). */
  #seeMarkers(end: number): void {
    while (this.ids.length < end) {
      this.ids.push(MARKER)
      this.times.push(UNSEEN)
    }
    must(
      this.markerCount <= this.transactions.size || this.#book.isTainted,
      () => `${this.name}: ${this.markerCount} markers up to ${end}, or records that are missing`,
    )
  }

  /** A record that is read again is what was seen at its offset. */
  check(
    how: string,
    record: { readonly offset: number; readonly timestamp: number },
    id: number,
  ): void {
    const { offset, timestamp } = record
    const known = this.ids[offset]
    const isLegal = known === id || (this.#book.isTainted && (known ?? UNSEEN) === UNSEEN)
    must(
      isLegal || this.#isStray(id, offset),
      () => `${this.name}: ${how} shows record ${id} at ${offset}, where ${known} was`,
    )
    must(
      timestamp === this.times[offset] || this.#book.isTainted,
      () => `${this.name}: ${how} shows another time at ${offset}`,
    )
  }

  /** The first offset from the start on that is as late; null where none is. */
  offsetAt(timestamp: number): number | null {
    for (let offset = this.logStart; offset < this.ids.length; offset++)
      if ((this.times[offset] ?? 0) >= timestamp) return offset
    return null
  }

  /** A record was acknowledged at `offset`. */
  acknowledged(record: WrittenRecord, offset: number): void {
    const where = `${this.name}: record ${record.id}`
    must(
      record.offset === -1 || record.offset === offset,
      () => `${where} was acknowledged at ${offset}, but is at ${record.offset}`,
    )
    must(record.state === 'pending', () => `${where} was ${record.state}, and then acknowledged`)
    must(offset < this.handle.logEndOffset, () => `${where} was acknowledged behind the end`)
    const known = this.ids[offset]
    must(
      known === undefined || known === record.id || known === UNSEEN,
      () => `${where} was acknowledged at ${offset}, where ${known} is`,
    )
    record.state = 'acked'
    record.offset = offset
  }

  /** The log was opened again: what it came back with is what it may come back with. */
  takeOver(handle: Partition, how: Stop): number {
    this.handle = handle
    const { name } = this
    const { logEndOffset: end, logStartOffset: start, durableOffset } = handle
    if (!this.#book.isTainted) {
      const least = how === 'cut' ? this.durable : this.written
      must(end >= least, () => `${name}: ${how}, had to keep ${least} offsets, ends at ${end}`)
      must(
        start === this.logStart || this.pendingStarts.has(start),
        () => `${name}: ${how}, starts at ${start}, not at ${this.logStart}`,
      )
    }
    must(durableOffset === end, () => `${name}: opened, but durable only to ${durableOffset}`)
    this.#forgetFrom(end)
    const kept = how === 'cut' ? this.durable : end
    this.logStart = start
    this.pendingStarts.clear()
    this.written = end
    this.durable = end
    this.isFailed = false
    this.#lastOfSender = new Map()
    const visited = this.#readAll(how, kept)
    if (this.#book.isTainted) return visited
    if (visited > 0) this.#highestEpoch = Math.max(this.#highestEpoch, this.#lastEpoch())
    const known = this.#highestEpoch
    const isKept = how === 'clean' && this.#wasAppendedTo && this.wasUndisturbed
    this.#epochs =
      how === 'clean'
        ? { least: Math.max(0, known), most: isKept ? known : Infinity }
        : { least: known + 1, most: Infinity }
    this.#wasAppendedTo = isKept
    this.#lookUpTimes()
    return visited
  }

  /** Indexes are hints: whatever became of them, lookups find what is there. */
  #lookUpTimes(): void {
    const { times, logStart, written } = this
    const asked = [logStart, (logStart + written) >> 1, written - 1].map((at) => times[at] ?? 0)
    for (const time of asked) {
      if (time < 0) continue
      const found = this.handle.offsetForTimestamp(time)
      const right = this.offsetAt(time)
      must(found === right, () => `${this.name}: opened, finds ${found} for ${time}, not ${right}`)
    }
  }

  /** Reads every record there is and compares it with what was seen; `kept` offsets had to stay. */
  #readAll(how: Stop, kept: number): number {
    while (this.ids.length < this.logStart) this.#skip()
    let expected = this.logStart
    const onCorrupt = this.#book.isTainted ? 'skip' : 'stop'
    const visit = (cursor: RecordCursor): undefined => {
      const { offset } = cursor
      this.#turnedToMarkers(kept, expected, Math.min(offset, this.ids.length))
      if (offset >= this.ids.length) {
        expected = offset + 1
        return this.#see(cursor)
      }
      must(
        offset === this.pastMarkers(expected) || this.#book.isTainted,
        () => `${this.name}: ${how}, shows ${offset} instead of ${expected}`,
      )
      expected = offset + 1
      const { id } = this.#book.at(cursor, `${this.name} at ${offset}`)
      this.check(how, cursor, id)
      const hasMoved = cursor.offset !== this.#book.of(id).offset
      must(!hasMoved || this.#isStray(id, offset), () => `record ${id} moved`)
      return undefined
    }
    const visited = this.handle.scan(visit, { onCorrupt })
    while (this.#book.isTainted && this.ids.length < this.written) this.#skip()
    this.#turnedToMarkers(kept, expected, this.ids.length)
    this.#seeMarkers(this.written)
    must(
      this.pastMarkers(expected) === this.written || this.#book.isTainted,
      () => `${this.name}: ${how}, reads end at ${expected}, the log at ${this.written}`,
    )
    return visited
  }

  /** Where a power cut took records, the markers of what it left open may be. */
  #turnedToMarkers(kept: number, from: number, to: number): void {
    for (let offset = Math.max(kept, from); offset < to; offset++) {
      const id = this.ids[offset] ?? UNSEEN
      if (id < 0) continue
      this.#book.of(id).state = 'lost'
      this.ids[offset] = MARKER
      this.times[offset] = UNSEEN
    }
  }

  /** What a power cut took never comes back. */
  #forgetFrom(end: number): void {
    for (const id of this.ids.splice(end)) {
      if (id < 0) continue
      const record = this.#book.of(id)
      record.state = 'lost'
    }
    this.times.splice(end)
  }

  #skip(): undefined {
    this.ids.push(UNSEEN)
    this.times.push(UNSEEN)
  }

  /**
   * The record came with a page of another partition, at the offset that it has there: a batch does
   * not say of which partition it is.
   */
  #isStray(id: number, offset: number): boolean {
    if (!this.#book.isMisdirected) return false
    const record = this.#book.of(id)
    const partition = record.partition === -1 ? record.seenIn : record.partition
    const isOwn = record.topic === this.topic && (partition === -1 || partition === this.index)
    return !isOwn && (record.offset === -1 || record.offset === offset)
  }

  /** A record behind all that was seen (I3, I4, I5). */
  #see(cursor: RecordCursor): undefined {
    const { offset, timestamp } = cursor
    const where = `${this.name} at ${offset}`
    while (this.#book.isTainted && this.ids.length < offset) this.#skip()
    must(offset >= this.ids.length, () => `${where}: not at ${this.ids.length}`)
    this.#seeMarkers(offset)
    const record = this.#book.at(cursor, where)
    const { id } = record
    if (this.#isStray(id, offset)) return this.#skip()
    must(record.topic === this.topic, () => `${where}: record ${id} is of ${record.topic}`)
    must(
      record.partition === -1 || record.partition === this.index,
      () => `${where}: record ${id} belongs to partition ${record.partition}`,
    )
    must(
      this.hasAppendTimes || record.timestamp === timestamp,
      () => `${where}: record ${id} is of ${record.timestamp}, not of ${timestamp}`,
    )
    must(
      record.state !== 'refused' && record.state !== 'lost',
      () => `${where}: record ${id} was ${record.state}`,
    )
    must(record.seenIn === -1, () => `${where}: record ${id} is there twice`)
    must(
      record.offset === -1 || record.offset === offset,
      () => `${where}: record ${id} was acknowledged at ${record.offset}`,
    )
    const before = this.#lastOfSender.get(record.sender) ?? -1
    must(before < id, () => `${where}: record ${id} comes behind ${before} of the same sender`)
    this.#lastOfSender.set(record.sender, id)
    record.offset = offset
    record.seenIn = this.index
    this.ids.push(id)
    this.times.push(timestamp)
    return undefined
  }

  /** A record was appended in `epoch` (I5). */
  appendedIn(epoch: number): void {
    const { least, most } = this.#epochs
    must(
      (epoch >= least && epoch <= most) || this.#book.isTainted,
      () => `${this.name}: appends in epoch ${epoch}, not in ${least} to ${most}`,
    )
    this.#highestEpoch = Math.max(this.#highestEpoch, epoch)
    this.#wasAppendedTo = true
    // Of one process all have the same.
    this.#epochs = { least: epoch, most: epoch }
  }
}
