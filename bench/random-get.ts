/**
 * How fast is a single record found by its offset, anywhere in the log? Everything is in the page
 * cache; the process that wrote it is gone. The same log was looked into before, several times
 * everywhere: who checks what is read for the first time, or maps what is read often, has done so.
 *
 * streambed: `partition.get` and its value, to keep. SQLite: by primary key. lmdb: `getBinaryFast`,
 * good until the next call, and `getBinary`, to keep. classic-level: `getSync`. event-storage: a
 * document of its storage by number, its value decoded from base64. JSON lines have no way to find
 * one. Limits: a raw positioned read where the position is known; the same from memory.
 */
import { CLASSIC_LEVEL, ClassicLevelLog, classicLevelStore } from './contestants/classic-level.ts'
import { EVENT_STORAGE, EventStorageLog, eventStorageStore } from './contestants/event-storage.ts'
import { LMDB, LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { LENGTH_BYTES, RawFile, RawMemory, rawStore } from './contestants/raw-file.ts'
import { SQLITE, SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { StreambedLog, streambedStore } from './contestants/streambed.ts'
import { bytesOf } from './contestants/shaped-records.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset, KEY_BYTES, mustEqual, scatteredOffsets, touch } from './runner/dataset.ts'
import type { Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf } from './runner/scale.ts'
import { timed } from './runner/stopwatch.ts'

/** The question. */
export const randomGet: Question = {
  name: 'random-get',
  asks: 'finds single records by offset, in random order',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const plan = {
        dataset: new Dataset(size.valueBytes),
        recordCount: recordsFor(500_000, size, scale),
        getCount: scale.quick ? QUICK_GETS : FULL_GETS,
      }
      return { name: size.name, contestants: contestantsOf(plan) }
    }),
}

const QUICK_GETS = 40_000
const FULL_GETS = 80_000
/** Of the largest log, each 16 KiB seven times. */
const WARM_UP_GETS = 80_000

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly getCount: number
}

/** Looks a record up and returns what `touch` says of its value. */
type Get = (offset: number) => number

async function timedGets({ dataset, recordCount, getCount }: Plan, get: Get): Promise<Timed> {
  const warmUpCount = WARM_UP_GETS
  const offsets = scatteredOffsets(warmUpCount + getCount, recordCount)
  for (let index = 0; index < warmUpCount; index += 1) get(offsets[index] ?? 0)
  let sum = 0
  const measurement = await timed(getCount, dataset.byteCount(getCount), () => {
    for (let index = warmUpCount; index < offsets.length; index += 1)
      sum += get(offsets[index] ?? 0)
  })
  let expected = 0
  for (const offset of offsets.subarray(warmUpCount))
    expected += dataset.touched(offset, offset + 1)
  mustEqual(sum, expected, 'sum over the values read')
  return { measurement }
}

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { dataset, recordCount } = plan
  const frames = { role: 'limit', store: rawStore(dataset, recordCount) } as const
  const recordBytes = LENGTH_BYTES + KEY_BYTES + dataset.valueBytes
  const contest = new Contest(dataset, (get: Get) => timedGets(plan, get))
    .add(
      { name: 'streambed', role: 'ours', store: streambedStore(dataset, recordCount) },
      StreambedLog.open,
      ({ partition }) =>
        (offset) => {
          const value = partition.get(offset)?.value
          return value === undefined || value === null ? -1 : touch(value, 0, value.length)
        },
    )
    .add(
      { name: 'sqlite', ...SQLITE, store: sqliteStore(dataset, recordCount) },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => (offset) => {
        const { value } = log.get(offset)
        return touch(value, 0, value.length)
      },
    )
    .add(
      { name: 'lmdb', ...LMDB, store: lmdbStore(dataset, recordCount) },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => (offset) => {
        const bytes = log.get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      },
    )
    .add(
      { name: 'lmdb, to keep', ...LMDB, store: lmdbStore(dataset, recordCount) },
      (directory) => new LmdbLog(directory, 'written'),
      (log) => (offset) => {
        const bytes = log.getOwned(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      },
    )
    .add(
      {
        name: 'classic-level',
        ...CLASSIC_LEVEL,
        store: classicLevelStore(dataset, recordCount),
      },
      ClassicLevelLog.open,
      (log) => (offset) => {
        const bytes = log.get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      },
    )
    .add(
      {
        name: 'event-storage',
        ...EVENT_STORAGE,
        store: eventStorageStore(dataset, recordCount),
      },
      (directory) => EventStorageLog.open(directory, { valueBytes: dataset.valueBytes }),
      (log) => (offset) => {
        const value = bytesOf(log.get(offset))
        return touch(value, 0, value.length)
      },
    )
    .add({ name: 'raw read', ...frames }, RawFile.open, (file) => {
      const target = Buffer.alloc(recordBytes)
      return (offset) => {
        file.readInto(target, offset * recordBytes)
        return touch(target, LENGTH_BYTES + KEY_BYTES, dataset.valueBytes)
      }
    })
    .add(
      { name: 'memcpy', ...frames },
      (directory) => new RawMemory(directory),
      ({ bytes }) => {
        const target = Buffer.alloc(recordBytes)
        return (offset) => {
          bytes.copy(target, 0, offset * recordBytes, (offset + 1) * recordBytes)
          return touch(target, LENGTH_BYTES + KEY_BYTES, dataset.valueBytes)
        }
      },
    )
  return contest.contestants
}
