/**
 * A process that does to mapped segments what must never end it: keeps every kind of bytes that a
 * log hands out, closes, deletes and collects the log under them, then uses them; and opens and
 * closes so often that a leak of one mapping or descriptor at a time shows.
 *
 *   node mapping-stress-child.js <directory> <io> <rounds>
 *
 * Prints one line of JSON when it came through. A crash is an exit by a signal; plain JavaScript,
 * because other versions of Node run it too.
 */
import { equal, ok } from 'node:assert/strict'
import { closeSync, openSync, readFileSync, readdirSync, write as writeLater } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { gzip } from 'node:zlib'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogRecord } from '../../src/client/log-record.ts'
import type { Partition } from '../../src/client/partition.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { MappingPool } from '../../src/storage/mapping-pool.ts'

const SEGMENT_BYTES = 65_536
const RECORDS = 3_000
const VALUE_BYTES = 200
/** Every so manieth record has a long value, which is copied where a short one may be a view. */
const LONG_EVERY = 50
const LONG_BYTES = 9_000
const IN_FLIGHT = 40
const MOST_BORROWED = 2_000
/** Of every round, how often a log, and how often a driver of files alone, is opened and closed. */
const SHORT_ROUNDS = 5
const FILE_ROUNDS = 1_000

/** What came of a run. */
export interface StressReport {
  readonly reads: string
  /** Mappings and descriptors above those at the start: most while running, and at the end. */
  readonly peakMappings: number
  readonly leakedMappings: number
  readonly leakedDescriptors: number
  readonly bytesKept: number
}

const [directory = '', io = 'auto', roundsText = '10'] = process.argv.slice(2)
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

let peakMappings = 0
let bytesKept = 0
/** What `scan` lent: nobody may rely on what it holds, but touching it must be harmless. */
const borrowed: Buffer[] = []
/** Bytes that were given away: empty from then on. */
const gone = new WeakSet<Buffer>()
let fileRounds = 0

async function run(rounds: number): Promise<StressReport> {
  await oneRound(0) // Loads everything that is loaded once.
  await settle()
  const descriptors = readdirSync('/proc/self/fd').length
  let reads = ''
  for (let round = 1; round <= rounds; round++) reads = await oneRound(round)
  for (let round = 0; round < rounds * SHORT_ROUNDS; round++) await shortRound()
  for (let round = 0; round < rounds * FILE_ROUNDS; round++) fileRound()
  await settle()
  return {
    reads,
    peakMappings,
    leakedMappings: mappingCount(),
    leakedDescriptors: readdirSync('/proc/self/fd').length - descriptors,
    bytesKept,
  }
}

/** Writes a topic of many segments, reads it in every way, ends the log, and uses what is left. */
async function oneRound(round: number): Promise<string> {
  const name = `topic-${round}`
  const writer = await opened()
  fill((await writer.createTopic(name, { segmentBytes: SEGMENT_BYTES })).partition(0))
  await writer.close()
  const log = await opened() // What was just appended would be read from memory.
  const { reads } = log.guarantees()
  const kept = keepAll(log.topic(name).partition(0))
  peakMappings = Math.max(peakMappings, mappingCount())
  const inFlight = startUsing(kept)
  if (round % 3 === 0) {
    await log.deleteTopic(name)
    collect()
    use(kept)
    await log.close()
  } else {
    await log.close()
  }
  collect()
  use(kept)
  await Promise.allSettled(inFlight)
  if (round % 3 !== 0) await removeTopic(name)
  return reads
}

/** Opens, maps a little and closes: what leaks once a log leaks here a hundred times. */
async function shortRound(): Promise<void> {
  const log = await opened()
  const topic = await log.ensureTopic('short', { segmentBytes: 4_096 })
  const partition = topic.partition(0)
  if (partition.logEndOffset === 0) for (let n = 0; n < 100; n++) partition.append(recordOf(n))
  for (let time = 0; time < 4; time++) equal(partition.get(3)?.offset, 3)
  peakMappings = Math.max(peakMappings, mappingCount())
  await log.close()
}

/** As a log does with a sealed segment, without all that is around it: thousands of them. */
function fileRound(): void {
  const file = join(directory, 'meta.properties')
  const mappings = io === 'pread' ? undefined : new MappingPool('everything')
  mappings?.enable(file)
  const driver = openDiskDriver(directory, { mappings })
  const meta = driver.openFile('meta.properties', 'read')
  meta.freeze?.()
  equal(meta.read(Buffer.alloc(8), 0, 8, 0), 8)
  const lent = meta.borrow?.(0, 8)
  if (fileRounds++ % 2 === 0) meta.close() // Else the driver closes it.
  driver.close()
  equal(lent?.bytes.length ?? 0, 0, 'what was lent is empty when its file is closed')
}

