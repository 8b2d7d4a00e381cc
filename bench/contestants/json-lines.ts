/**
 * A file of JSON lines, what many a program appends its events to: no package, no index, no
 * checksum. A record is `{"key":…,"value":…}` with its value in base64 and a line feed behind it.
 *
 * Tuned: lines of a batch are joined and written at once, as latin1, which they are. It is never
 * torn to a reader that looks for the last line feed; finding a record means counting lines.
 */
import { closeSync, fdatasync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32Of, mustEqual, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { bytesOf, jsonRecords, type JsonRecord } from './shaped-records.ts'

/** What it is in a contest. */
export const JSON_LINES = { role: 'peer' } as const

const READ_BYTES = 262_144
const LINE_FEED = 10
const FILL_BATCH_BYTES = 65_536

/** A file that lines are appended to. */
export class JsonLines {
  readonly #fd: number
  #lines = ''

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Opens the file in `directory`, making it where there is none. */
  static open(this: void, directory: string): JsonLines {
    return new JsonLines(openSync(join(directory, 'log.jsonl'), 'a+'))
  }

  /** Adds a line to the next write. */
  add(record: JsonRecord): void {
    this.#lines += `${JSON.stringify(record)}\n`
  }

  /** Writes what was added. */
  write(): void {
    if (this.#lines === '') return
    const byteLength = this.#lines.length // They are ASCII.
    mustEqual(writeSync(this.#fd, this.#lines, null, 'latin1'), byteLength, 'bytes taken')
    this.#lines = ''
  }

  /** All of them by one write. */
  appendAll(batch: readonly JsonRecord[]): void {
    for (const record of batch) this.add(record)
    this.write()
  }

  /** Resolves when what was written is on stable storage. */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => {
        if (error === null) resolve()
        else reject(error)
      })
    })
  }

  /** Visits every record, parsed. Returns how many there were. */
  scan(visit: (record: JsonRecord) => void): number {
    let rest = ''
    let visited = 0
    this.#chunks((chunk) => {
      const text = rest + chunk.toString('latin1')
      let start = 0
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', start)) {
        visit(parsed(text.slice(start, end)))
        visited += 1
        start = end + 1
      }
      rest = text.slice(start)
      return true
    })
    return visited
  }

  /** The record at `offset`, found by counting the lines before it. */
  get(offset: number): JsonRecord {
    let linesLeft = offset
    let line: string | undefined
    let found = ''
    this.#chunks((chunk) => {
      let start = 0
      for (; linesLeft > 0; linesLeft -= 1) {
        const end = chunk.indexOf(LINE_FEED, start)
        if (end === -1) return true
        start = end + 1
      }
      const end = chunk.indexOf(LINE_FEED, start)
      found += chunk.toString('latin1', start, end === -1 ? chunk.length : end)
      if (end !== -1) line = found
      return end === -1
    })
    if (line === undefined) throw new RangeError('the file has no such line')
    return parsed(line)
  }

  /** Throws unless the file holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    const visited = this.scan((record) => {
      crc = crc32Of(crc, record.key, bytesOf(record))
    })
    mustEqual(visited, recordCount, 'lines read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of the lines read back')
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** Reads chunk after chunk, each borrowed until the next, as long as `take` wants more. */
  #chunks(take: (chunk: Buffer) => boolean): void {
    const chunk = Buffer.allocUnsafe(READ_BYTES)
    for (let position = 0; ;) {
      const read = readSync(this.#fd, chunk, 0, READ_BYTES, position)
      if (read === 0 || !take(chunk.subarray(0, read))) return
      position += read
    }
  }
}

function parsed(line: string): JsonRecord {
  return JSON.parse(line) as JsonRecord // As `add` writes them.
}

/** A file of `recordCount` lines. */
export function jsonLinesStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `json-lines-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const file = JsonLines.open(directory)
      const records = jsonRecords(dataset)
      const batchRecords = Math.max(1, Math.floor(FILL_BATCH_BYTES / dataset.valueBytes))
      for (let from = 0; from < recordCount; from += batchRecords) {
        const end = Math.min(recordCount, from + batchRecords)
        for (let index = from; index < end; index += 1) file.add(records.at(index))
        file.write()
      }
      file.check(dataset, recordCount)
      file.close()
    },
  }
}
