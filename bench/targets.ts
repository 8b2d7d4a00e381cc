/**
 * The targets: what the benchmarks are to show, row by row, as data. Each goal names one figure of
 * one contestant in one case and, where it is a ratio, what it is measured against, in the same
 * round of the same run. Whether a goal is met is computed (page/verdicts.ts); why one is not is
 * written here by hand, and shown only while it is not met.
 */
import {
  ADDON_EACH,
  CRC_OF_LARGE,
  FIVE_SYNCS,
  HANDED_OVER_FIRST,
  LENDS,
  LMDB_HERE,
  NOT_WARM_YET,
  NO_ENTROPY_CODING,
  ONE_CORE,
  ONE_SYNC_FOR_ALL,
  ONE_WAIT,
  OPENS_COLD,
  RECOVERS,
  SAME_SYNCS,
  SLOW_SYNCS,
} from './reasons.ts'

/** One figure that is to be reached. */
export interface Goal {
  /** The goal in words: what is at least, or at most, what. */
  readonly says: string
  readonly question: string
  /** The first of these that was measured counts; any but the first is said to be a stand-in. */
  readonly cases: readonly string[]
  readonly ours: string
  /** By its heading (runner/figures.ts). */
  readonly figure: string
  /** A ratio to this; without it, the figure itself. */
  readonly against?: Against
  readonly atLeast?: number
  readonly atMost?: number
  /** Why it is not met. */
  readonly why?: string
}

/** `BEST_PEER`, or a contestant; of the same case unless another one is named. */
export interface Against {
  readonly contestant: string
  readonly case?: string
}

/** What is asked of one kind of work. */
export interface Target {
  readonly about: string
  readonly goals: readonly Goal[]
}

/** The peer that is best by the figure that is compared. */
export const BEST_PEER = 'best peer'

const bestPeer: Against = { contestant: BEST_PEER }
const raw: Against = { contestant: 'raw write' }
const rawSynced: Against = { contestant: 'raw write + fdatasync' }

type Place = Pick<Goal, 'question' | 'cases' | 'ours'>

const at = (question: string, cases: string | readonly string[], ours = 'streambed'): Place => ({
  question,
  cases: typeof cases === 'string' ? [cases] : cases,
  ours,
})

const appends = (name: string): Place => at('append-throughput', name)
const enqueues: Place = at('enqueue-throughput', '100 B')
const sendsOne: Place = at('send-throughput', '100 B, acks all, 1 in flight')
const sendsMany: Place = at('send-throughput', '100 B, acks all, 256 in flight')
const scans = (ours: string): Place => at('scan-throughput', '100 B', ours)
const follows: Place = at('follow-latency', 'the next when idle again', 'streambed append, read')
const opens = (state: string): Place =>
  at('scaling-log-size', [`1 GiB, ${state}`, `64 MiB, ${state}`])
const garbage: Place = at('garbage', 'as many as go')
const events = (batchRecords: string, ours = 'streambed'): Place =>
  at('json-events', `append, batches of ${batchRecords}`, ours)
const commits = (name: string): Place => at('transactions', name)

const SPEED = 'records/s'
const BYTES_EACH = 'bytes/event'

const appendGoals = (batchRecords: number): readonly Goal[] => {
  const place = appends(`100 B, batches of ${batchRecords}`)
  const cpu = { ...place, figure: 'user ns' }
  const speed = { ...place, figure: SPEED }
  const by = `batches of ${batchRecords}`
  return [
    {
      ...cpu,
      says: `${by}: user CPU per record ≤ 0.3 × lmdb's`,
      against: { contestant: 'lmdb noSync' },
      atMost: 0.3,
      why: 'Raw writes alone take about that: nothing is left for offsets, CRC-32C and checks.',
    },
    { ...cpu, says: `${by}: user CPU per record ≤ 180 ns`, atMost: 180, why: NOT_WARM_YET },
    {
      ...speed,
      says: `${by}: records/s ≥ 3 × lmdb`,
      against: { contestant: 'lmdb noSync' },
      atLeast: 3,
      why: LMDB_HERE,
    },
    { ...speed, says: `${by}: records/s ≥ 0.6 × raw writes`, against: raw, atLeast: 0.6 },
  ]
}

