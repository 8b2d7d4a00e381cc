/**
 * How fast is a single record found by its offset, anywhere in the log? Everything is in the page
 * cache; the process that wrote it is gone.
 *
 * streambed: `partition.get` and its value. SQLite: by primary key. lmdb: `getBinaryFast`. Limits:
 * a raw positioned read where the position is known; the same from memory.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { LENGTH_BYTES, pathIn, rawStore } from './contestants/raw-file.ts'
import { SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { openLog, streambedStore } from './contestants/streambed.ts'
import { Dataset, KEY_BYTES, mustEqual, scatteredOffsets, touch } from './runner/dataset.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
import { recordsFor, sizesOf, warmUpFor } from './runner/scale.ts'
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
        getCount: recordsFor(40_000, size, scale),
      }
      return {
        name: size.name,
        contestants: [streambed(plan), sqlite(plan), lmdb(plan), raw(plan), memcpy(plan)],
      }
    }),
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly getCount: number
}

/** Looks a record up and returns what `touch` says of its value. */
type Get = (offset: number) => number

async function timedGets({ dataset, recordCount, getCount }: Plan, get: Get): Promise<Measurement> {
  const warmUpCount = warmUpFor(getCount)
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
  return measurement
}

function streambed(plan: Plan): Contestant {
  return {
    name: 'streambed',
    role: 'ours',
    store: streambedStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const { log, partition } = await openLog(directory)
      const measurement = await timedGets(plan, (offset) => {
        const value = partition.get(offset)?.value
        return value === undefined || value === null ? -1 : touch(value, 0, value.length)
      })
      await log.close()
      return measurement
    },
  }
}

function sqlite(plan: Plan): Contestant {
  return {
    name: 'sqlite',
    role: 'peer',
    store: sqliteStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const log = new SqliteLog(directory, 'NORMAL')
      const measurement = await timedGets(plan, (offset) => {
        const { value } = log.get(offset)
        return touch(value, 0, value.length)
      })
      log.close()
      return measurement
    },
  }
}

function lmdb(plan: Plan): Contestant {
  return {
    name: 'lmdb',
    role: 'peer',
    store: lmdbStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const log = new LmdbLog(directory, 'written')
      const measurement = await timedGets(plan, (offset) => {
        const bytes = log.get(offset)
        return touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
      })
      await log.close()
      return measurement
    },
  }
}

function raw(plan: Plan): Contestant {
  const { dataset } = plan
  const recordBytes = LENGTH_BYTES + KEY_BYTES + dataset.valueBytes
  return {
    name: 'raw read',
    role: 'limit',
    store: rawStore(dataset, plan.recordCount),
    async measure(directory) {
      const fd = openSync(pathIn(directory), 'r')
      const target = Buffer.alloc(recordBytes)
      const measurement = await timedGets(plan, (offset) => {
        readSync(fd, target, 0, recordBytes, offset * recordBytes)
        return touch(target, LENGTH_BYTES + KEY_BYTES, dataset.valueBytes)
      })
      closeSync(fd)
      return measurement
    },
  }
}

function memcpy(plan: Plan): Contestant {
  const { dataset } = plan
  const recordBytes = LENGTH_BYTES + KEY_BYTES + dataset.valueBytes
  return {
    name: 'memcpy',
    role: 'limit',
    store: rawStore(dataset, plan.recordCount),
    async measure(directory) {
      const memory = readFileSync(pathIn(directory))
      const target = Buffer.alloc(recordBytes)
      return timedGets(plan, (offset) => {
        memory.copy(target, 0, offset * recordBytes, (offset + 1) * recordBytes)
        return touch(target, LENGTH_BYTES + KEY_BYTES, dataset.valueBytes)
      })
    },
  }
}
