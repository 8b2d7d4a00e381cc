/**
 * How fast is streambed beside Apache Kafka itself, on the same machine, disk and bytes? Values of
 * 116 B, 1,040 B and 10,256 B without keys, because Kafka's tools send no keys; one partition; what
 * is acknowledged is in the page cache on both sides.
 *
 *   in    Kafka: kafka-producer-perf-test (acks 1, tuned); kafkajs, 1,000 records a request.
 *         streambed: `enqueue`, acks 1, one record at a time; `append` of batches of 100.
 *   out   Kafka: kafka-consumer-perf-test, by its own time of fetching, which leaves out joining
 *         its group; kafkajs, from when it has joined. streambed: a group by batch, which commits
 *         as theirs do, joining included; `for await` over `read`; `scan`.
 *
 * The broker is a fresh one for each measurement. User CPU is that of client and broker together;
 * each is in a column of its own. Needs Java and Maven (test/interop/toolchain.ts); without Java
 * there are no cases. In full runs kafkajs takes part, with a tenth of the records.
 */
import { KAFKAJS, KafkaNodeClient } from './contestants/kafka-node-client.ts'
import { cpuBetween, KafkaLoopback, missingJava, type ToolRun } from './contestants/kafka.ts'
import { LineRecords } from './contestants/line-records.ts'
import { StreambedLog, TOPIC } from './contestants/streambed.ts'
import { crc32Of, mustEqual, touch } from './runner/dataset.ts'
import type { Case, Contestant, Measurement, Question, Scale, Store } from './runner/question.ts'
import { recordsFor, sizesOf, warmUpFor, type Size } from './runner/scale.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

const RECORDS_PER_TURN = 1_000
const BATCH_RECORDS = 100
/**
 * Broker and tools get faster for the first few million records, by more than three times: HotSpot
 * compiles them meanwhile.
 */
const JVM_WARM_UP_RECORDS = 4_000_000
const JVM_WARM_UP_BYTES = 2_147_483_648
/** kafkajs takes so many times longer than the others that it gets fewer. */
const NODE_CLIENT_DIVISOR = 10

/** The question. */
export const kafkaLoopback: Question = {
  name: 'kafka-loopback',
  asks: 'writes and reads the same bytes as a Kafka broker on loopback, acks 1',
  answer: 'throughput',
  cases: (scale) => {
    const missing = missingJava()
    if (missing !== undefined) return [{ name: `left out: ${missing}`, contestants: [] }]
    return sizesOf(scale).flatMap((size) => casesOf(size, scale))
  },
}

interface Plan {
  readonly lines: LineRecords
  readonly recordCount: number
}

/** With what Kafka handles before the clock starts. */
interface JvmPlan extends Plan {
  readonly jvmWarmUpCount: number
}

function casesOf(size: Size, scale: Scale): readonly Case[] {
  const recordCount = recordsFor(1_000_000, size, scale)
  const plan = { lines: new LineRecords(size.valueBytes), recordCount }
  const jvmPlan = { ...plan, jvmWarmUpCount: jvmWarmUpFor(plan) }
  const nodePlan = { ...plan, recordCount: Math.ceil(recordCount / NODE_CLIENT_DIVISOR) }
  const { quick } = scale
  const node = <T>(contestant: T): readonly T[] => (quick ? [] : [contestant])
  return [
    {
      name: `${size.name}, in`,
      contestants: [
        { name: 'streambed enqueue', role: 'ours', measure: (at) => enqueued(at, plan) },
        { name: 'streambed append', role: 'ours', measure: (at) => appended(at, plan) },
        { name: 'kafka producer', role: 'peer', measure: (at) => producedByTool(at, jvmPlan) },
        ...node<Contestant>({
          name: 'kafkajs producer',
          ...KAFKAJS,
          measure: (at) => producedByNode(at, nodePlan),
        }),
      ],
    },
    {
      name: `${size.name}, out`,
      contestants: [
        ...OURS_OUT.map(([name, pass]): Contestant => ({
          name,
          role: 'ours',
          store: storeOf(plan),
          measure: (at) => passed(at, plan, pass),
        })),
        { name: 'kafka consumer', role: 'peer', measure: (at) => consumedByTool(at, jvmPlan) },
        ...node<Contestant>({
          name: 'kafkajs consumer',
          ...KAFKAJS,
          measure: (at) => consumedByNode(at, nodePlan),
        }),
      ],
    },
  ]
}

