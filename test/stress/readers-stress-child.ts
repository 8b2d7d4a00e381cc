/**
 * A process in which readers come and go, in the middle of whatever they do, while the log that
 * they read is appended to, rolled, and shortened from its start:
 *   workers that attach, or open the directory read-only, and are terminated while they read
 *   logs opened read-only in the thread of the writer, closed with reads in flight
 *
 *   node readers-stress-child.js <directory> <io> <rounds>
 *
 * Prints one line of JSON when it came through. A crash is an exit by a signal.
 */
import { equal, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogHandle } from '../../src/client/group-types.ts'
import type { RecordStream } from '../../src/client/record-stream.ts'

const WORKERS = 3
const OPENS = 15
const BATCHES = 40
const BATCH_RECORDS = 20
const VALUE_BYTES = 300
const RETENTION_BYTES = 262_144
const SEGMENT_BYTES = 16_384

/** What came of a run. */
export interface ReadersReport {
  readonly records: number
  readonly deletedBytes: number
  /** Most mappings of the log's files at any moment that was looked at; then those at the end. */
  readonly peakMappings: number
  readonly leakedMappings: number
  /** What each is of. */
  readonly leakedDescriptors: readonly string[]
  readonly leakedThreads: number
  /** Memory outside of the heap, over what there was after a first life of the log. */
  readonly grownBytes: number
}

let peakMappings = 0

interface ReaderTask {
  readonly handle: LogHandle | undefined
  readonly directory: string
  readonly io: 'mmap' | 'auto' | 'pread'
}

/** Reads for ever, in every way; says so at first, and each time it has seen something. */
async function readForEver({ handle, directory, io }: ReaderTask): Promise<void> {
  parentPort?.postMessage(0)
  const log =
    handle === undefined
      ? await EventLog.open(directory, { readOnly: true, io, onWarning: () => undefined })
      : await EventLog.attach(handle)
  const partition = log.topic('t').partition(0)
  const live = partition.read({ live: true, from: 'earliest' })
  let records = 0
  for await (const record of live) {
    equal(record.value?.length, VALUE_BYTES)
    records += 1
    if (records % 100 === 1) {
      parentPort?.postMessage(records)
      partition.get(Math.max(partition.logStartOffset, record.offset - 500))
    }
  }
}

if (isMainThread) {
  const [directory = '', io = 'auto', rounds = '10'] = process.argv.slice(2)
  // `as`: the test passes one of the three.
  const report = await run(directory, io as ReaderTask['io'], Number(rounds))
  process.stdout.write(`${JSON.stringify(report)}\n`)
} else {
  // `as`: only ever started below.
  await readForEver(workerData as ReaderTask)
}

async function run(
  directory: string,
  io: ReaderTask['io'],
  rounds: number,
): Promise<ReadersReport> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // its type
  await oneLife({ directory, io }, 1) // Loads everything that is loaded once.
  await settle(collect)
  const before = resources(directory)
  const { records, deletedBytes } = await oneLife({ directory, io }, rounds)
  await settle(collect)
  const after = resources(directory)
  return {
    records,
    deletedBytes,
    peakMappings,
    leakedMappings: after.mappings,
    leakedDescriptors: without(after.descriptors, before.descriptors),
    leakedThreads: after.threads - before.threads,
    grownBytes: after.externalBytes - before.externalBytes,
  }
}

/** From the writer's open to its close. */
async function oneLife(
  where: Omit<ReaderTask, 'handle'>,
  rounds: number,
): Promise<Pick<ReadersReport, 'records' | 'deletedBytes'>> {
  const owner = await EventLog.open(where.directory, {
    topicDefaults: {
      segmentBytes: SEGMENT_BYTES,
      retentionBytes: RETENTION_BYTES,
      fileDeleteDelayMs: 0,
    },
  })
  await owner.ensureTopic('t')
  await append(owner)
  let records = 0
  let deletedBytes = 0
  for (let round = 0; round < rounds; round++) {
    records += await terminated(owner, where, round)
    records += await closedInFlight(owner, where)
    deletedBytes += (await owner.runHousekeeping()).deletedBytes
  }
  const deleted = readdirSync('/proc/self/fd').map(targetOf).filter(isDeleted)
  equal(deleted.length, 0, `held although deleted: ${deleted.join(', ')}`)
  await owner.close()
  return { records, deletedBytes }
}

