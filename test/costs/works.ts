/**
 * The kinds of work whose costs are counted, each on a log on disk of its own: what a unit is, how
 * many of them a run does, and how.
 */
import { EventLog } from '../../src/index.ts'
import type { Partition } from '../../src/client/partition.ts'
import type { Topic } from '../../src/client/topic.ts'

const VALUE = Buffer.alloc(100, 'v')
const RECORD = { key: 'key-000000000042', value: VALUE }
const TOPIC = 'costs'
const BATCH = Array.from({ length: 100 }, () => RECORD)
const SENDERS = 256
const READ_RECORDS = 20_000
const FEW_SEGMENTS = 50
const MANY_SEGMENTS = 250

/** Work that was begun: what it needs is there. */
export interface BegunWork {
  /** Does about so many units; returns how many. */
  run(units: number): number | Promise<number>
  end(): Promise<void>
}

/** A kind of work. */
export interface Work {
  /** Of a run. */
  readonly units: number
  begin(directory: string): Promise<BegunWork>
}

/** Names of kinds of work; each says what its unit is. */
export type WorkName =
  | 'a record appended in a batch of 100'
  | 'a record appended by itself'
  | 'a record enqueued'
  | 'a record sent with acks 1, each awaited'
  | 'a group of 256 durable sends'
  | 'a transaction of 10 records'
  | 'a record scanned'
  | 'a record iterated'
  | 'a record read by for await'
  | 'a record got by its offset'
  | 'an open of 50 segments'
  | 'an open of 250 segments'
  | 'a close of 50 idle partitions'
  | 'a close of 250 idle partitions'

/** All of them. */
export const WORKS: Readonly<Record<WorkName, Work>> = {
  'a record appended in a batch of 100': {
    units: 100_000,
    begin: (directory) =>
      begun(directory, ({ partition }, units) => {
        for (let done = 0; done < units; done += BATCH.length) partition.append(BATCH)
        return units
      }),
  },
  'a record appended by itself': {
    units: 20_000,
    begin: (directory) =>
      begun(directory, ({ partition }, units) => {
        for (let done = 0; done < units; done += 1) partition.append(RECORD)
        return units
      }),
  },
  'a record enqueued': {
    units: 100_000,
    begin: (directory) =>
      begun(directory, async ({ log, topic }, units) => {
        const producer = log.producer({ acks: 1 })
        for (let done = 0; done < units; done += 1) {
          producer.enqueue(topic, RECORD)
          if (done % 10_000 === 0) await producer.flush()
        }
        await producer.close()
        return units
      }),
  },
  'a record sent with acks 1, each awaited': {
    units: 10_000,
    begin: (directory) =>
      begun(directory, async ({ log, topic }, units) => {
        const producer = log.producer({ acks: 1 })
        for (let done = 0; done < units; done += 1) await producer.send(topic, RECORD)
        await producer.close()
        return units
      }),
  },
  'a group of 256 durable sends': {
    units: 40,
    begin: (directory) =>
      begun(directory, async ({ log, topic }, units) => {
        const producer = log.producer({ acks: 'all' })
        for (let done = 0; done < units; done += 1) {
          await Promise.all(Array.from({ length: SENDERS }, () => producer.send(topic, RECORD)))
        }
        await producer.close()
        return units
      }),
  },
  'a transaction of 10 records': {
    units: 100,
    begin: (directory) =>
      begun(directory, async ({ log, topic }, units) => {
        const producer = log.producer()
        const records = BATCH.slice(0, 10)
        for (let done = 0; done < units; done += 1) {
          await producer.transaction((transaction) => transaction.sendAll(topic, records))
        }
        await producer.close()
        return units
      }),
  },
  'a record scanned': reading((partition) => partition.scan(() => undefined)),
  'a record iterated': reading((partition) => {
    let count = 0
    for (const record of partition.records()) count += record.offset < 0 ? 0 : 1
    return count
  }),
  'a record read by for await': reading(async (partition) => {
    let count = 0
    for await (const { offset } of partition.read()) count += offset < 0 ? 0 : 1
    return count
  }),
  'a record got by its offset': reading((partition) => {
    const gets = READ_RECORDS / 10
    for (let got = 0; got < gets; got += 1) partition.get((got * 7_919) % READ_RECORDS)
    return gets
  }),
  'an open of 50 segments': opening(FEW_SEGMENTS),
  'an open of 250 segments': opening(MANY_SEGMENTS),
  'a close of 50 idle partitions': closing(FEW_SEGMENTS),
  'a close of 250 idle partitions': closing(MANY_SEGMENTS),
}

interface Subject {
  readonly log: EventLog
  readonly topic: Topic
  readonly partition: Partition
}

type Run = (subject: Subject, units: number) => number | Promise<number>

async function begun(directory: string, run: Run): Promise<BegunWork> {
  const subject = await open(directory)
  return { run: (units) => run(subject, units), end: () => subject.log.close() }
}

async function open(directory: string, segmentBytes = 16_777_216): Promise<Subject> {
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const topic = await log.ensureTopic(TOPIC, { segmentBytes })
  return { log, topic, partition: topic.partition(0) }
}

/** Reads of all that there is: batches of 100, in one segment. */
function reading(read: (partition: Partition) => number | Promise<number>): Work {
  return {
    units: READ_RECORDS,
    async begin(directory) {
      const subject = await open(directory)
      for (let left = READ_RECORDS; left > 0; left -= BATCH.length) subject.partition.append(BATCH)
      return { run: () => read(subject.partition), end: () => subject.log.close() }
    },
  }
}

/** Opens of a log that was closed, up to its first record. */
function opening(segments: number): Work {
  return {
    units: 1,
    async begin(directory) {
      const { log, partition } = await open(directory, 8_192)
      for (let segment = 0; segment < segments; segment += 1) partition.append(BATCH.slice(0, 50))
      await log.close()
      return {
        async run() {
          const opened = await open(directory, 8_192)
          if (opened.partition.get(0) === null) throw new Error('the first record is gone')
          await opened.log.close()
          return 1
        },
        end: () => Promise.resolve(),
      }
    },
  }
}

/** Opens and closes of a log in which nothing happens. */
function closing(partitions: number): Work {
  return {
    units: 1,
    async begin(directory) {
      const reopened = (): Promise<EventLog> =>
        EventLog.open(directory, { housekeepingIntervalMs: null })
      const log = await reopened()
      const topic = await log.createTopic(TOPIC, { partitions })
      for (let at = 0; at < partitions; at += 1) topic.partition(at).append(RECORD)
      await log.close()
      return {
        async run() {
          const opened = await reopened()
          await opened.close()
          return 1
        },
        end: () => Promise.resolve(),
      }
    },
  }
}