const largeGoals = (name: string): readonly Goal[] => {
  const speed = { ...appends(name), figure: SPEED }
  return [
    { ...speed, says: `${name}: ≥ 2 × best peer`, against: bestPeer, atLeast: 2 },
    {
      ...speed,
      says: `${name}: ≥ 0.8 × raw writes`,
      against: raw,
      atLeast: 0.8,
      why: CRC_OF_LARGE,
    },
  ]
}

const packedGoals = (batchRecords: string): readonly Goal[] => {
  const lz4 = events(batchRecords, 'streambed lz4')
  const bytes = { figure: BYTES_EACH, against: bestPeer }
  const by = `in batches of ${batchRecords}`
  return [
    {
      ...lz4,
      ...bytes,
      says: `lz4 ${by}: bytes on disk ≤ 0.65 × best peer`,
      atMost: 0.65,
      why: NO_ENTROPY_CODING,
    },
    {
      ...events(batchRecords, 'streambed zstd'),
      ...bytes,
      says: `zstd ${by}: bytes on disk ≤ 0.5 × best peer`,
      atMost: 0.5,
      why: 'A batch is compressed by itself: one of 100 events repeats too little for more.',
    },
    {
      ...lz4,
      figure: SPEED,
      says: `appends with lz4 ${by}: ≥ 0.5 × without`,
      against: { contestant: 'streambed' },
      atLeast: 0.5,
      why: ADDON_EACH,
    },
  ]
}

