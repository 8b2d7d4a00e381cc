/**
 * One trial: a damaged log is opened and read; then, from the same bytes, verified, repaired,
 * opened and read. Everything that comes back has to be what was written, and whatever does not
 * come back has to be told. What is not so is a `Violation`.
 */
import { InvariantError } from '../../src/errors/invariant.ts'
import { LogError } from '../../src/errors/log-error.ts'
import type { OpenReport } from '../../src/log/directory-open.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { repairDirectory } from '../../src/log/repair-directory.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { DirectoryVerification, type VerifyFindings } from '../../src/log/verify-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { appendBatch, openLog, recordsOf, type ReadRecord } from '../log/open-log.ts'
import type { Specimen } from './specimens.ts'
import { driverOf, storedIn, type StoredLog } from './stored-log.ts'

/** How a damaged log ends. */
export const ENDINGS = [
  'nothing to notice',
  'made good by open',
  'cut as torn',
  'told as damage',
  'refused by open',
] as const

/** One of them. */
export type Ending = (typeof ENDINGS)[number]

/** What must never be. */
class Violation extends Error {
  override readonly name: string = 'Violation'
}

/** What reading a whole log gave. */
interface Reading {
  readonly read: ReadonlyMap<string, ReadonlyMap<number, ReadRecord>>
  /** Folders in which a reader was told of damage. */
  readonly told: ReadonlySet<string>
  /** The end of each folder's log, and its start. */
  readonly ends: ReadonlyMap<string, { readonly start: number; readonly end: number }>
  readonly report: OpenReport
}

/** Tries one damaged log. @throws {Violation} */
export async function tryDamaged(specimen: Specimen, stored: StoredLog): Promise<Ending> {
  const reading = await openAndRead(specimen, stored, 'damaged')
  const ending = reading === undefined ? 'refused by open' : endingOf(specimen, reading)
  await verifyAndRepair(specimen, stored, reading)
  return ending
}

async function openAndRead(
  specimen: Specimen,
  stored: StoredLog,
  when: string,
): Promise<Reading | undefined> {
  const driver = driverOf(stored)
  try {
    const { log, report } = await openLog(driver, { bootId: specimen.bootId })
    const reading = readAll(specimen, log, report, when)
    await appendEverywhere(log, when)
    return reading
  } catch (error) {
    judge(error, `${when}: open`)
    return undefined
  } finally {
    driver.close()
  }
}

/** Refuses every error that a user must not meet. */
function judge(error: unknown, where: string): void {
  if (error instanceof Violation) throw error
  const isTold = LogError.is(error) && error.message !== ''
  if (isTold && !(error instanceof InvariantError)) return
  throw new Violation(`${where}: ${String(error)}`, { cause: error })
}

function readAll(specimen: Specimen, log: LogDirectory, report: OpenReport, when: string): Reading {
  const read = new Map<string, Map<number, ReadRecord>>()
  const told = new Set<string>()
  const ends = new Map<string, { start: number; end: number }>()
  for (const partition of log.topics().flatMap((topic) => topic.partitions)) {
    const { directory, logStartOffset: start, logEndOffset: end } = partition
    partition.tail.clear()
    const kept = specimen.records.get(directory) ?? []
    const written = [...(specimen.removed.get(directory) ?? []), ...kept]
    const expected = new Map(written.map((one) => [one.offset, one]))
    const found = readSkipping(partition, () => told.add(directory))
    for (const [offset, record] of found) {
      // Where gaps are nothing new, a base offset may change within one, and nobody can tell.
      const isMoved = specimen.hasGaps && written.some(isSame(record))
      // A wrong number in the checkpoint of log starts, which a crash left without a witness.
      const wasDeleted = !specimen.wasClean && offset < (kept[0]?.offset ?? 0)
      if (!isMoved && !wasDeleted)
        checkRecord(expected.get(offset), record, `${when}: ${directory} ${offset}`)
    }
    checkLookups(partition, found, `${when}: ${directory}`)
    read.set(directory, found)
    ends.set(directory, { start, end })
  }
  return { read, told, ends, report }
}

