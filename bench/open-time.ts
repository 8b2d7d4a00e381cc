/**
 * How long does it take to open a log that was closed cleanly, up to the first record read from its
 * middle? 1 GiB of records of 1 KiB, 64 MiB in a quick run; and with 10,000 segments, 1,000 in a
 * quick run, of one small record each? The process is fresh, nothing is warm but the page cache.
 *
 * Loading packages, their native parts included, is left out: streambed loads its own with the
 * first log that is opened, so an empty one is opened before. 'first log' shows what that adds. A
 * limit: opening a file and reading one record of it. A file of JSON lines has no index: its lines
 * are counted up to the middle.
 */
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CLASSIC_LEVEL, ClassicLevelLog, classicLevelStore } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog, eventStorageStore } from './contestants/event-storage.ts'
import { JSON_LINES, JsonLines, jsonLinesStore } from './contestants/json-lines.ts'
import { LMDB, LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { LENGTH_BYTES, RawFile, rawStore } from './contestants/raw-file.ts'
import { SQLITE, SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { loadStreambed, StreambedLog, streambedStore } from './contestants/streambed.ts'
import { segmentsStore } from './contestants/streambed-housekeeping.ts'
import { loadPeers } from './contestants/peer-packages.ts'
import { bytesOf } from './contestants/shaped-records.ts'
import { Contest, type Subject, type Timed } from './runner/contest.ts'
import { Dataset, KEY_BYTES, mustEqual, touch } from './runner/dataset.ts'
import type { Case, Contestant, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const VALUE_BYTES = 1_024
const FULL_RECORDS = 1_048_576
const QUICK_RECORDS = 65_536

/** The question. */
export const openTime: Question = {
  name: 'open-time',
  asks: 'opens a log after a clean close and reads one record from its middle',
  answer: 'time',
  cases: ({ quick }) => {
    const recordCount = quick ? QUICK_RECORDS : FULL_RECORDS
    const plan = { dataset: new Dataset(VALUE_BYTES), recordCount }
    return [
      { name: quick ? '64 MiB' : '1 GiB', contestants: contestantsOf(plan) },
      segmentsCase(quick ? 1_000 : 10_000),
    ]
  },
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
}

/** Opens what is measured, reads the record at `offset`, and returns what `touch` says of it. */
type OpenAndRead = (offset: number) => number | Promise<number>

async function timedOpen({ dataset, recordCount }: Plan, open: OpenAndRead): Promise<Timed> {
  const offset = Math.floor(recordCount / 2)
  let seen = 0
  const measurement = await timed(1, dataset.byteCount(1), async () => {
    seen = await open(offset)
  })
  mustEqual(seen, dataset.touched(offset, offset + 1), 'the value read')
  return { measurement }
}

/** What is opened while the clock runs, and closed afterwards. */
class Unopened<S extends Subject> implements Subject {
  readonly #open: () => S | Promise<S>
  #opened: S | undefined

  constructor(open: () => S | Promise<S>) {
    this.#open = open
  }

  async open(): Promise<S> {
    this.#opened = await this.#open()
    return this.#opened
  }

  check(): void {}

  async close(): Promise<void> {
    await this.#opened?.close()
  }
}

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { dataset, recordCount } = plan
  const ours = { role: 'ours', store: streambedStore(dataset, recordCount) } as const
  const streambed = (directory: string): Unopened<StreambedLog> =>
    new Unopened(() => StreambedLog.open(directory))
  const contest = new Contest(dataset, (open: OpenAndRead) => timedOpen(plan, open))
    .add(
      { name: 'streambed', ...ours },
      async (directory) => {
        await openAnother()
        return streambed(directory)
      },
      streambedRead,
    )
    .add(
      { name: 'streambed, first log', ...ours },
      async (directory) => {
        await loadStreambed()
        return streambed(directory)
      },
      streambedRead,
    )
    .add(
      { name: 'sqlite', ...SQLITE, store: sqliteStore(dataset, recordCount) },
      (directory) => {
        loadPeers()
        return new Unopened(() => new SqliteLog(directory, 'NORMAL'))
      },
      (unopened) => async (offset) => {
        const { value } = (await unopened.open()).get(offset)
        return touch(value, 0, value.length)
      },
    )
    .add(
      { name: 'lmdb', ...LMDB, store: lmdbStore(dataset, recordCount) },
      (directory) => {
        loadPeers()
        return new Unopened(() => new LmdbLog(directory, 'written'))
      },
      (unopened) => async (offset) => {
        const bytes = (await unopened.open()).get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      },
    )
    .add(
      {
        name: 'classic-level',
        ...CLASSIC_LEVEL,
        store: classicLevelStore(dataset, recordCount),
      },
      (directory) => {
        loadPeers()
        return new Unopened(() => ClassicLevelLog.open(directory))
      },
      (unopened) => async (offset) => {
        const bytes = (await unopened.open()).get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      },
    )
    .add(
      {
        name: 'event-storage',
        ...EVENT_STORAGE,
        store: eventStorageStore(dataset, recordCount),
      },
      (directory) => {
        loadPeers()
        return new Unopened(() => EventStorageLog.open(directory))
      },
      (unopened) => async (offset) => {
        const value = bytesOf((await unopened.open()).get(offset))
        return touch(value, 0, value.length)
      },
    )
    .add(
      { name: 'json lines', ...JSON_LINES, store: jsonLinesStore(dataset, recordCount) },
      (directory) => new Unopened(() => JsonLines.open(directory)),
      (unopened) => async (offset) => {
        const value = bytesOf((await unopened.open()).get(offset))
        return touch(value, 0, value.length)
      },
    )
    .add(
      { name: 'raw read', role: 'limit', store: rawStore(dataset, recordCount) },
      (directory) => new Unopened(() => RawFile.open(directory)),
      (unopened) => async (offset) => {
        const target = Buffer.alloc(LENGTH_BYTES + KEY_BYTES + VALUE_BYTES)
        const file = await unopened.open()
        file.readInto(target, offset * target.length)
        return touch(target, LENGTH_BYTES + KEY_BYTES, VALUE_BYTES)
      },
    )
  return contest.contestants
}

/** Nobody else has as many files; what it takes to look at each of them is the limit. */
function segmentsCase(segmentCount: number): Case {
  const store = segmentsStore(segmentCount)
  const offset = Math.floor(segmentCount / 2)
  const ours: Contestant = {
    name: 'streambed',
    role: 'ours',
    store,
    async measure(directory) {
      await openAnother()
      const unopened = new Unopened(() => StreambedLog.open(directory))
      const measurement = await timed(1, 0, async () => {
        const { partition } = await unopened.open()
        mustEqual(partition.get(offset)?.offset ?? -1, offset, 'the record read')
      })
      await unopened.close()
      return measurement
    },
  }
  const limit: Contestant = {
    name: 'a look at each file',
    role: 'limit',
    store,
    measure: (directory) =>
      timed(1, 0, () => {
        const folder = join(directory, 'bench-0')
        const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
        for (const name of logs) lstatSync(`${folder}/${name}`)
      }),
  }
  return { name: `${segmentCount} segments`, contestants: [ours, limit] }
}

function streambedRead(unopened: Unopened<StreambedLog>): OpenAndRead {
  return async (offset) => {
    const { partition } = await unopened.open()
    const value = partition.get(offset)?.value
    return value === undefined || value === null ? -1 : touch(value, 0, value.length)
  }
}

/** Opens an empty log and closes it. */
async function openAnother(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-bench-empty-'))
  const empty = await StreambedLog.open(directory)
  await empty.close()
  rmSync(directory, { recursive: true })
}