/** All of them, in the order in which they are shown. */
export const targets: readonly Target[] = [
  { about: 'append in batches', goals: [...appendGoals(100), ...appendGoals(1_000)] },
  {
    about: 'append larger records',
    goals: [...largeGoals('1 KiB, batches of 100'), ...largeGoals('10 KiB, batches of 10')],
  },
  {
    about: 'append one by one, not awaited',
    goals: [
      {
        ...enqueues,
        figure: SPEED,
        says: '≥ 3 × best peer',
        against: bestPeer,
        atLeast: 3,
        why: LMDB_HERE,
      },
      { ...enqueues, figure: SPEED, says: '≥ 0.45 × raw writes', against: raw, atLeast: 0.45 },
    ],
  },
  {
    about: 'durable, one writer awaiting each',
    goals: [
      {
        ...sendsOne,
        figure: SPEED,
        says: '≥ 0.95 × raw',
        against: rawSynced,
        atLeast: 0.95,
        why: 'Both wait for one sync at a time; what JavaScript takes comes on top of it.',
      },
      {
        ...sendsOne,
        figure: SPEED,
        says: '≥ 0.9 × SQLite FULL, which blocks the event loop',
        against: { contestant: 'sqlite FULL' },
        atLeast: 0.9,
        why: ONE_WAIT,
      },
    ],
  },
  {
    about: 'durable, 256 writers awaiting each',
    goals: [
      {
        ...sendsMany,
        figure: SPEED,
        says: '≥ 1.5 × best peer',
        against: bestPeer,
        atLeast: 1.5,
        why: SAME_SYNCS,
      },
      {
        ...sendsMany,
        figure: SPEED,
        says: '≥ 0.8 × raw',
        against: rawSynced,
        atLeast: 0.8,
        why: ONE_SYNC_FOR_ALL,
      },
      {
        ...sendsMany,
        figure: 'p99 µs',
        says: 'p99 ≤ 1.7 ms',
        atMost: 1_700,
        why: SLOW_SYNCS,
      },
    ],
  },
  {
    about: 'scan, touching each value',
    goals: [
      { ...scans('streambed scan'), says: 'scan ≥ 5 × best peer', atLeast: 5 },
      {
        ...scans('streambed records()'),
        says: 'records() ≥ 2 × best peer',
        atLeast: 2,
        why: LENDS,
      },
      {
        ...scans('streambed for await'),
        says: 'for await ≥ 2 × best peer',
        atLeast: 2,
        why: 'One promise a record is what the language asks of for await. ' + LENDS,
      },
    ].map((goal) => ({ ...goal, figure: SPEED, against: bestPeer })),
  },
  {
    about: 'random get',
    goals: [
      {
        ...at('random-get', '100 B'),
        figure: SPEED,
        says: '≥ 1 × best peer',
        against: bestPeer,
        atLeast: 1,
        why:
          'lmdb lends one buffer here as well; who keeps what he looked up there (lmdb, to keep) ' +
          'is slower than get is. Both wait for memory more than for anything else, and which is ' +
          'ahead differs between machines: on an AMD EPYC get was, at 1.2 ×.',
      },
    ],
  },
  {
    about: 'append to an idle consumer in the same process',
    goals: [
      { ...follows, figure: 'p50 µs', says: 'p50 ≤ 1 × best peer' },
      { ...follows, figure: 'p99 µs', says: 'p99 ≤ 1 × best peer' },
    ].map((goal) => ({ ...goal, against: bestPeer, atMost: 1, why: HANDED_OVER_FIRST })),
  },
  {
    about: 'open, to the first read',
    goals: [
      {
        ...opens('closed cleanly'),
        figure: 'ms',
        says: '1 GiB, clean: ≤ 2 × best peer',
        against: bestPeer,
        atMost: 2,
        why: OPENS_COLD,
      },
      {
        ...opens('after kill -9'),
        figure: 'ms',
        says: '1 GiB, after kill -9: ≤ 3 × best peer',
        against: bestPeer,
        atMost: 3,
        why: RECOVERS,
      },
      {
        ...at('scaling-log-size', '10 GiB, closed cleanly'),
        figure: 'ms',
        says: '10 GiB: ≤ 50 ms',
        atMost: 50,
      },
      {
        ...at('scaling-log-size', ['10 GiB, closed cleanly', '64 MiB, closed cleanly']),
        figure: 'grown MB',
        says: 'memory at 10 GiB as at a small size: ≤ 1.5 ×',
        against: { contestant: 'streambed', case: '64 MiB, closed cleanly' },
        atMost: 1.5,
      },
    ],
  },
  {
    about: 'garbage and memory while batches of 100 are appended',
    goals: [
      { ...garbage, figure: 'GC ms/s', says: 'GC ≤ 10 ms a second', atMost: 10 },
      { ...garbage, figure: 'grown MB', says: 'memory grows ≤ 16 MiB', atMost: 16.777 },
    ],
  },
  {
    about: 'realistic JSON events of about 300 B',
    goals: [
      {
        ...events('100'),
        figure: BYTES_EACH,
        says: 'plain: bytes on disk ≤ 1.03 × the limit',
        against: { contestant: 'raw frames' },
        atMost: 1.03,
      },
      ...packedGoals('100'),
      ...packedGoals('1,000'),
    ],
  },
  {
    about: 'durable transactions of 10 records',
    goals: [
      {
        ...commits('4 partitions, 1 in flight'),
        says: '4 partitions: ≥ 0.4 × SQLite',
        atLeast: 0.4,
        why: FIVE_SYNCS,
      },
      {
        ...commits('1 partition, 1 in flight'),
        says: '1 partition: ≥ 0.8 × SQLite',
        atLeast: 0.8,
        why:
          'One sync each, as raw writes, and some 35 µs of JavaScript a transaction. ' + ONE_WAIT,
      },
      {
        ...commits('1 partition, 64 in flight'),
        says: '64 concurrent, 1 partition each: ≥ 3 × SQLite',
        atLeast: 3,
        why: ONE_CORE,
      },
      {
        ...commits('4 partitions, 64 in flight'),
        says: '64 concurrent, 4 partitions each: ≥ 3 × SQLite',
        atLeast: 3,
        why: ONE_CORE,
      },
    ].map((goal) => ({ ...goal, figure: SPEED, against: { contestant: 'sqlite FULL' } })),
  },
  {
    about: 'Apache Kafka on loopback, same bytes, its own perf tools',
    goals: [
      {
        ...at('kafka-loopback', '100 B, in', 'streambed enqueue'),
        says: 'in, one by one: ≥ 3 × its producer',
        against: { contestant: 'kafka producer' },
      },
      {
        ...at('kafka-loopback', '100 B, out', 'streambed group'),
        says: 'out, to a group: ≥ 3 × its consumer',
        against: { contestant: 'kafka consumer' },
        why:
          'A group makes an object of each record, as Kafka makes one in another thread, of ' +
          'which its tool looks at the size alone. By CPU it takes a third of what they take ' +
          'together.',
      },
    ].map((goal) => ({ ...goal, figure: SPEED, atLeast: 3 })),
  },
]
