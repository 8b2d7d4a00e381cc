/**
 * What was written to one partition of the model of housekeeping, and what of it may be gone: held
 * against what readers see, after every step.
 *
 *   I1  a record that a reader saw to be gone never shows again
 *   I2  of the committed records of a key the last one is there, or it is a tombstone that has been
 *       there for as long as it has to, and then no older one of that key is there
 *   I3  nothing else is gone than what is below the start of the log, superseded, past its horizon,
 *       or aborted; nothing of that from the active segment, or younger than it may be
 */
import type { LogRecord, Partition } from '../../../src/index.ts'
import type { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { must } from '../transactions/transaction-book.ts'

/** A transaction, or what stands for records of none. */
export interface BookedFate {
  outcome: 'open' | 'committed' | 'aborted'
}

/** A record that was written. */
export interface BookedRecord {
  readonly offset: number
  /** None: it was written before its topic was compacted. */
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly fate: BookedFate
  /** When a run that might have met it began; undefined before there was one. */
  metAtMs: number | undefined
  isGone: boolean
}

/** What may happen to a partition. */
export interface PartitionRules {
  compacts: boolean
  readonly deleteRetentionMs: number
  minCompactionLagMs: number
  retentionMs: number
  retentionBytes: number
}

/** How much of what may happen did. */
export interface GoneTally {
  superseded: number
  tombstones: number
  aborted: number
  deleted: number
}

/** Of a batch of one record with its key. */
const MAX_OVERHEAD_BYTES = 100

export const COMMITTED: BookedFate = { outcome: 'committed' }

/** See the file's header. */
export class PartitionBook {
  readonly rules: PartitionRules
  readonly records: Map<number, BookedRecord> = new Map()
  /** What `deleteRecords` was asked for. */
  deletedBefore = 0
  /** Of the group that holds deletion back; undefined where none does. */
  consumedBefore: number | undefined
  logStart = 0
  end = 0
  readonly #tally: GoneTally
  /** The active segment begins there: nothing later was cleaned. */
  #activeBase = 0
  /** What the last power cut took, at most: it was there when segments went for what they hold. */
  #lostBytes = 0

  constructor(rules: PartitionRules, tally: GoneTally) {
    this.rules = rules
    this.#tally = tally
  }

  wrote(record: Omit<BookedRecord, 'metAtMs' | 'isGone'>): void {
    this.records.set(record.offset, { ...record, metAtMs: undefined, isGone: false })
  }

  /** A run begins, or goes on, and may meet all that is there. */
  runBegins(nowMs: number): void {
    for (const record of this.records.values()) record.metAtMs ??= nowMs
  }

  /** The log was opened again, and ends there: the rest went with the power. */
  reopened(end: number): void {
    this.end = end
    this.#lostBytes = 0
    for (const { offset, value } of this.records.values()) {
      if (offset < end) continue
      this.records.delete(offset)
      this.#lostBytes += MAX_OVERHEAD_BYTES + (value?.length ?? 0)
    }
  }

  /** Holds what readers see against all of it. */
  check(partition: Partition, disk: FaultDisk, nowMs: number): void {
    const start = partition.logStartOffset
    must(start >= this.logStart, () => `the start went back from ${this.logStart} to ${start}`)
    must(start >= this.deletedBefore, () => `starts at ${start}, below ${this.deletedBefore}`)
    const shown = this.#read(partition)
    const logs = logsOf(disk, `${partition.topic}-${partition.index}`)
    const bytes = logs.reduce((sum, path) => sum + (disk.readFile(path)?.length ?? 0), 0)
    const last = logs.at(-1) ?? ''
    this.#activeBase = Number.parseInt(last.slice(last.lastIndexOf('/') + 1), 10)
    this.logStart = start
    for (const record of this.records.values()) {
      const isShown = shown.has(record.offset)
      if (isShown) must(!record.isGone, () => `I1: ${nameOf(record)} shows again`)
      else if (!record.isGone) this.#note(record, nowMs, bytes)
    }
    this.#checkLatest(shown)
  }

  /** What is there, each as it was written. */
  #read(partition: Partition): ReadonlySet<number> {
    const shown = new Set<number>()
    let before = -1
    for (const record of partition.records()) {
      must(record.offset > before, () => `${record.offset} behind ${before}`)
      before = record.offset
      this.#mustBeAsWritten(record)
      shown.add(record.offset)
    }
    const committed = Array.from(partition.records({ isolation: 'read_committed' }), (record) => {
      this.#mustBeAsWritten(record)
      return record.offset
    })
    const stable = partition.lastStableOffset
    const wanted = [...shown].filter(
      (offset) => offset < stable && this.records.get(offset)?.fate.outcome === 'committed',
    )
    must(
      committed.join() === wanted.join(),
      () => `committed: ${committed.join()} instead of ${wanted.join()}`,
    )
    return shown
  }

  #mustBeAsWritten({ offset, key, value, timestamp }: LogRecord): void {
    const booked = this.records.get(offset)
    must(booked !== undefined, () => `nobody wrote ${offset}`)
    const isSame =
      booked.key === (key?.toString() ?? null) &&
      booked.value === (value?.toString() ?? null) &&
      booked.timestamp === timestamp
    must(isSame, () => `${offset} is ${String(key)}=${String(value)}, not ${nameOf(booked)}`)
  }

  /** I3: notes that a record is gone, and why it may be. */
  #note(record: BookedRecord, nowMs: number, bytesLeft: number): void {
    record.isGone = true
    if (record.offset < this.logStart) {
      this.#mustBeDeletable(record, nowMs, bytesLeft)
      this.#tally.deleted += 1
      return
    }
    const { compacts, minCompactionLagMs } = this.rules
    must(compacts, () => `${nameOf(record)} is gone from a log that nobody compacts`)
    must(
      record.offset < this.#activeBase,
      () => `${nameOf(record)} is gone from the active segment, from ${this.#activeBase} on`,
    )
    must(
      record.timestamp <= nowMs - minCompactionLagMs,
      () => `${nameOf(record)} is gone ${nowMs - record.timestamp} ms after it was written`,
    )
    if (record.fate.outcome === 'aborted') this.#tally.aborted += 1
    else if (this.#isSuperseded(record)) this.#tally.superseded += 1
    else this.#mustBePastHorizon(record, nowMs)
  }

  #mustBeDeletable(record: BookedRecord, nowMs: number, bytesLeft: number): void {
    if (record.offset < this.deletedBefore) return
    const { retentionMs, retentionBytes } = this.rules
    const isOld = retentionMs >= 0 && record.timestamp < nowMs - retentionMs
    const isTooMuch = retentionBytes >= 0 && bytesLeft + this.#lostBytes >= retentionBytes
    must(isOld || isTooMuch, () => `${nameOf(record)} was deleted, and nobody asked for it`)
    const { consumedBefore = Infinity } = this
    must(
      record.offset < consumedBefore,
      () => `${nameOf(record)} was deleted, and its group is at ${consumedBefore}`,
    )
  }

  #isSuperseded({ key, offset }: BookedRecord): boolean {
    if (key === null) return false
    for (const other of this.records.values()) {
      if (other.key === key && other.offset > offset && other.fate.outcome === 'committed')
        return true
    }
    return false
  }

  #mustBePastHorizon(record: BookedRecord, nowMs: number): void {
    const { key, value, metAtMs, fate } = record
    must(key !== null, () => `${nameOf(record)} has no key, and is gone`)
    must(fate.outcome === 'committed', () => `${nameOf(record)} is undecided, and is gone`)
    must(value === null, () => `I2: ${nameOf(record)} is gone, the last of its key`)
    const horizon = (metAtMs ?? Infinity) + this.rules.deleteRetentionMs
    must(
      nowMs >= horizon,
      () => `${nameOf(record)} is gone at ${nowMs}, before its horizon at ${horizon}`,
    )
    this.#tally.tombstones += 1
  }

  /** I2, also for what was gone before: what superseded it is there, or may be gone itself. */
  #checkLatest(shown: ReadonlySet<number>): void {
    const latest = new Map<string, BookedRecord>()
    for (const record of this.records.values()) {
      if (record.key === null || record.fate.outcome !== 'committed') continue
      const known = latest.get(record.key)
      if (known === undefined || known.offset < record.offset) latest.set(record.key, record)
    }
    for (const last of latest.values()) {
      if (shown.has(last.offset) || last.offset < this.logStart) continue
      must(last.value === null, () => `I2: ${nameOf(last)} is gone, the last of its key`)
      for (const { key, offset, fate } of this.records.values()) {
        const isOlder = key === last.key && fate.outcome === 'committed' && shown.has(offset)
        must(!isOlder, () => `I2: ${offset} is back, deleted by ${nameOf(last)}`)
      }
    }
  }
}

/** The .log files of a partition, in order. */
function logsOf(disk: FaultDisk, folder: string): readonly string[] {
  return disk.files().filter((path) => path.startsWith(`${folder}/`) && path.endsWith('.log'))
}

function nameOf({ offset, key, value, fate }: BookedRecord): string {
  return `${offset} (${key}=${value}, ${fate.outcome})`
}
