/**
 * What Kafka's producers are told to write before a broker cleans it, and we clean a copy: topics
 * whose cleaning both sides have to agree on, in two rounds. Keys come again and again, some with a
 * tombstone; transactions of several producers lie between one another, committed and aborted.
 *
 * Timestamps are those of today: of a producer whose last batch is older than a day Kafka knows
 * nothing any more, and then it keeps no empty batch for it.
 */
import type { TopicConfig } from '../../src/index.ts'
import type { ProducerSettings, TopicToCreate, TransactionStep } from './kafka-broker.ts'
import type { RecordToSend } from './kafka-driver.ts'

/** A topic of the script, as a broker creates it and as we are told of it. */
export interface CleanedTopic extends TopicToCreate {
  readonly ours: TopicConfig
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Between two records: a segment has about eight batches. */
const STEP_MS = 10
const ROLLING = { 'segment.ms': '240', 'index.interval.bytes': '512' }
const DIRTY = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' }
const RECORDS_IN_BATCH = 3
const BATCHES = 60
const KEYS = 13

/** Compacted ones; tombstones and markers of the last two may go as soon as they were seen. */
export const COMPACTED_TOPICS: readonly CleanedTopic[] = [
  compacted('keyed', DAY_MS),
  compacted('packed', DAY_MS),
  compacted('ledger', DAY_MS),
  compacted('forgotten', 0),
  compacted('settled', 0),
]

/** Its second half is younger than what may be compacted. */
export const LAGGING_TOPIC: CleanedTopic = {
  name: 'lagging',
  partitions: 1,
  config: { ...ROLLING, ...DIRTY, 'min.compaction.lag.ms': String(2 * HOUR_MS) },
  ours: { cleanupPolicy: 'compact', minCompactionLagMs: 2 * HOUR_MS },
}

/** Whole segments go: the first half by its age, or what is too much. */
export const EXPIRING_TOPICS: readonly CleanedTopic[] = [
  {
    name: 'aged',
    partitions: 1,
    config: { ...ROLLING, 'retention.ms': String(2 * HOUR_MS) },
    ours: { cleanupPolicy: 'delete', retentionMs: 2 * HOUR_MS },
  },
  {
    name: 'sized',
    partitions: 1,
    config: { ...ROLLING, 'retention.ms': '-1', 'retention.bytes': '4096' },
    ours: { cleanupPolicy: 'delete', retentionBytes: 4096 },
  },
]

/** All of them. */
export const CLEANED_TOPICS: readonly CleanedTopic[] = [
  ...COMPACTED_TOPICS,
  LAGGING_TOPIC,
  ...EXPIRING_TOPICS,
]

const CODECS = ['lz4', 'gzip', 'zstd', 'snappy', 'none'] as const
const TRANSACTIONAL = { first: 'none', second: 'lz4', third: 'zstd' } as const

/** The producers of the script. */
export const CLEANING_PRODUCERS: ProducerSettings = {
  plain: {},
  ...Object.fromEntries(CODECS.map((codec) => [codec, { 'compression.type': codec }])),
  ...Object.fromEntries(
    Object.entries(TRANSACTIONAL).map(([name, codec]) => [
      name,
      { 'transactional.id': `id-${name}`, 'compression.type': codec },
    ]),
  ),
}

/** One round of it: the second repeats some keys of the first, and deletes others. */
export function cleaningSteps(round: 0 | 1, nowMs: number): readonly TransactionStep[] {
  const script = new ScriptWriter(round, nowMs)
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const isOld = batch < BATCHES / 2
    script.send('plain', 'keyed', batch)
    script.send(CODECS[batch % CODECS.length] ?? 'none', 'packed', batch)
    script.send('plain', 'forgotten', batch)
    script.send('plain', 'lagging', batch, isOld ? 5 * HOUR_MS : 0)
    script.send('plain', 'aged', batch, isOld && round === 0 ? 5 * HOUR_MS : 0)
    script.send('plain', 'sized', batch)
  }
  for (const topic of ['ledger', 'settled']) transactions(script, topic)
  return script.steps
}

/** Two transactions at a time, of which every third aborts, beside records of none. */
function transactions(script: ScriptWriter, topic: string): void {
  const names = Object.keys(TRANSACTIONAL)
  for (let turn = 0; turn < BATCHES / 4; turn += 1) {
    const one = names[turn % names.length] ?? ''
    const other = names[(turn + 1) % names.length] ?? ''
    script.take(one, 'begin')
    script.take(other, 'begin')
    script.send(one, topic, turn * 4)
    script.send(other, topic, turn * 4 + 1)
    if (turn % 2 === 0) script.send('plain', topic, turn * 4 + 2)
    script.send(one, topic, turn * 4 + 3)
    script.take(other, turn % 3 === 0 ? 'abort' : 'commit')
    script.take(one, turn % 3 === 1 ? 'abort' : 'commit')
  }
  // The active segment is never cleaned: what counts lies before it.
  for (let batch = 0; batch < 10; batch += 1) script.send('plain', topic, BATCHES + batch)
}

function compacted(name: string, deleteRetentionMs: number): CleanedTopic {
  return {
    name,
    partitions: 1,
    config: { ...ROLLING, ...DIRTY, 'delete.retention.ms': String(deleteRetentionMs) },
    ours: { cleanupPolicy: 'compact', deleteRetentionMs },
  }
}

class ScriptWriter {
  readonly steps: TransactionStep[] = []
  readonly #round: number
  readonly #startMs: number

  constructor(round: number, nowMs: number) {
    this.#round = round
    this.#startMs = nowMs - HOUR_MS + (round * HOUR_MS) / 2
  }

  take(producer: string, action: 'begin' | 'commit' | 'abort'): void {
    this.steps.push({ producer, action })
  }

  /** A batch of some keys, one in seven records a tombstone; `agoMs` before all others. */
  send(producer: string, topic: string, batch: number, agoMs = 0): void {
    const records = Array.from({ length: RECORDS_IN_BATCH }, (_, at): RecordToSend => {
      const number = batch * RECORDS_IN_BATCH + at
      // Of the first round some keys never come again, of the second some are new.
      const key = Buffer.from(`key-${((number * 5) % KEYS) + this.#round * 4}`).toString('hex')
      const value = Buffer.from(`${this.#round}:${number}:`.repeat(1 + (number % 5)))
      const isTombstone = number % 7 === 3 || (this.#round === 0 && key.endsWith('37'))
      return {
        topic,
        partition: 0,
        key,
        value: isTombstone ? null : value.toString('hex'),
        headers: number % 4 === 0 ? [['number', Buffer.from(`${number}`).toString('hex')]] : [],
        timestamp: this.#startMs - agoMs + number * STEP_MS,
      }
    })
    this.steps.push({ producer, action: 'send', records })
  }
}