/** Workers that are ended at any moment: while they attach, while they read, while they wait. */
async function terminated(
  owner: EventLog,
  { directory, io }: Omit<ReaderTask, 'handle'>,
  round: number,
): Promise<number> {
  let records = 0
  const workers = Array.from({ length: WORKERS }, (_, index) => {
    const handle = (index + round) % 3 === 0 ? undefined : owner.share()
    const workerTask: ReaderTask = { handle, directory, io }
    const worker = new Worker(new URL(import.meta.url), { workerData: workerTask })
    // Not before: Node leaves open what it is loading in a thread that is terminated.
    const isThere = once(worker, 'message')
    const hasRead = new Promise<void>((resolve, reject) => {
      worker.on('error', reject)
      worker.on('message', (count: number) => {
        records = Math.max(records, count)
        if (count > 0) resolve()
      })
    })
    hasRead.catch(() => undefined)
    return { worker, isThere, hasRead }
  })
  for (const [index, { worker, isThere, hasRead }] of workers.entries()) {
    await isThere
    if ((index + round) % 4 === 3) await append(owner)
    else await hasRead
    const ending = worker.terminate()
    await append(owner)
    await ending
  }
  return records
}

/** In the writer's own thread: whatever they read ends, and the writer goes on. */
async function closedInFlight(
  owner: EventLog,
  { directory, io }: Omit<ReaderTask, 'handle'>,
): Promise<number> {
  let records = 0
  for (let time = 0; time < OPENS; time++) {
    const isAttached = time % 3 === 0
    const log = isAttached
      ? await EventLog.attach(owner.share())
      : await EventLog.open(directory, { readOnly: true, io, onWarning: () => undefined })
    const topic = log.topic('t')
    const streams = [
      topic.read({ live: true, from: 'earliest' }),
      topic.read({ live: true, from: 'latest' }),
    ]
    const reads = streams.map(drain)
    await append(owner)
    if (time === 1) peakMappings = Math.max(peakMappings, resources(directory).mappings)
    await log.close()
    for (const read of await Promise.all(reads)) records += read
  }
  ok(records > 0, 'something was read')
  return records
}

async function drain(stream: RecordStream<{ readonly value: Buffer | null }>): Promise<number> {
  let records = 0
  for await (const record of stream) records += record.value === null ? 0 : 1
  return records
}

async function append(owner: EventLog): Promise<void> {
  const partition = owner.topic('t').partition(0)
  const value = Buffer.alloc(VALUE_BYTES, 'v')
  const batch = Array.from({ length: BATCH_RECORDS }, () => ({ value }))
  for (let count = 0; count < BATCHES / 10; count++) {
    partition.append(batch)
    await new Promise((resolve) => void setImmediate(resolve))
  }
}

function resources(directory: string): {
  readonly mappings: number
  /** What each is of. */
  readonly descriptors: readonly string[]
  readonly threads: number
  readonly externalBytes: number
} {
  const maps = readFileSync('/proc/self/maps', 'latin1').split('\n')
  const { external, arrayBuffers } = process.memoryUsage()
  return {
    mappings: maps.filter((line) => line.includes(directory)).length,
    descriptors: readdirSync('/proc/self/fd').map(targetOf),
    threads: readdirSync('/proc/self/task').length,
    externalBytes: external + arrayBuffers,
  }
}

function isDeleted(target: string): boolean {
  return target.endsWith('.log (deleted)')
}

function targetOf(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`).replace(/\[\d+\]$/, '')
  } catch {
    return '' // The one of the listing itself.
  }
}

/** What is in `all` more often than in `known`. */
function without(all: readonly string[], known: readonly string[]): readonly string[] {
  const left = [...known]
  return all.filter((one) => {
    const at = left.indexOf(one)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}

async function settle(collect: () => void): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    collect()
    await new Promise((resolve) => void setTimeout(resolve, 5))
  }
}