function jvmWarmUpFor({ lines, recordCount }: Plan): number {
  const bound = Math.floor(JVM_WARM_UP_BYTES / lines.lineBytes)
  return Math.max(recordCount, Math.min(JVM_WARM_UP_RECORDS, bound))
}

async function enqueued(directory: string, { lines, recordCount }: Plan): Promise<Measurement> {
  const open = await StreambedLog.open(directory)
  const producer = open.log.producer({ acks: 1 })
  const enqueue = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to;) {
      let hasRoom = true
      const turnEnd = Math.min(to, index + RECORDS_PER_TURN)
      for (; index < turnEnd; index += 1) {
        hasRoom = producer.enqueue(open.topic, { value: lines.at(index) })
      }
      if (!hasRoom) await producer.drained()
      await turn()
    }
    await producer.flush()
  }
  return written(open, { lines, recordCount }, enqueue)
}

async function appended(directory: string, plan: Plan): Promise<Measurement> {
  const open = await StreambedLog.open(directory)
  const { lines } = plan
  const pool = Array.from({ length: 10 }, (_, batch) =>
    Array.from({ length: BATCH_RECORDS }, (__, index) => ({
      value: lines.at(batch * BATCH_RECORDS + index),
    })),
  )
  return written(open, plan, async (from, to) => {
    for (let index = from; index < to; index += BATCH_RECORDS) {
      open.partition.append(pool[(index / BATCH_RECORDS) % pool.length] ?? [])
      if (index % RECORDS_PER_TURN === 0) await turn()
    }
  })
}

async function written(
  open: StreambedLog,
  { lines, recordCount }: Plan,
  write: (from: number, to: number) => Promise<void>,
): Promise<Measurement> {
  const warmUpCount = warmUpFor(recordCount)
  await write(0, warmUpCount)
  const writtenCount = warmUpCount + recordCount
  const measurement = await timed(recordCount, lines.byteCount(recordCount), () =>
    write(warmUpCount, writtenCount),
  )
  checkOwn(open, lines, writtenCount)
  await open.close()
  return measurement
}

function checkOwn({ partition }: StreambedLog, lines: LineRecords, recordCount: number): void {
  let crc = 0
  let expected = 0
  let index = 0
  partition.scan(({ buffer, valueStart, valueLength }) => {
    crc = crc32Of(crc, '', buffer.subarray(valueStart, valueStart + valueLength))
    expected = crc32Of(expected, '', lines.at(index))
    index += 1
  })
  mustEqual(index, recordCount, 'records read back')
  mustEqual(crc, expected, 'checksum of what was read back')
}

/** What came of one pass over all records. */
interface Pass {
  readonly visited: number
  readonly sum: number
}

type OwnPass = (open: StreambedLog, plan: Plan) => Promise<Pass>

const OURS_OUT: readonly (readonly [name: string, pass: OwnPass])[] = [
  ['streambed group', groupPass],
  ['streambed read', readPass],
  ['streambed scan', scanPass],
]

function storeOf(plan: Plan): Store {
  const { lines, recordCount } = plan
  return {
    name: `streambed-lines-${lines.lineBytes}-${recordCount}`,
    fill: async (directory) => void (await appended(directory, { lines, recordCount })),
  }
}

async function passed(directory: string, plan: Plan, pass: OwnPass): Promise<Measurement> {
  const { lines, recordCount } = plan
  const open = await StreambedLog.open(directory)
  // Filling left a warm-up behind as well: whole rounds of the lines, like what is read.
  const readCount = warmUpFor(recordCount) + recordCount
  await pass(open, plan)
  let seen: Pass = { visited: 0, sum: 0 }
  const measurement = await timed(readCount, lines.byteCount(readCount), async () => {
    seen = await pass(open, plan)
  })
  mustEqual(seen.visited, readCount, 'records read')
  mustEqual(seen.sum, lines.touched(readCount), 'sum over the values read')
  await open.close()
  return measurement
}

async function groupPass({ log, partition }: StreambedLog): Promise<Pass> {
  const end = partition.logEndOffset
  const group = `bench-${performance.now()}`
  const consumer = await log.consumerGroup(group, { topics: [TOPIC] }).join()
  let visited = 0
  let sum = 0
  for await (const { records } of consumer.batches()) {
    for (const { value } of records) {
      if (value !== null) sum += touch(value, 0, value.length)
      visited += 1
    }
    if (visited === end) await consumer.commit()
    if (visited === end) break
  }
  return { visited, sum }
}