async function removeTopic(name: string): Promise<void> {
  const log = await opened()
  await log.deleteTopic(name)
  await log.close()
}

function opened(): Promise<EventLog> {
  // `as`: the test passes one of the three.
  return EventLog.open(directory, { io: io as 'auto' | 'mmap' | 'pread' })
}

function recordOf(n: number): { readonly key: string; readonly value: Buffer } {
  const byteLength = n % LONG_EVERY === 0 ? LONG_BYTES : VALUE_BYTES
  return { key: `key-${n}`, value: Buffer.alloc(byteLength, n % 251) }
}

function fill(partition: Partition): void {
  for (let n = 0; n < RECORDS; n += 20) {
    partition.append(Array.from({ length: 20 }, (_, index) => recordOf(n + index)))
  }
}

/** Records and bytes from each way of reading; half of the records are decoded only later. */
function keepAll(partition: Partition): (Buffer | LogRecord)[] {
  const kept: (Buffer | LogRecord)[] = []
  for (let time = 0; time < 4; time++) {
    for (let offset = time; offset < RECORDS; offset += 17) {
      const record = partition.get(offset)
      ok(record !== undefined)
      kept.push(record)
      if (offset % 2 === 0 && record.valueBytes !== null) kept.push(record.valueBytes)
    }
  }
  for (const record of partition.records()) if (record.offset % 13 === 0) kept.push(record)
  partition.scan(({ buffer, valueStart, valueLength, offset }) => {
    if (offset % 13 === 0) borrowed.push(buffer.subarray(valueStart, valueStart + valueLength))
  })
  equal(partition.offsetForTimestamp(0), 0)
  return kept
}

/** Work of other threads over the bytes, which goes on while the log ends. */
function startUsing(kept: readonly (Buffer | LogRecord)[]): Promise<unknown>[] {
  const scratch = openSync(join(directory, '..', 'scratch'), 'w')
  const works: Promise<unknown>[] = []
  for (let index = 0; index < kept.length; index += Math.ceil(kept.length / IN_FLIGHT)) {
    const bytes = bytesOf(kept[index])
    works.push(compressed(bytes), written(scratch, bytes))
  }
  void Promise.allSettled(works).then(() => closeSync(scratch))
  return works
}

function compressed(bytes: Buffer): Promise<unknown> {
  return new Promise((resolve) => {
    gzip(bytes, resolve)
  })
}

function written(descriptor: number, bytes: Buffer): Promise<unknown> {
  return new Promise((resolve) => {
    writeLater(descriptor, bytes, 0, bytes.length, 0, resolve)
  })
}

/** Reads, writes, clones and gives away whatever was kept. */
function use(kept: readonly (Buffer | LogRecord)[]): void {
  for (const [index, one] of kept.entries()) {
    const bytes = bytesOf(one)
    if (gone.has(bytes)) continue
    ok(bytes.length >= VALUE_BYTES, 'bytes handed out are still there')
    const [first] = bytes
    ok(
      bytes.every((byte) => byte === first),
      'and still what they were',
    )
    bytesKept += bytes.length
    bytes.fill(index % 251)
    if (index % 100 === 0) structuredClone(bytes)
    if (index % 100 === 50 || bytes.length === LONG_BYTES) giveAway(bytes)
  }
  for (const bytes of borrowed) bytes.fill(1)
  if (borrowed.length > MOST_BORROWED) borrowed.length = 0
}

/** Where it is allowed at all, the memory is another's from then on. */
function giveAway(bytes: Buffer): void {
  try {
    // `as`: nothing here is shared memory.
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] })
    // Node 20 leaves what it may not take, and says nothing.
    if (bytes.length === 0) gone.add(bytes)
  } catch (error) {
    ok(error instanceof Error && error.name === 'DataCloneError')
  }
}

function bytesOf(one: Buffer | LogRecord | undefined): Buffer {
  const bytes = Buffer.isBuffer(one) ? one : one?.valueBytes
  ok(bytes !== undefined && bytes !== null, 'a value is not null')
  return bytes
}

function mappingCount(): number {
  const lines = readFileSync('/proc/self/maps', 'latin1').split('\n')
  return lines.filter((line) => line.includes(directory)).length
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    collect()
    await new Promise((resolve) => void setImmediate(resolve))
  }
}

process.stdout.write(`${JSON.stringify(await run(Number(roundsText)))}\n`)
