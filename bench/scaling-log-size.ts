/**
 * What does a large log cost whoever opens it? From opening to the first record, read from its
 * middle, and the memory that the process has come to hold by then; 'MB after reads' is what it
 * holds after 10,000 more, scattered over all of it, of its own: pages of mapped files are not
 * counted, since the system takes those back whenever it likes.
 *
 *   closed cleanly   the same store, opened and closed again and again
 *   after kill -9    before each measurement a process of its own opens the store, appends 8 MiB
 *                    and is killed: what nobody synced has to be looked at again
 *
 * Records of 1 KiB. Packages are loaded beforehand, the page cache holds what fits into it. After a
 * kill SQLite reads its write-ahead log, never more than 4 MiB; lmdb, which has none and does not
 * sync here, reads nothing, and would not survive a power cut.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { LMDB, LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { loadPeers } from './contestants/peer-packages.ts'
import { SQLITE, SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { crashedWriter, openAnother, type CrashErrand } from './contestants/streambed-spread.ts'
import { StreambedLog, streambedStore } from './contestants/streambed.ts'
import { Dataset, KEY_BYTES, mustEqual, scatteredOffsets, touch } from './runner/dataset.ts'
import type { Case, Contestant, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const VALUE_BYTES = 1_024
const KIB = 1_024
const RECORDS_PER_MIB = 1_024
const KILLED_RECORDS = 8 * RECORDS_PER_MIB
const LATER_READS = 10_000
const BYTES_PER_MB = 1e6

const QUICK_MIB = [16, 64]
const FULL_MIB = [64, 1_024, 10_240]

/** The question. */
export const scalingLogSize: Question = {
  name: 'scaling-log-size',
  asks: 'opens a log and reads one record from its middle, by the size of the log',
  answer: 'time',
  cases: ({ quick }) =>
    (quick ? QUICK_MIB : FULL_MIB).flatMap((sizeMib) => [
      caseOf(sizeMib, 'closed cleanly'),
      caseOf(sizeMib, 'after kill -9'),
    ]),
}

type State = 'closed cleanly' | 'after kill -9'

/** What is opened. */
interface Opened {
  /** What `touch` says of the value at `offset`. */
  read(offset: number): number
  /** Throws unless it ends with record `recordCount` - 1. */
  mustEnd(recordCount: number): void
  close(): void | Promise<void>
}

interface Plan {
  readonly recordCount: number
  readonly state: State
}

const dataset = new Dataset(VALUE_BYTES)

function caseOf(sizeMib: number, state: State): Case {
  const recordCount = sizeMib * RECORDS_PER_MIB
  const plan = { recordCount, state }
  const size = sizeMib < KIB ? `${sizeMib} MiB` : `${sizeMib / KIB} GiB`
  const contestants: readonly Contestant[] = [
    {
      name: 'streambed',
      role: 'ours',
      store: streambedStore(dataset, recordCount),
      measure: async (directory) => {
        await openAnother()
        return measured(plan, directory, 'streambed', openStreambed)
      },
    },
    {
      name: 'sqlite',
      ...SQLITE,
      store: sqliteStore(dataset, recordCount),
      measure: (directory) => measured(plan, directory, 'sqlite', openSqlite),
    },
    {
      name: 'lmdb',
      ...LMDB,
      store: lmdbStore(dataset, recordCount),
      measure: (directory) => measured(plan, directory, 'lmdb', openLmdb),
    },
  ]
  return { name: `${size}, ${state}`, contestants }
}

async function measured(
  { recordCount, state }: Plan,
  directory: string,
  contestant: CrashErrand['contestant'],
  open: (directory: string) => Opened | Promise<Opened>,
): Promise<Measurement> {
  loadPeers()
  const endCount =
    state === 'closed cleanly' ? recordCount : await killWriter(directory, contestant, recordCount)
  const before = ownBytes()
  const middle = Math.floor(recordCount / 2)
  let seen = 0
  let opened: Opened | undefined
  const measurement = await timed(1, dataset.byteCount(1), async () => {
    opened = await open(directory)
    seen = opened.read(middle)
  })
  mustEqual(seen, dataset.touched(middle, middle + 1), 'the value read')
  opened?.mustEnd(endCount)
  let sum = 0
  let expected = 0
  for (const offset of scatteredOffsets(LATER_READS, recordCount)) {
    sum += opened?.read(offset) ?? 0
    expected += dataset.touched(offset, offset + 1)
  }
  mustEqual(sum, expected, 'the values read later')
  const also = { 'MB after reads': (ownBytes() - before) / BYTES_PER_MB }
  await opened?.close()
  return { ...measurement, also }
}

/** Kills a writer of the store, and returns how many records that has then. */
async function killWriter(
  directory: string,
  contestant: CrashErrand['contestant'],
  recordCount: number,
): Promise<number> {
  // What each round appends stays there, so it is written down beside the store.
  const notes = `${directory}.killed`
  const fromRecord = existsSync(notes) ? Number(readFileSync(notes, 'utf8')) : recordCount
  const errand = { contestant, directory, valueBytes: VALUE_BYTES, fromRecord }
  await crashedWriter({ ...errand, recordCount: KILLED_RECORDS })
  writeFileSync(notes, String(fromRecord + KILLED_RECORDS))
  return fromRecord + KILLED_RECORDS
}

async function openStreambed(directory: string): Promise<Opened> {
  const log = await StreambedLog.open(directory)
  return {
    read(offset) {
      const value = log.partition.get(offset)?.value ?? Buffer.alloc(1)
      return touch(value, 0, value.length)
    },
    mustEnd: (recordCount) => mustEqual(log.partition.logEndOffset, recordCount, 'the end'),
    close: () => log.close(),
  }
}

function openSqlite(directory: string): Opened {
  const log = new SqliteLog(directory, 'NORMAL')
  const read = (offset: number): number => {
    const { value } = log.get(offset)
    return touch(value, 0, value.length)
  }
  return {
    read,
    mustEnd: (recordCount) => mustEndBy((offset) => log.get(offset), recordCount),
    close: () => log.close(),
  }
}

function openLmdb(directory: string): Opened {
  const log = new LmdbLog(directory, 'written')
  return {
    read(offset) {
      const bytes = log.get(offset)
      return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
    },
    mustEnd: (recordCount) => mustEndBy((offset) => tried(() => log.get(offset)), recordCount),
    close: () => log.close(),
  }
}

function mustEndBy(get: (offset: number) => unknown, recordCount: number): void {
  if (get(recordCount - 1) === undefined) throw new Error('records are missing at the end')
  if (get(recordCount) !== undefined) throw new Error('there are records past the end')
}

function tried<T>(get: () => T): T | undefined {
  try {
    return get()
  } catch {
    return undefined
  }
}

/** Memory of this process alone; all that is resident where the system does not say. */
function ownBytes(): number {
  try {
    const line = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
    return Number(line?.[1]) * KIB
  } catch {
    return process.memoryUsage.rss()
  }
}
