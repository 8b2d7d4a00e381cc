/**
 * How fast is a log read from its start to its end, looking at each value? Everything is in the
 * page cache; the process that wrote it is gone.
 *
 * streambed: `scan` (a reused cursor), `records()` (an object a record), `for await` over `read()`.
 * SQLite: pages of 1,000 rows, faster than its iterator. lmdb: `getBinaryFast` of one key after the
 * other, faster than its ranges, whose bytes are good until the next call, as those of `scan`; and
 * `getBinary`, whose bytes may be kept, as those of `records()`. classic-level: its iterator, pages
 * of 1,000 values. event-storage: a range of its storage. JSON lines: chunks of 256 KiB, each line
 * parsed; the last two decode a value from base64. Limits: raw positioned reads of 256 KiB; values
 * copied from memory.
 */
import { CLASSIC_LEVEL, ClassicLevelLog, classicLevelStore } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog, eventStorageStore } from './contestants/event-storage.ts'
import { JSON_LINES, JsonLines, jsonLinesStore } from './contestants/json-lines.ts'
import { LMDB, LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { RawFile, RawMemory, rawStore, visitFrames } from './contestants/raw-file.ts'
import { SQLITE, SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { StreambedLog, streambedStore } from './contestants/streambed.ts'
import { bytesOf, type JsonRecord } from './contestants/shaped-records.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset, KEY_BYTES, mustEqual, touch } from './runner/dataset.ts'
import type { Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf } from './runner/scale.ts'
import { timed } from './runner/stopwatch.ts'

/** The question. */
export const scanThroughput: Question = {
  name: 'scan-throughput',
  asks: 'reads a log from start to end, looking at each value',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const plan = {
        dataset: new Dataset(size.valueBytes),
        recordCount: recordsFor(scale.quick ? QUICK_RECORDS : FULL_RECORDS / 2, size, scale),
        warmUpRecords: WARM_UP_RECORDS,
        timedRecords: TIMED_RECORDS,
      }
      return { name: size.name, contestants: scanContestants(plan) }
    }),
}

const QUICK_RECORDS = 400_000
const FULL_RECORDS = 2_000_000
/** Read before the clock starts: V8 compiles meanwhile, batch by batch as well as by record. */
const WARM_UP_RECORDS = 800_000
/** Read at least while it runs. */
const TIMED_RECORDS = 400_000

/** What is read how often. */
export interface ScanPlan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly warmUpRecords: number
  readonly timedRecords: number
}

/** What came of one pass: how many records, and what was seen of their values. */
interface Pass {
  readonly visited: number
  readonly sum: number
}

/** Times passes behind others that do not count. */
async function timedPass(
  { dataset, recordCount, warmUpRecords, timedRecords }: ScanPlan,
  pass: () => Pass | Promise<Pass>,
): Promise<Timed> {
  for (let read = 0; read < warmUpRecords; read += recordCount) await pass()
  const passCount = Math.ceil(timedRecords / recordCount)
  let visited = 0
  let sum = 0
  const readCount = passCount * recordCount
  const measurement = await timed(readCount, dataset.byteCount(readCount), async () => {
    for (let passed = 0; passed < passCount; passed += 1) {
      const seen = await pass()
      visited += seen.visited
      sum += seen.sum
    }
  })
  mustEqual(visited, readCount, 'records read')
  mustEqual(sum, passCount * dataset.touched(0, recordCount), 'sum over the values read')
  return { measurement }
}

