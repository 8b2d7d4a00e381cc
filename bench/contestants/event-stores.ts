/**
 * Who keeps the JSON events of order-events.ts: streambed with each codec, a file of lines, LevelDB
 * with the compression it comes with, and the limit, a length before each event. All of them take
 * an event as it is best for them: text, or the bytes of it, made before any clock starts.
 *
 *   line    {"id":…}\n          frame   length int32 | {"id":…}
 */
import { closeSync, openSync, readSync, readdirSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type * as Package from '../../dist/index.js'
import { mustEqual } from '../runner/dataset.ts'
import { EVENT_POOL, type OrderEvents } from './order-events.ts'
import { openLevelDirectory, type LevelDatabase, type LevelPut } from './peer-packages.ts'
import { LENGTH_BYTES, visitFrames } from './raw-file.ts'
import { loadStreambed } from './streambed.ts'

/** Looks at an event where it lies. */
export type VisitEvent = (bytes: Uint8Array, start: number, byteLength: number) => void

/** What events are appended to, in batches of one size, and read from. */
export interface EventStore {
  /** The batch with this number, from 0; safe from a kill of the process when it is over. */
  append(batch: number): void | Promise<void>
  /** Returns how many there were. */
  scan(visit: VisitEvent): number | Promise<number>
  close(): void | Promise<void>
}

/** What it opens: the events of a batch are those of the run from `batch * batchRecords` on. */
export interface EventPlan {
  readonly events: OrderEvents
  readonly batchRecords: number
}

/** Opens one of them, in a directory of its own. */
export type OpenEvents = (directory: string, plan: EventPlan) => EventStore | Promise<EventStore>

const READ_BYTES = 262_144
const LINE_FEED = 10
const KEY_DIGITS = 10

/** Bytes of all files below a directory. */
export function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}

/** streambed, each batch compressed by itself; without indexes there is no log, so they count. */
export function streambedEvents(compression: Package.Compression): OpenEvents {
  return async (directory, { events, batchRecords }) => {
    const { EventLog } = await loadStreambed()
    const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
    const partition = (await log.ensureTopic('events')).partition(0)
    const batches = batchesOf(events, batchRecords, (value) => ({ value }))
    return {
      append: (batch) => void partition.append(inTurn(batches, batch), { compression }),
      scan: (visit) =>
        partition.scan(({ buffer, valueStart, valueLength }) => {
          visit(buffer, valueStart, valueLength)
        }),
      close: () => log.close(),
    }
  }
}

/** A file of lines: those of a batch are joined and written at once. */
export function lineEvents(directory: string, { events, batchRecords }: EventPlan): EventStore {
  const file = openSync(join(directory, 'events.jsonl'), 'a+')
  const batches = batchesOf(events, batchRecords, (event) => event)
  return {
    append(batch) {
      const text = `${inTurn(batches, batch).join('\n')}\n`
      mustEqual(writeSync(file, text, null, 'latin1'), text.length, 'bytes taken')
    },
    scan: (visit) =>
      scanChunks(file, (chunk, chunkBytes) => {
        let start = 0
        let count = 0
        const used = chunk.subarray(0, chunkBytes)
        for (let end = used.indexOf(LINE_FEED); end !== -1; end = used.indexOf(LINE_FEED, start)) {
          visit(used, start, end - start)
          start = end + 1
          count += 1
        }
        return [count, start]
      }),
    close: () => closeSync(file),
  }
}

/** The limit: a length before each, and one write a batch. */
export function frameEvents(directory: string, { events, batchRecords }: EventPlan): EventStore {
  const file = openSync(join(directory, 'frames'), 'a+')
  const batches = batchesOf(events, batchRecords, (event) => event)
  const longestBytes = Math.max(...events.range(0, EVENT_POOL).map(({ length }) => length))
  const buffer = Buffer.alloc(batchRecords * (LENGTH_BYTES + longestBytes))
  return {
    append(batch) {
      let at = 0
      for (const event of inTurn(batches, batch)) {
        buffer.writeInt32BE(event.length, at)
        at += LENGTH_BYTES + buffer.write(event, at + LENGTH_BYTES, 'latin1')
      }
      mustEqual(writeSync(file, buffer, 0, at), at, 'bytes taken')
    },
    scan: (visit) => scanChunks(file, (chunk, chunkBytes) => visitFrames(chunk, chunkBytes, visit)),
    close: () => closeSync(file),
  }
}

/** LevelDB: keys are offsets in digits, blocks of 4 KiB compressed by snappy, its default. */
export async function levelEvents(
  directory: string,
  { events, batchRecords }: EventPlan,
): Promise<EventStore> {
  const database = await openLevel(directory)
  const batches = batchesOf(events, batchRecords, (event) => Buffer.from(event, 'latin1'))
  return {
    append(batch) {
      let offset = batch * batchRecords
      const operations: LevelPut[] = []
      for (const value of inTurn(batches, batch)) {
        operations.push({ type: 'put', key: levelKey(offset), value })
        offset += 1
      }
      return database.batch(operations)
    },
    async scan(visit) {
      const values = database.values({ highWaterMarkBytes: 4 * READ_BYTES })
      let visited = 0
      for (;;) {
        const page = await values.nextv(1_000)
        if (page.length === 0) break
        for (const bytes of page) visit(bytes, 0, bytes.length)
        visited += page.length
      }
      await values.close()
      return visited
    },
    async close() {
      // What is still in its log is not compressed yet: so small a database would look large.
      await database.compactRange(levelKey(0), levelKey(10 ** KEY_DIGITS - 1))
      await database.close()
    },
  }
}

interface CompactingLevel extends LevelDatabase {
  compactRange(start: string, end: string): Promise<void>
}

async function openLevel(directory: string): Promise<CompactingLevel> {
  const options = { keyEncoding: 'utf8', valueEncoding: 'buffer', compression: true } as const
  return (await openLevelDirectory(directory, options)) as CompactingLevel // classic-level's own.
}

function levelKey(offset: number): string {
  return String(offset).padStart(KEY_DIGITS, '0')
}

function batchesOf<T>(
  events: OrderEvents,
  batchRecords: number,
  made: (event: string) => T,
): readonly (readonly T[])[] {
  const pool = events.range(0, EVENT_POOL).map((event) => made(event))
  return Array.from({ length: EVENT_POOL / batchRecords }, (_, batch) =>
    pool.slice(batch * batchRecords, (batch + 1) * batchRecords),
  )
}

function inTurn<T>(batches: readonly (readonly T[])[], batch: number): readonly T[] {
  return batches[batch % batches.length] ?? []
}

/** Reads 256 KiB at a time; `visit` says how many events it found and how many bytes they took. */
function scanChunks(
  file: number,
  visit: (chunk: Buffer, chunkBytes: number) => readonly [count: number, usedBytes: number],
): number {
  const chunk = Buffer.alloc(READ_BYTES)
  let visited = 0
  for (let position = 0; ;) {
    const read = readSync(file, chunk, 0, READ_BYTES, position)
    if (read === 0) return visited
    const [count, used] = visit(chunk, read)
    visited += count
    position += used
  }
}