function readSkipping(log: PartitionLog, onDamage: () => void): Map<number, ReadRecord> {
  const found = new Map<number, ReadRecord>()
  const cursor = log.cursor(log.logStartOffset)
  let last = -1
  for (let turns = 0; turns < 10_000; turns++) {
    try {
      const run = cursor.next(log.highWatermark)
      if (run === undefined) return found
      for (const record of recordsOf(run)) {
        if (record.offset < log.logStartOffset) continue
        if (record.offset <= last) throw new Violation(`${log.directory}: offsets do not ascend`)
        last = record.offset
        found.set(record.offset, record)
      }
    } catch (error) {
      judge(error, `${log.directory}: reading`)
      onDamage()
      if (!LogError.is(error, 'CORRUPT')) return found
      cursor.skipDamage()
    }
  }
  throw new Violation(`${log.directory}: reading does not end`)
}

function isSame(found: ReadRecord): (record: ReadRecord) => boolean {
  return ({ value, timestamp }) => value === found.value && timestamp === found.timestamp
}

function checkRecord(expected: ReadRecord | undefined, found: ReadRecord, where: string): void {
  const isRight = expected?.value === found.value && expected.timestamp === found.timestamp
  if (!isRight) throw new Violation(`${where}: ${show(found)}, written was ${show(expected)}`)
}

/** Single offsets and times: each is right, or refused. */
function checkLookups(
  log: PartitionLog,
  found: ReadonlyMap<number, ReadRecord>,
  where: string,
): void {
  const offsets = [...found.keys()]
  for (const offset of [offsets[0], offsets[offsets.length >> 1], offsets.at(-1)]) {
    if (offset === undefined) continue
    try {
      const run = log.cursor(offset).next(offset + 1)
      const record = run && recordsOf(run).find((one) => one.offset === offset)
      if (record?.value !== found.get(offset)?.value) {
        throw new Violation(`${where}: ${offset} looked up is ${show(record)}`)
      }
    } catch (error) {
      judge(error, `${where}: looking ${offset} up`)
    }
  }
  try {
    const timestamp = found.get(offsets[offsets.length >> 1] ?? -1)?.timestamp ?? 0
    const offset = offsetForTimestamp(log, timestamp)
    const record = offset === null ? undefined : found.get(offset)
    if (record !== undefined && record.timestamp < timestamp) {
      throw new Violation(`${where}: the time ${timestamp} is at ${offset}`)
    }
  } catch (error) {
    judge(error, `${where}: looking a time up`)
  }
}

async function appendEverywhere(log: LogDirectory, when: string): Promise<void> {
  for (const partition of log.topics().flatMap((topic) => topic.partitions)) {
    try {
      const { baseOffset } = appendBatch(partition, [{ timestamp: 1, value: 'new' }])
      partition.tail.clear()
      const run = partition.cursor(baseOffset).next(baseOffset + 1)
      const value = run && recordsOf(run).find(({ offset }) => offset === baseOffset)?.value
      if (value !== 'new') throw new Violation(`${when}: ${partition.directory}: append was lost`)
    } catch (error) {
      judge(error, `${when}: ${partition.directory}: append`)
    }
  }
  await runProcedure(log.close())
}

function endingOf(specimen: Specimen, reading: Reading): Ending {
  const { report, told } = reading
  let isCut = report.partitions.some(({ cutAtOffset }) => cutAtOffset !== null)
  let isTold = told.size > 0 || report.partitions.some(({ damage }) => damage.length > 0)
  for (const [directory, records] of specimen.records) {
    const missing = records.filter(
      ({ offset }) => reading.read.get(directory)?.has(offset) !== true,
    )
    for (const record of missing) {
      const { offset } = record
      const found = [...(reading.read.get(directory)?.values() ?? [])]
      // Handed out at another offset, which nothing contradicts.
      if (specimen.hasGaps && found.some(isSame(record))) continue
      const fate = fateOf(specimen, reading, directory, offset)
      if (fate === 'torn') isCut = true
      else if (fate === 'told') isTold = true
      else throw new Violation(`${directory}: ${offset} is gone, and nobody was told`)
    }
  }
  if (isTold) return 'told as damage'
  if (isCut) return 'cut as torn'
  const isMended = report.partitions.length > 0 || report.clean !== specimen.wasClean
  return isMended ? 'made good by open' : 'nothing to notice'
}

