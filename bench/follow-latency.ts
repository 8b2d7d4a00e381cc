/**
 * How long after its append is a record in the hands of a live consumer in the same process, which
 * has nothing else to do? From just before the call that appends to the first line of the consumer;
 * one record at a time, the next one when the event loop has gone idle. The time is the median.
 *
 * streambed: acks 1, so the record has been written, safe from a kill, before anybody sees it.
 * event-storage hands records to its consumer inside the call, before it writes them, which is what
 * its defaults do ("not yet written"); with a buffer of one document it writes first, as streambed
 * does. Limits: an EventEmitter, which stores nothing; the same behind a bare write of a file.
 * What the same takes between processes and threads is asked by readers-wake.
 */
import { setTimeout } from 'node:timers/promises'
import { EVENT_STORAGE } from './contestants/event-storage.ts'
import {
  emitterTail,
  eventStorageTail,
  groupTail,
  readTail,
  runTail,
  writingEmitterTail,
  type LiveTail,
  type OpenTail,
} from './contestants/live-tails.ts'
import { Dataset, mustEqual, touch } from './runner/dataset.ts'
import { latencyOf } from './runner/latency.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

const VALUE_BYTES = 100
const NS_PER_MS = 1e6

/** The question. */
export const followLatency: Question = {
  name: 'follow-latency',
  asks: 'from the append of one record to an idle live consumer in the same process, acks 1',
  answer: 'time',
  cases: ({ quick }) =>
    [
      { name: 'the next when idle again', pauseMs: 0, sampleCount: quick ? 30_000 : 200_000 },
      { name: 'a record every ms', pauseMs: 1, sampleCount: quick ? 1_000 : 5_000 },
    ].map(({ name, ...pace }) => ({ name, contestants: contestantsOf(pace) })),
}

interface Pace {
  readonly pauseMs: number
  readonly sampleCount: number
}

function contestantsOf(pace: Pace): readonly Contestant[] {
  const by = (open: OpenTail) => ({
    measure: (directory: string) => latency(directory, pace, open),
  })
  return [
    { name: 'streambed append, read', role: 'ours', ...by(readTail('append')) },
    { name: 'streambed send, read', role: 'ours', ...by(readTail('send')) },
    { name: 'streambed send, group', role: 'ours', ...by(groupTail) },
    { name: 'streambed send, run', role: 'ours', ...by(runTail) },
    { name: 'event-storage, not yet written', ...EVENT_STORAGE, ...by(eventStorageTail(0)) },
    { name: 'event-storage, written', ...EVENT_STORAGE, ...by(eventStorageTail(1)) },
    { name: 'emitter', role: 'limit', ...by(emitterTail) },
    { name: 'write, emitter', role: 'limit', ...by(writingEmitterTail) },
  ]
}

/** Appends one record after the other, half of them before the clock starts. */
async function latency(
  directory: string,
  { pauseMs, sampleCount }: Pace,
  open: OpenTail,
): Promise<Measurement> {
  const dataset = new Dataset(VALUE_BYTES)
  const arrivals = new Arrivals(sampleCount)
  const tail = await open({ directory, dataset, take: (value) => arrivals.take(value) })
  const append = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index += 1) {
      await (pauseMs === 0 ? turn() : setTimeout(pauseMs))
      await arrivals.of(() => tail.append(index))
    }
  }
  const warmUpCount = Math.ceil(sampleCount / 2)
  await append(0, warmUpCount)
  const measurement = await timed(sampleCount, dataset.byteCount(sampleCount), () =>
    append(warmUpCount, warmUpCount + sampleCount),
  )
  await checked(tail, arrivals, dataset, warmUpCount + sampleCount)
  const found = latencyOf(arrivals.samplesNs)
  return {
    ...measurement,
    recordCount: 1,
    byteCount: dataset.byteCount(1),
    wallNs: found.p50Ns,
    userNs: measurement.userNs / sampleCount,
    systemNs: measurement.systemNs / sampleCount,
    latency: found,
  }
}

async function checked(
  tail: LiveTail,
  arrivals: Arrivals,
  dataset: Dataset,
  recordCount: number,
): Promise<void> {
  await tail.close()
  mustEqual(arrivals.count, recordCount, 'records that arrived')
  mustEqual(arrivals.sum, dataset.touched(0, recordCount), 'sum over the values that arrived')
}

/** When records arrive; the last `sampleCount` of them are kept. */
class Arrivals {
  readonly samplesNs: Float64Array
  count = 0
  sum = 0
  #startedMs = 0
  #arrived: () => void = () => undefined

  constructor(sampleCount: number) {
    this.samplesNs = new Float64Array(sampleCount)
  }

  /** Resolves when what `append` appends has arrived. */
  of(append: () => void): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived = resolve
      this.#startedMs = performance.now()
      append()
    })
  }

  /** A record is here. */
  take(value: Uint8Array): void {
    this.samplesNs[this.count % this.samplesNs.length] =
      (performance.now() - this.#startedMs) * NS_PER_MS
    this.count += 1
    this.sum += touch(value, 0, value.length)
    this.#arrived()
  }
}
