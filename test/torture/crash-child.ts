/**
 * The child of the crash tests: opens a log, tells the parent all that is in it, and appends until
 * it is killed. It tells what it is about to do before it does it, and what was acknowledged at
 * once after, so that the parent knows all that may be and all that must be in the log.
 */
import { readFileSync } from 'node:fs'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { EventLog, LogError } from '../../src/index.ts'
import type { Partition, Producer, RecordMetadata, Topic } from '../../src/index.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { checkedSequence, crashRecord, sequenceOf, type CrashRecord } from './crash-record.ts'
import { partitionName, report } from './crash-report.ts'
import type { LifePlan, LifeReport, PartitionReport, Stage } from './crash-report.ts'
import { killAtCall } from './self-kill.ts'

/** Each life makes sure that it is there. */
const MAIN_TOPIC = 'events'
const MAIN_PARTITIONS = 4
const CHANGING_TOPICS = ['orders', 'invoices', 'notes']
/** Small, so that every life rolls. */
const SEGMENT_BYTES = 65_536
const MAX_IN_FLIGHT = 200

const plan = JSON.parse(readFileSync(0, 'utf8')) as LifePlan // The parent wrote it.
const random = new SeededRandom(plan.seed)
let sentCount = 0
let inFlight = 0
let acknowledgedCount = 0
let isClosing = false

enter('opening')
const log = await EventLog.open(plan.directory, {
  onWarning: ({ code, message }) => {
    if (code === 'HOUSEKEEPING_FAILED' && plan.roomIsScarce) return
    if (code !== 'RECOVERED') fail(`warning ${code}: ${message}`)
  },
})
live().catch(fail)

async function live(): Promise<void> {
  tellOpened()
  for (const topic of log.topics()) for (const partition of topic.partitions) tellRecords(partition)
  report({ is: 'read' })
  const topic = log.topics().find(({ name }) => name === MAIN_TOPIC) ?? (await create(MAIN_TOPIC))
  enter('working')
  if (plan.changesTopics) changeTopics().catch(fail)
  const write = plan.writing === 'append' ? appendingTo(topic) : sendingTo(topic)
  while (plan.closesAfter === null || acknowledgedCount < plan.closesAfter) {
    if (inFlight < MAX_IN_FLIGHT) await write(1 + random.below(24))
    // What nothing waits for would run away while the parent looks elsewhere.
    await (plan.writing === 'append' || plan.roomIsScarce || inFlight >= MAX_IN_FLIGHT
      ? delay(1)
      : setImmediate())
  }
  report({ is: 'closing' })
  isClosing = true
  enter('closing')
  await log.close()
  report({ is: 'closed' })
  process.exit(0) // Topics may still be changing; they find a closed log.
}

// ------------------------------------------------------------------- reading

function tellOpened(): void {
  const topics: Record<string, PartitionReport[]> = {}
  for (const { name, partitions } of log.topics()) {
    topics[name] = partitions.map(({ logStartOffset, logEndOffset, durableOffset }) => {
      return { logStartOffset, logEndOffset, durableOffset }
    })
  }
  const { clean, partitions } = log.recovery
  const damage = partitions.flatMap((partition) => partition.damage).length
  const cuts = partitions
    .filter(({ cutAtOffset }) => cutAtOffset !== null)
    .map(({ topic, partition, cutBytes, cutAtOffset }) => {
      return [partitionName(topic, partition), cutBytes, cutAtOffset ?? 0] as const
    })
  report({ is: 'opened', clean, damage, cuts, topics })
}

function tellRecords(partition: Partition): void {
  const name = partitionName(partition.topic, partition.index)
  const reports: LifeReport[] = []
  // A damaged log may end before what is known; the parent sees that by its end.
  const from = Math.min(plan.known[name] ?? 0, partition.logEndOffset)
  for (const record of partition.records({ from })) {
    const { offset, leaderEpoch } = record
    reports.push({ is: 'record', name, offset, sequence: checkedSequence(record), leaderEpoch })
  }
  report(...reports)
}

// ------------------------------------------------------------------- writing

function sendingTo(topic: Topic): (count: number) => Promise<void> {
  const producer = log.producer({
    acks: plan.writing === 'acks 1' ? 1 : 'all',
    lingerMs: random.oneOf(0, 0, 1, 3),
    batchBytes: random.oneOf(512, 4096, 65_536),
    compression: random.oneOf('none', 'none', 'gzip'),
  })
  return async (count) => {
    const sequences = upTo(count).map(() => nextSequence())
    const partitions = sequences.map(() => random.below(topic.partitions.length))
    report(...sequences.map((sequence, index) => sending(topic, partitions[index] ?? 0, sequence)))
    const records = sequences.map((sequence, index) => {
      return { ...crashRecord(sequence), topic: topic.name, partition: partitions[index] ?? 0 }
    })
    switch (plan.roomIsScarce ? -1 : random.below(8)) {
      case 0:
        return await enqueueAll(producer, records, sequences)
      case 1:
        return sendAll(producer, records, sequences)
      default:
        records.forEach((record, index) => sendOne(producer, record, sequences[index] ?? 0))
    }
  }
}

