/**
 * A process with little memory, or few descriptors, and a large log. It does the task of its only
 * argument, looks now and then at what it holds, and says so at its end, which may be a kill.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { EventLog, type Partition, type Topic } from '../../src/index.ts'
import type { LimitReport, LimitTask } from './limit-report.ts'

const SEGMENT_BYTES = 1_024
const SMALL_VALUE_BYTES = 900
const LARGE_VALUE_BYTES = 10_240
const LARGE_SEGMENT_BYTES = 67_108_864
const LOOK_EVERY = 500

/** Most of everything so far. */
class Watcher {
  descriptors = 0
  memoryBytes = 0
  externalBytes = 0

  look(): void {
    const status = readFileSync('/proc/self/status', 'latin1')
    const anonymousBytes = Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024
    this.descriptors = Math.max(this.descriptors, readdirSync('/proc/self/fd').length)
    this.memoryBytes = Math.max(this.memoryBytes, anonymousBytes)
    this.externalBytes = Math.max(this.externalBytes, process.memoryUsage().external)
  }
}

/** Something to wait for until it is opened. */
class Gate {
  open: () => void = () => undefined
  readonly opened: Promise<void> = new Promise((resolve) => {
    this.open = resolve
  })
}

const task = JSON.parse(process.argv[2] ?? '') as LimitTask // the test's
const watcher = new Watcher()
const begunMs = performance.now()
const log = await EventLog.open(task.directory, { onWarning: () => undefined })
const openMs = performance.now() - begunMs
watcher.look()
const outcome = await run()
watcher.look()
const { descriptors, memoryBytes, externalBytes } = watcher
const report: LimitReport = {
  descriptorLimit: descriptorLimit(),
  ...{ descriptors, memoryBytes, externalBytes },
  clean: log.recovery.clean,
  openMs: Math.round(openMs),
  ...outcome,
}
if (task.end === 'close') await log.close()
process.stdout.write(`${JSON.stringify(report)}\n`)
if (task.end === 'kill') process.kill(process.pid, 'SIGKILL')

async function run(): Promise<Pick<LimitReport, 'records' | 'wrong'>> {
  if (task.does === 'lag') return await lag()
  if (task.does === 'group') return await lagAsGroup()
  if (task.does === 'read') return await readAll()
  if (task.log === 'segments') await writeSegments()
  else if (task.log === 'bytes') await writeBytes((await bytesTopic()).partition(0), 0)
  else await writeTopics()
  return { records: task.count, wrong: null }
}

/** Rolls with every record; nobody waits for a sync. */
async function writeSegments(): Promise<void> {
  const topic = await log.ensureTopic('segments', { segmentBytes: SEGMENT_BYTES })
  const partition = topic.partition(0)
  for (let offset = 0; offset < task.count; offset += 1) {
    partition.append({ value: valueAt(offset, SMALL_VALUE_BYTES) })
    if (offset % LOOK_EVERY === 0) await lookAround()
  }
  await log.flush()
}

async function bytesTopic(): Promise<Topic> {
  return await log.ensureTopic('bytes', { segmentBytes: LARGE_SEGMENT_BYTES })
}

async function writeBytes(partition: Partition, from: number): Promise<void> {
  const producer = log.producer({ lingerMs: 1 })
  for (let offset = from; offset < task.count; offset += 1) {
    const value = valueAt(offset, LARGE_VALUE_BYTES)
    if (!producer.enqueue({ topic: partition.topic, value })) await producer.drained()
    if (offset % LOOK_EVERY === 0) await lookAround()
  }
  await producer.close()
}

/** All are made at the same time; then each gets a record that waits for no sync. */
async function writeTopics(): Promise<void> {
  const names = Array.from({ length: task.count }, (_, number) => `topic-${number}`)
  const topics = await Promise.all(names.map((name) => log.createTopic(name)))
  const eager = log.producer({ acks: 1 })
  for (const [number, topic] of topics.entries()) {
    await eager.send(topic, { value: valueAt(number, SMALL_VALUE_BYTES) })
    if (number % LOOK_EVERY === 0) await lookAround()
  }
  await eager.close()
}

async function readAll(): Promise<Pick<LimitReport, 'records' | 'wrong'>> {
  let records = 0
  for (const { name, partitions } of log.topics()) {
    const number = name.startsWith('topic-') ? Number(name.slice('topic-'.length)) : 0
    for (const partition of partitions) {
      for await (const { offset, value } of partition.read()) {
        if (!isValueAt(number + offset, value)) return { records, wrong: `${name} at ${offset}` }
        records += 1
        if (records % LOOK_EVERY === 0) await lookAround()
      }
    }
  }
  const wrong = lookUp()
  return { records, wrong }
}

/** Lookups all over the log, which open one file after the other. */
function lookUp(): string | null {
  for (const { name, partitions } of log.topics()) {
    const number = name.startsWith('topic-') ? Number(name.slice('topic-'.length)) : 0
    const [partition] = partitions
    const end = partition?.logEndOffset ?? 0
    for (let look = 0; look < Math.min(end, 1_000); look += 1) {
      const offset = (look * 7_919) % end
      const value = partition?.get(offset)?.value
      if (!isValueAt(number + offset, value ?? null)) return `${name} looked up at ${offset}`
    }
  }
  return null
}

/** A live reader takes one record, stands still while all is written, and then reads on. */
async function lag(): Promise<Pick<LimitReport, 'records' | 'wrong'>> {
  const partition = (await bytesTopic()).partition(0)
  const reader = partition.read({ live: true })[Symbol.asyncIterator]()
  partition.append({ value: valueAt(0, LARGE_VALUE_BYTES) })
  let records = 0
  let wrong: string | null = null
  const take = async (): Promise<void> => {
    const next = await reader.next()
    const isRight = next.done !== true && isValueAt(records, next.value.value)
    if (!isRight) wrong ??= `the record at ${records}`
    records += 1
  }
  await take()
  await writeBytes(partition, 1)
  while (records < task.count) {
    await take()
    if (records % LOOK_EVERY === 0) await lookAround()
  }
  await reader.return?.()
  return { records, wrong }
}

/** A group stands still in the handler of its first record while all is written. */
async function lagAsGroup(): Promise<Pick<LimitReport, 'records' | 'wrong'>> {
  const topic = await bytesTopic()
  const partition = topic.partition(0)
  partition.append({ value: valueAt(0, LARGE_VALUE_BYTES) })
  let records = 0
  let wrong: string | null = null
  const written = new Gate()
  const running = log.consumerGroup('slow', { topics: [topic.name] }).run(async (record) => {
    if (records === 0) await written.opened
    const isRight = record.offset === records && isValueAt(records, record.value)
    if (!isRight) wrong ??= `the record at ${records}, which is ${record.offset}`
    records += 1
    if (records % LOOK_EVERY === 0) watcher.look()
  })
  await running.ready
  await writeBytes(partition, 1)
  written.open()
  const isOver = (): boolean => records >= task.count || wrong !== null
  while (!isOver()) await lookAround()
  await running.stop()
  return { records, wrong }
}

async function lookAround(): Promise<void> {
  watcher.look()
  await new Promise((resolve) => void setImmediate(resolve))
}

function valueAt(offset: number, byteLength: number): string {
  return String(offset).padEnd(byteLength, '.')
}

function isValueAt(offset: number, value: Buffer | null): boolean {
  return value?.subarray(0, 20).toString().replaceAll('.', '') === String(offset)
}

function descriptorLimit(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1])
}
