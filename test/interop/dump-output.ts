/**
 * What DumpLogSegments prints, as data. With HexDecoder every key and value is one word of hex
 * digits, so each line can be told apart. A line that is none of those a sound log gives (words of
 * a mismatch, of corruption, of bytes left over) is kept as a complaint: nothing is passed over.
 */
import type { PlainRecord } from './kafka-driver.ts'

/** A record as printed: of headers the tool shows the names only. */
export interface DumpedRecord extends Omit<PlainRecord, 'headers'> {
  readonly keyBytes: number
  readonly valueBytes: number
  readonly headerNames: readonly string[]
}

/** A batch as printed. */
export interface DumpedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly recordCount: number
  readonly timestampType: string
  readonly maxTimestamp: number
  readonly codec: string
  readonly isValid: boolean
}

/** An entry of an index as printed. */
export interface DumpedEntry {
  readonly offset: number
  /** Of an offset index. */
  readonly position?: number
  /** Of a time index. */
  readonly timestamp?: number
}

/** One file of the dump. */
export interface DumpedFile {
  readonly path: string
  readonly batches: DumpedBatch[]
  readonly records: DumpedRecord[]
  readonly entries: DumpedEntry[]
  passedSanityCheck: boolean
  /** The tool says so of an offset index without entries. */
  isEmptyIndex: boolean
  readonly complaints: string[]
}

const BATCH = new RegExp(
  [
    /^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .* (CreateTime|LogAppendTime): (-?\d+)/,
    / size: \d+ magic: 2 compresscodec: (\w+) crc: \d+ isvalid: (true|false)$/,
  ]
    .map(({ source }) => source)
    .join(''),
)
const RECORD = new RegExp(
  [
    /^\| offset: (\d+) \w+: (-?\d+) keySize: (-?\d+) valueSize: (-?\d+) sequence: -?\d+/,
    / headerKeys: \[(.*?)\](?: key: ([0-9a-f]*))?(?: payload: ([0-9a-f]*))?$/,
  ]
    .map(({ source }) => source)
    .join(''),
)
const OFFSET_ENTRY = /^offset: (\d+) position: (\d+)$/
const TIME_ENTRY = /^timestamp: (-?\d+) offset: (\d+)$/

/** The files of a dump, in the order in which they were asked for. */
export function parseDump(printed: string): readonly DumpedFile[] {
  const files: DumpedFile[] = []
  for (const line of printed.split('\n')) {
    const path = /^Dumping (.+)$/.exec(line)?.[1]
    const file = files.at(-1)
    if (path !== undefined) files.push(emptyFile(path))
    else if (file === undefined) throw new Error(`before any file: ${line}`)
    else readLine(file, line)
  }
  return files
}

function emptyFile(path: string): DumpedFile {
  const lists = { batches: [], records: [], entries: [], complaints: [] }
  return { path, ...lists, passedSanityCheck: false, isEmptyIndex: false }
}

function readLine(file: DumpedFile, line: string): void {
  if (line === '' || line.startsWith('Log starting offset: ')) return
  const batch = BATCH.exec(line)
  const record = RECORD.exec(line)
  const offsetEntry = OFFSET_ENTRY.exec(line)
  const timeEntry = TIME_ENTRY.exec(line)
  if (line === `${file.path} passed sanity check.`) file.passedSanityCheck = true
  else if (line === `${file.path} is empty.`) file.isEmptyIndex = true
  else if (batch !== null) file.batches.push(batchOf(batch))
  else if (record !== null) file.records.push(recordOf(record))
  else if (offsetEntry !== null) {
    file.entries.push({ offset: Number(offsetEntry[1]), position: Number(offsetEntry[2]) })
  } else if (timeEntry !== null) {
    file.entries.push({ offset: Number(timeEntry[2]), timestamp: Number(timeEntry[1]) })
  } else file.complaints.push(line)
}

function batchOf(found: RegExpExecArray): DumpedBatch {
  const [, baseOffset, lastOffset, recordCount, timestampType = '', maxTimestamp, codec = ''] =
    found
  return {
    baseOffset: Number(baseOffset),
    lastOffset: Number(lastOffset),
    recordCount: Number(recordCount),
    timestampType,
    maxTimestamp: Number(maxTimestamp),
    codec,
    isValid: found[7] === 'true',
  }
}

function recordOf(found: RegExpExecArray): DumpedRecord {
  const [, offset, timestamp, keyBytes, valueBytes, names = '', key, value] = found
  return {
    offset: Number(offset),
    timestamp: Number(timestamp),
    keyBytes: Number(keyBytes),
    valueBytes: Number(valueBytes),
    headerNames: names === '' ? [] : names.split(','),
    key: key ?? null,
    value: value ?? null,
  }
}