type Sent = CrashRecord & { readonly topic: string; readonly partition: number }

function sendOne(producer: Producer, record: Sent, sequence: number): void {
  inFlight += 1
  producer.send(record).then(
    (metadata) => acknowledged(metadata, sequence),
    (error: unknown) => refused(error, record, sequence),
  )
}

function sendAll(producer: Producer, records: readonly Sent[], sequences: readonly number[]): void {
  inFlight += records.length
  producer
    .sendAll(records)
    .then((all) => all.forEach((one, index) => acknowledged(one, sequences[index] ?? 0)))
    .catch(fail)
}

/** Stored when the flush says so; where, nobody says. */
async function enqueueAll(
  producer: Producer,
  records: readonly Sent[],
  sequences: readonly number[],
): Promise<void> {
  for (const record of records) producer.enqueue(record)
  await producer.flush()
  records.forEach(({ topic, partition }, index) => {
    const name = partitionName(topic, partition)
    report({ is: 'acknowledged', name, sequence: sequences[index] ?? 0, offset: null })
  })
  acknowledgedCount += records.length
}

/** Each append is acknowledged when it returns; now and then somebody wants it synced. */
function appendingTo(topic: Topic): (count: number) => Promise<void> {
  return async (count) => {
    const partition = topic.partition(random.below(topic.partitions.length))
    const sequences = upTo(count).map(() => nextSequence())
    report(...sequences.map((sequence) => sending(topic, partition.index, sequence)))
    const compression = random.oneOf('none', 'none', 'gzip')
    const expectOffset = partition.logEndOffset
    const { baseOffset } = partition.append(sequences.map(crashRecord), {
      compression,
      expectOffset,
    })
    for (const [index, sequence] of sequences.entries()) {
      const { name } = topic
      const offset = baseOffset + index
      inFlight += 1
      acknowledged({ topic: name, partition: partition.index, offset }, sequence)
    }
    const ended = random.below(4) === 0 ? partition.flush() : undefined
    if (random.below(2) === 0) await ended
    else ended?.catch(fail)
  }
}

// -------------------------------------------------------------------- topics

async function create(name: string): Promise<Topic> {
  const partitions = name === MAIN_TOPIC ? MAIN_PARTITIONS : 1 + random.below(3)
  report({ is: 'creating', topic: name, partitions })
  const topic = await log.createTopic(name, {
    partitions,
    segmentBytes: SEGMENT_BYTES,
    indexIntervalBytes: 1024,
    // A torn write ends in zeros, or at the end of the file.
    preallocate: name === MAIN_TOPIC ? plan.writing !== 'acks 1' : random.below(2) === 0,
  })
  report({ is: 'created', topic: name })
  return topic
}

/** Topics come, take some records and go; their names come again. */
async function changeTopics(): Promise<void> {
  enter('changing topics')
  for (;;) {
    const name = CHANGING_TOPICS[random.below(CHANGING_TOPICS.length)] ?? ''
    const topic = log.topics().find((one) => one.name === name) ?? (await create(name))
    for (const partition of topic.partitions) {
      const sequence = nextSequence()
      report(sending(topic, partition.index, sequence))
      inFlight += 1
      const sent = topic.send({ ...crashRecord(sequence), partition: partition.index })
      acknowledged(await sent, sequence)
    }
    if (random.below(2) === 0) continue
    report({ is: 'deleting', topic: name })
    await log.deleteTopic(name)
    report({ is: 'deleted', topic: name })
  }
}

// ------------------------------------------------------------------- telling

function nextSequence(): number {
  sentCount += 1
  return sequenceOf(plan.life, sentCount)
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function sending(topic: Topic, partition: number, sequence: number): LifeReport {
  return { is: 'sending', name: partitionName(topic.name, partition), sequence }
}

function acknowledged(where: Omit<RecordMetadata, 'timestamp'>, sequence: number): void {
  const name = partitionName(where.topic, where.partition)
  report({ is: 'acknowledged', name, sequence, offset: where.offset })
  inFlight -= 1
  acknowledgedCount += 1
}

function refused(error: unknown, { topic, partition }: Sent, sequence: number): void {
  if (!plan.roomIsScarce || !LogError.is(error, 'NO_SPACE')) return fail(error)
  report({ is: 'refused', name: partitionName(topic, partition), sequence })
  inFlight -= 1
}

function enter(stage: Stage): void {
  if (plan.selfKill?.stage === stage) killAtCall(plan.selfKill.calls)
}

function fail(reason: unknown): void {
  // While the log closes, what changes topics is turned away.
  if (isClosing && LogError.is(reason, 'CLOSED')) return
  const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
  report({ is: 'failed', reason: text })
  process.exit(1)
}