function fateOf(
  specimen: Specimen,
  { report, told, ends }: Reading,
  directory: string,
  offset: number,
): 'torn' | 'told' | 'silent' {
  const found = report.partitions.find((one) => `${one.topic}-${one.partition}` === directory)
  const bounds = ends.get(directory)
  if (bounds === undefined) return 'silent'
  const isDamage = found?.damage.some(
    ({ firstOffset, lastOffset }) =>
      firstOffset !== null && lastOffset !== null && offset >= firstOffset && offset <= lastOffset,
  )
  if (isDamage === true || told.has(directory)) return 'told'
  const isAboveSync = offset >= (specimen.syncedTo.get(directory) ?? 0)
  const isCut = found !== undefined && found.cutAtOffset !== null && offset >= found.cutAtOffset
  // Torn so that only zeros are left, it looks like room that was reserved.
  if ((isCut || offset >= bounds.end) && isAboveSync) return 'torn'
  // Told whoever asks for it: OFFSET_OUT_OF_RANGE.
  const hasMarker = specimen.wasClean && specimen.stored.has('metadata.json')
  return offset < bounds.start && !hasMarker ? 'told' : 'silent'
}

async function verifyAndRepair(
  specimen: Specimen,
  stored: StoredLog,
  before: Reading | undefined,
): Promise<void> {
  const driver = driverOf(stored)
  try {
    const findings = verify(driver, specimen)
    if (!sameStored(storedIn(driver), stored)) throw new Violation('verify has written')
    if (findings.damage.length > 0) {
      const randomBytes = (count: number): Buffer => Buffer.alloc(count, 7)
      await runProcedure(
        repairDirectory({ driver, findings, randomBytes, onFile: () => undefined }),
      )
    }
    const after = verify(driver, specimen)
    if (after.damage.length > 0) {
      throw new Violation(`damaged after its repair: ${JSON.stringify(after.damage)}`)
    }
    const repaired = await openAndRead(specimen, storedIn(driver), 'repaired')
    if (repaired === undefined) throw new Violation('a repaired log does not open')
    compare(before, repaired, findings)
  } catch (error) {
    judge(error, 'verify and repair')
  } finally {
    driver.close()
  }
}

function verify(driver: StorageDriver, { bootId }: Specimen): VerifyFindings {
  const newTopicId = (): string => 'AAAAAAAAAAAAAAAAAAAAAQ'
  const verification = new DirectoryVerification({ driver, bootId, isLive: false, newTopicId })
  for (let steps = 0; verification.step(4096); steps++) {
    if (steps > 100_000) throw new Violation('verification does not end')
  }
  const { findings } = verification
  if (findings === undefined) throw new Violation('verification found nothing')
  return findings
}

/** Nothing that could be read is lost by a repair, and what is left reads without an error. */
function compare(before: Reading | undefined, after: Reading, findings: VerifyFindings): void {
  if (after.told.size > 0) throw new Violation(`repaired, and still damaged: ${[...after.told][0]}`)
  for (const [directory, records] of before?.read ?? []) {
    for (const offset of records.keys()) {
      if (after.read.get(directory)?.has(offset) === true) continue
      throw new Violation(`${directory}: ${offset} could be read, and its repair lost it`)
    }
  }
  const isTold = before?.told ?? new Set()
  if (isTold.size > 0 && findings.damage.length === 0 && findings.tornBytes === 0) {
    throw new Violation(`verify calls it sound, reading does not: ${[...isTold][0]}`)
  }
}

function sameStored(left: StoredLog, right: StoredLog): boolean {
  if (left.size !== right.size) return false
  for (const [path, bytes] of left) {
    const other = right.get(path)
    if (bytes === null ? other !== null : !(other instanceof Buffer && bytes.equals(other))) {
      return false
    }
  }
  return true
}

function show(record: ReadRecord | undefined): string {
  return record === undefined ? 'nothing' : `'${record.value}' at ${record.timestamp}`
}
