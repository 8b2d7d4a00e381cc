/**
 * How fast readers in other processes and threads are: two questions. What they cost the writer is
 * in readers-writer.ts.
 *
 *   readers-wake     how long after its append is a record in the hands of a live reader, when
 *                    nothing else happens? The time is the median; limit: a bare `fs.watch` and a
 *                    positioned read of one file.
 *   readers-through  from the first append to the last record in a reader: all of them, read with
 *                    `for await`. Limit: a live reader in the writer's own process.
 *
 * CPU of readers is in columns of its own. Readers compare what they read, by its checksum too.
 */
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  followingProcess,
  followingThread,
  type Follower,
  type FollowerErrand,
  type FollowerReport,
} from './contestants/followers.ts'
import { BARE_FILE, StreambedLog } from './contestants/streambed.ts'
import { Dataset } from './runner/dataset.ts'
import type { Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const VALUE_BYTES = 100
const BATCH_RECORDS = 500
const STAMP_BYTES = 8
/** What follows has been compiled by then, in writers and readers. */
const WARM_UP_COUNT = 5_000

/** How soon. */
export const readersWake: Question = {
  name: 'readers-wake',
  asks: 'from the append of one record to a live reader that waits for it',
  answer: 'time',
  cases: ({ quick }) =>
    [
      { everyMs: 1, sampleCount: quick ? 1_500 : 4_000, warmUpCount: WARM_UP_COUNT },
      { everyMs: 10, sampleCount: quick ? 150 : 500, warmUpCount: WARM_UP_COUNT },
      { everyMs: 100, sampleCount: quick ? 60 : 200, warmUpCount: WARM_UP_COUNT },
      { everyMs: 100, sampleCount: quick ? 60 : 200, warmUpCount: 0 },
    ].map((pace) => ({
      name: `a record every ${pace.everyMs} ms${pace.warmUpCount === 0 ? ', both just begun' : ''}`,
      contestants: [
        { name: 'another process', role: 'ours', measure: (at) => wakes(at, pace, 'process') },
        { name: 'attached worker', role: 'ours', measure: (at) => wakes(at, pace, 'thread') },
        { name: 'bare fs.watch', role: 'limit', measure: (at) => bareWakes(at, pace) },
      ],
    })),
}

/** How much. */
export const readersThrough: Question = {
  name: 'readers-through',
  asks: 'from an append in one process to a reader in another one, all records',
  answer: 'throughput',
  cases: ({ quick }) => {
    const recordCount = quick ? 1_000_000 : 4_000_000
    return [
      {
        name: '100 B, batches of 500',
        contestants: [
          {
            name: 'another process',
            role: 'ours',
            measure: (at) => through(at, recordCount, 'process'),
          },
          {
            name: 'attached worker',
            role: 'ours',
            measure: (at) => through(at, recordCount, 'thread'),
          },
          { name: 'same process', role: 'limit', measure: (at) => throughHere(at, recordCount) },
        ],
      },
    ]
  },
}

interface Pace {
  readonly everyMs: number
  /** Those come every millisecond: code that has run a few times only is several times as slow. */
  readonly warmUpCount: number
  readonly sampleCount: number
}

const dataset = new Dataset(VALUE_BYTES)

function reads(directory: string, recordCount: number): FollowerErrand {
  const warmUpCount = recordCount / 2
  const what = { directory, recordCount, warmUpCount, valueBytes: VALUE_BYTES }
  return { does: 'read', ...what, logCount: 1 }
}

async function wakes(directory: string, pace: Pace, where: Where): Promise<Measurement> {
  const open = await StreambedLog.open(directory)
  const errand = wakeErrand(directory, pace, 'wake')
  const follower = await followerOf(open, errand, where)
  const stamp = Buffer.alloc(STAMP_BYTES)
  await paced(pace, () => {
    stamp.writeDoubleBE(Number(process.hrtime.bigint()))
    open.partition.append({ value: stamp })
  })
  const measurement = latencyOf(await follower.report)
  await open.close()
  return measurement
}

async function bareWakes(directory: string, pace: Pace): Promise<Measurement> {
  const descriptor = openSync(join(directory, BARE_FILE), 'w')
  const stamp = Buffer.alloc(2 * STAMP_BYTES)
  writeSync(descriptor, stamp)
  const follower = await followingProcess(wakeErrand(directory, pace, 'watch'))
  await paced(pace, (number) => {
    stamp.writeDoubleBE(Number(process.hrtime.bigint()))
    stamp.writeDoubleBE(number, STAMP_BYTES)
    writeSync(descriptor, stamp, 0, stamp.length, 0)
  })
  return latencyOf(await follower.report)
}

type Where = 'process' | 'thread'

function followerOf(open: StreambedLog, errand: FollowerErrand, where: Where): Promise<Follower> {
  if (where === 'process') return followingProcess(errand)
  return followingThread({ ...errand, handle: open.log.share() })
}

function wakeErrand(
  directory: string,
  { sampleCount, warmUpCount }: Pace,
  does: 'wake' | 'watch',
): FollowerErrand {
  return { ...reads(directory, sampleCount + warmUpCount), does, warmUpCount }
}

/** Calls `write` for each record of the warm-up, and then for each sample. */
async function paced(
  { everyMs, sampleCount, warmUpCount }: Pace,
  write: (number: number) => void,
): Promise<void> {
  for (let number = 0; number < warmUpCount + sampleCount; number += 1) {
    await setTimeout(number < warmUpCount ? 1 : everyMs)
    write(number)
  }
}

function latencyOf({ latenciesNs, cpuNs, wallNs }: FollowerReport): Measurement {
  const at = (quantile: number): number =>
    latenciesNs[Math.floor(latenciesNs.length * quantile)] ?? NaN
  const also = { 'p99 ms': at(0.99) / 1e6, "reader's % of a core": (cpuNs / wallNs) * 100 }
  return { recordCount: 1, byteCount: 0, wallNs: at(0.5), userNs: 0, systemNs: 0, also }
}

async function through(directory: string, recordCount: number, where: Where): Promise<Measurement> {
  const open = await StreambedLog.open(directory)
  const follower = await followerOf(open, reads(directory, 2 * recordCount), where)
  const cpu = process.cpuUsage()
  const startedNs = Number(process.hrtime.bigint())
  await open.appendRange(dataset, BATCH_RECORDS, 0, 2 * recordCount)
  const { user, system } = process.cpuUsage(cpu)
  const { doneAtNs, cpuNs } = await follower.report
  await open.close()
  return {
    recordCount: 2 * recordCount,
    byteCount: dataset.byteCount(2 * recordCount),
    wallNs: doneAtNs - startedNs,
    userNs: user * 1_000,
    systemNs: system * 1_000,
    also: { "reader's CPU ns": cpuNs / recordCount },
  }
}

async function throughHere(directory: string, recordCount: number): Promise<Measurement> {
  const open = await StreambedLog.open(directory)
  const reading = readHere(open, 2 * recordCount)
  const measurement = await timed(2 * recordCount, dataset.byteCount(2 * recordCount), async () => {
    await open.appendRange(dataset, BATCH_RECORDS, 0, 2 * recordCount)
    await reading
  })
  open.check(dataset, 2 * recordCount)
  await open.close()
  return measurement
}

async function readHere({ partition }: StreambedLog, recordCount: number): Promise<void> {
  let left = recordCount
  for await (const { value } of partition.read({ live: true })) {
    if (value === null) throw new Error('a value is missing')
    left -= 1
    if (left === 0) return
  }
}