/** Everybody who scans. */
export function scanContestants(plan: ScanPlan): readonly Contestant[] {
  const { dataset, recordCount } = plan
  const ours = { role: 'ours', store: streambedStore(dataset, recordCount) } as const
  const frames = { role: 'limit', store: rawStore(dataset, recordCount) } as const
  const contest = new Contest(dataset, (pass: () => Pass | Promise<Pass>) => timedPass(plan, pass))
    .add({ name: 'streambed scan', ...ours }, StreambedLog.open, (open) => () => scanned(open))
    .add(
      { name: 'streambed records()', ...ours },
      StreambedLog.open,
      (open) => () => iterated(open),
    )
    .add({ name: 'streambed for await', ...ours }, StreambedLog.open, (open) => () => awaited(open))
    .add(
      { name: 'sqlite', ...SQLITE, store: sqliteStore(dataset, recordCount) },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => () => selected(log),
    )
    .add(
      { name: 'lmdb', ...LMDB, store: lmdbStore(dataset, recordCount) },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => () => got((offset) => log.get(offset), recordCount),
    )
    .add(
      { name: 'lmdb, to keep', ...LMDB, store: lmdbStore(dataset, recordCount) },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => () => got((offset) => log.getOwned(offset), recordCount),
    )
    .add(
      {
        name: 'classic-level',
        ...CLASSIC_LEVEL,
        store: classicLevelStore(dataset, recordCount),
      },
      ClassicLevelLog.open,
      (log) => () => iteratedLevel(log),
    )
    .add(
      {
        name: 'event-storage',
        ...EVENT_STORAGE,
        store: eventStorageStore(dataset, recordCount),
      },
      (directory) => EventStorageLog.open(directory, { valueBytes: dataset.valueBytes }),
      (log) => () => decoded(log),
    )
    .add(
      { name: 'json lines', ...JSON_LINES, store: jsonLinesStore(dataset, recordCount) },
      JsonLines.open,
      (file) => () => decoded(file),
    )
    .add({ name: 'raw read', ...frames }, RawFile.open, (file) => () => framesRead(file))
    .add(
      { name: 'memcpy', ...frames },
      (directory) => new RawMemory(directory),
      (memory) => () => framesCopied(memory, dataset),
    )
  return contest.contestants
}

function scanned({ partition }: StreambedLog): Pass {
  let sum = 0
  const visited = partition.scan(({ buffer, valueStart, valueLength }) => {
    sum += touch(buffer, valueStart, valueLength)
  })
  return { visited, sum }
}

function iterated({ partition }: StreambedLog): Pass {
  let sum = 0
  let visited = 0
  for (const { value } of partition.records()) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  return { visited, sum }
}

async function awaited({ partition }: StreambedLog): Promise<Pass> {
  let sum = 0
  let visited = 0
  for await (const { value } of partition.read()) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  return { visited, sum }
}

function selected(log: SqliteLog): Pass {
  let sum = 0
  const visited = log.scan(({ value }) => {
    sum += touch(value, 0, value.length)
  })
  return { visited, sum }
}

function got(get: (offset: number) => Buffer, recordCount: number): Pass {
  let sum = 0
  for (let offset = 0; offset < recordCount; offset += 1) {
    const bytes = get(offset)
    sum += touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
  }
  return { visited: recordCount, sum }
}

async function iteratedLevel(log: ClassicLevelLog): Promise<Pass> {
  let sum = 0
  const visited = await log.scan((bytes) => {
    sum += touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
  })
  return { visited, sum }
}

/** Whose values are base64. */
function decoded(log: { scan(visit: (record: JsonRecord) => void): number }): Pass {
  let sum = 0
  const visited = log.scan((record) => {
    const value = bytesOf(record)
    sum += touch(value, 0, value.length)
  })
  return { visited, sum }
}

function framesRead(file: RawFile): Pass {
  let sum = 0
  const visited = file.scan((chunk, start, length) => {
    sum += touch(chunk, start + KEY_BYTES, length - KEY_BYTES)
  })
  return { visited, sum }
}

function framesCopied({ bytes }: RawMemory, { valueBytes }: Dataset): Pass {
  const copy = Buffer.alloc(valueBytes)
  let sum = 0
  const [visited] = visitFrames(bytes, bytes.length, (chunk, start, length) => {
    chunk.copy(copy, 0, start + KEY_BYTES, start + length)
    sum += touch(copy, 0, length - KEY_BYTES)
  })
  return { visited, sum }
}
