/**
 * How fast is a log read from its start to its end, looking at each value? Everything is in the
 * page cache; the process that wrote it is gone.
 *
 * streambed: `scan` (a reused cursor), `records()` (an object a record), `for await` over `read()`.
 * SQLite: pages of 1,000 rows, faster than its iterator. lmdb: `getBinaryFast` of one key after the
 * other, faster than its ranges. Limits: raw positioned reads of 256 KiB; values copied from
 * memory.
 */
import { openSync, statSync, closeSync, readFileSync } from 'node:fs'
import { LmdbLog, lmdbStore } from './contestants/lmdb.ts'
import { pathIn, rawStore, scanFile, visitFrames } from './contestants/raw-file.ts'
import { SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { openLog, streambedStore, type OpenLog } from './contestants/streambed.ts'
import { Dataset, KEY_BYTES, mustEqual, touch } from './runner/dataset.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
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
        recordCount: recordsFor(500_000, size, scale),
      }
      return {
        name: size.name,
        contestants: [...streambedWays(plan), sqlite(plan), lmdb(plan), raw(plan), memcpy(plan)],
      }
    }),
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
}

/** What came of one pass: how many records, and what was seen of their values. */
interface Pass {
  readonly visited: number
  readonly sum: number
}

/** Times the second of two passes. */
async function timedPass(
  { dataset, recordCount }: Plan,
  pass: () => Pass | Promise<Pass>,
): Promise<Measurement> {
  await pass()
  let seen: Pass = { visited: 0, sum: 0 }
  const measurement = await timed(recordCount, dataset.byteCount(recordCount), async () => {
    seen = await pass()
  })
  mustEqual(seen.visited, recordCount, 'records read')
  mustEqual(seen.sum, dataset.touched(0, recordCount), 'sum over the values read')
  return measurement
}

function streambedWays(plan: Plan): readonly Contestant[] {
  const store = streambedStore(plan.dataset, plan.recordCount)
  const way = (name: string, pass: (open: OpenLog) => Pass | Promise<Pass>): Contestant => ({
    name: `streambed ${name}`,
    role: 'ours',
    store,
    async measure(directory) {
      const open = await openLog(directory)
      const measurement = await timedPass(plan, () => pass(open))
      await open.log.close()
      return measurement
    },
  })
  return [way('scan', scanned), way('records()', iterated), way('for await', awaited)]
}

function scanned({ partition }: OpenLog): Pass {
  let sum = 0
  const visited = partition.scan(({ buffer, valueStart, valueLength }) => {
    sum += touch(buffer, valueStart, valueLength)
  })
  return { visited, sum }
}

function iterated({ partition }: OpenLog): Pass {
  let sum = 0
  let visited = 0
  for (const { value } of partition.records()) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  return { visited, sum }
}

async function awaited({ partition }: OpenLog): Promise<Pass> {
  let sum = 0
  let visited = 0
  for await (const { value } of partition.read()) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  return { visited, sum }
}

function sqlite(plan: Plan): Contestant {
  return {
    name: 'sqlite',
    role: 'peer',
    store: sqliteStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const log = new SqliteLog(directory, 'NORMAL')
      const measurement = await timedPass(plan, () => {
        let sum = 0
        const visited = log.scan(({ value }) => {
          sum += touch(value, 0, value.length)
        })
        return { visited, sum }
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
      const measurement = await timedPass(plan, () => {
        let sum = 0
        for (let offset = 0; offset < plan.recordCount; offset += 1) {
          const bytes = log.get(offset)
          sum += touch(bytes, KEY_BYTES, bytes.length - KEY_BYTES)
        }
        return { visited: plan.recordCount, sum }
      })
      await log.close()
      return measurement
    },
  }
}

function raw(plan: Plan): Contestant {
  return {
    name: 'raw read',
    role: 'limit',
    store: rawStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const path = pathIn(directory)
      const fd = openSync(path, 'r')
      const { size } = statSync(path)
      const measurement = await timedPass(plan, () => {
        let sum = 0
        const visited = scanFile(fd, size, (chunk, start, length) => {
          sum += touch(chunk, start + KEY_BYTES, length - KEY_BYTES)
        })
        return { visited, sum }
      })
      closeSync(fd)
      return measurement
    },
  }
}

function memcpy(plan: Plan): Contestant {
  return {
    name: 'memcpy',
    role: 'limit',
    store: rawStore(plan.dataset, plan.recordCount),
    async measure(directory) {
      const memory = readFileSync(pathIn(directory))
      const copy = Buffer.alloc(plan.dataset.valueBytes)
      return timedPass(plan, () => {
        let sum = 0
        const [visited] = visitFrames(memory, memory.length, (chunk, start, length) => {
          chunk.copy(copy, 0, start + KEY_BYTES, start + length)
          sum += touch(copy, 0, length - KEY_BYTES)
        })
        return { visited, sum }
      })
    },
  }
}