async function readPass({ partition }: StreambedLog): Promise<Pass> {
  let visited = 0
  let sum = 0
  for await (const { value } of partition.read()) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  return { visited, sum }
}

async function scanPass({ partition }: StreambedLog): Promise<Pass> {
  let sum = 0
  const visited = partition.scan(({ buffer, valueStart, valueLength }) => {
    sum += touch(buffer, valueStart, valueLength)
  })
  return { visited, sum }
}

async function producedByTool(directory: string, plan: JvmPlan): Promise<Measurement> {
  const { lines, recordCount, jvmWarmUpCount } = plan
  const kafka = await KafkaLoopback.start(directory)
  await kafka.produce(lines, jvmWarmUpCount)
  const run = await kafka.produce(lines, recordCount)
  await kafka.stop()
  await kafka.check(lines, jvmWarmUpCount + recordCount)
  return measured(run, plan)
}

/** The topic is filled by the tool too, and read again and again, at last for the clock. */
async function consumedByTool(directory: string, plan: JvmPlan): Promise<Measurement> {
  const { lines, recordCount, jvmWarmUpCount } = plan
  const kafka = await KafkaLoopback.start(directory)
  await kafka.produce(lines, recordCount)
  for (let read = 0; read < jvmWarmUpCount; read += recordCount) {
    await kafka.consume(lines, recordCount)
  }
  const run = await kafka.consume(lines, recordCount)
  await kafka.stop()
  return measured(run, plan)
}

async function producedByNode(directory: string, plan: Plan): Promise<Measurement> {
  const { lines, recordCount } = plan
  const kafka = await KafkaLoopback.start(directory)
  const sender = await new KafkaNodeClient(kafka.address).sender(lines)
  const warmUpCount = warmUpFor(recordCount)
  const writtenCount = warmUpCount + recordCount
  await sender.send(0, warmUpCount)
  const measurement = await besideBroker(kafka, plan, () => sender.send(warmUpCount, writtenCount))
  await sender.close()
  await kafka.stop()
  await kafka.check(lines, writtenCount)
  return measurement
}

async function consumedByNode(directory: string, plan: Plan): Promise<Measurement> {
  const { lines, recordCount } = plan
  const kafka = await KafkaLoopback.start(directory)
  const client = new KafkaNodeClient(kafka.address)
  const sender = await client.sender(lines)
  await sender.send(0, recordCount)
  await sender.close()
  const warmUp = await client.receiver()
  await (
    await warmUp.start(recordCount)
  ).all
  await warmUp.close()
  const receiver = await client.receiver()
  const { all } = await receiver.start(recordCount)
  const measurement = await besideBroker(kafka, plan, () => all)
  mustEqual(receiver.visited, recordCount, 'records read')
  mustEqual(receiver.sum, lines.touched(recordCount), 'sum over the values read')
  await receiver.close()
  await kafka.stop()
  return measurement
}

/** Times a client in this process, with the CPU of the broker beside it. */
async function besideBroker(
  kafka: KafkaLoopback,
  { lines, recordCount }: Plan,
  work: () => Promise<void>,
): Promise<Measurement> {
  const before = kafka.cpu()
  const measurement = await timed(recordCount, lines.byteCount(recordCount), work)
  const broker = cpuBetween(before, kafka.cpu())
  const { userNs, systemNs } = measurement
  return {
    ...measurement,
    ...together({ client: { userNs, systemNs }, broker }, recordCount),
  }
}

function measured(run: ToolRun, { lines, recordCount }: Plan): Measurement {
  const byteCount = lines.byteCount(recordCount)
  return { recordCount, byteCount, wallNs: run.wallNs, ...together(run, recordCount) }
}

function together(
  { client, broker }: Omit<ToolRun, 'wallNs'>,
  recordCount: number,
): Pick<Measurement, 'userNs' | 'systemNs' | 'also'> {
  return {
    userNs: client.userNs + broker.userNs,
    systemNs: client.systemNs + broker.systemNs,
    also: {
      "client's user ns": client.userNs / recordCount,
      "broker's user ns": broker.userNs / recordCount,
    },
  }
}
