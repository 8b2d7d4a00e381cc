/**
 * What a log says of its contents, and what it does when its files are damaged.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogWarning } from '../../src/client/log-options.ts'
import { sealBatch } from '../../src/format/record-batch.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import {
  numbers,
  LOG_KINDS,
  closeWhenDone,
  numbered,
  openLog,
  openTopic,
  texts,
  textsOf,
} from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

describe.each(LOG_KINDS)('a log on %s', (kind) => {
  it('describes its topics by partition, without what is preallocated', async () => {
    const log = await openLog(kind)
    expect(log.describe()).toEqual({ bytes: 0, topics: [] })
    const topic = await log.createTopic('t', { partitions: 2, segmentBytes: 1_024 })
    const other = await log.createTopic('a')
    const [first] = topic.partitions
    for (const timestamp of [50, 20, 90, 30]) first?.append({ value: 'x'.repeat(400), timestamp })
    await log.flush()
    const { bytes } = topic.size()
    expect(topic.size()).toEqual({ offsets: 4, bytes, segments: 3 })
    const offsets = { logStartOffset: 0, logEndOffset: 0, durableOffset: 0, offsets: 0 }
    const noTimes = { oldestTimestamp: null, newestTimestamp: null }
    const times = { oldestTimestamp: 50, newestTimestamp: 90 }
    const empty = { ...offsets, ...noTimes, bytes: 0, segments: 1, share: 0, compaction: null }
    const held = { logStartOffset: 0, logEndOffset: 4, durableOffset: 4, offsets: 4, bytes }
    const full = { ...held, ...times, segments: 2, share: 1, compaction: null }
    expect(log.describe()).toEqual({
      bytes,
      topics: [
        {
          ...{ name: 'a', id: other.id, config: other.config, appliedPolicy: 'delete', ...noTimes },
          ...{ offsets: 0, bytes: 0, segments: 1, skew: 1 },
          partitions: [{ partition: 0, ...empty }],
        },
        {
          ...{ name: 't', id: topic.id, config: topic.config, appliedPolicy: 'delete', ...times },
          ...{ offsets: 4, bytes, segments: 3, skew: 2 },
          partitions: [
            { partition: 0, ...full },
            { partition: 1, ...empty },
          ],
        },
      ],
    })
    expect(bytes).toBeGreaterThan(4 * 461)
    await first?.deleteRecords(1)
    expect(log.describe().topics[1]?.partitions[0]).toMatchObject({ oldestTimestamp: 20 })
    await first?.deleteRecords(4)
    expect(log.describe().topics[1]?.partitions[0]).toMatchObject({
      offsets: 0,
      oldestTimestamp: null,
      newestTimestamp: null,
    })
  })

  it('counts the records that are there', async () => {
    const topic = await openTopic(kind, { partitions: 2, segmentBytes: 2_048 })
    expect(await topic.countRecords()).toBe(0)
    for (let at = 0; at < 50; at += 1) topic.partition(at % 2).append(numbered(5))
    expect(await topic.countRecords()).toBe(250)
    await topic.partition(0).deleteRecords(7)
    expect(await topic.countRecords()).toBe(243)
    const reason = new Error('enough')
    const refused = await rejection(topic.countRecords({ signal: AbortSignal.abort(reason) }))
    expect(refused).toMatchObject({ code: 'ABORTED', cause: reason })
    const options: object = { sgnal: undefined }
    expect((await rejection(topic.countRecords(options))).code).toBe('INVALID_ARGUMENT')
  })

  it('flushes what was appended and sent before the call', async () => {
    const log = await openLog(kind)
    const topic = await log.createTopic('t', { partitions: 3 })
    for (const partition of topic.partitions) partition.append(numbered(2))
    const producer = log.producer({ acks: 1, lingerMs: 60_000 })
    const sent = producer.send({ topic: 't', value: 'x', partition: 1 })
    await log.flush()
    await sent
    expect(topic.partitions.map(({ durableOffset }) => durableOffset)).toEqual([2, 3, 2])
    expect(await topic.partition(0).flush()).toBe(2)
  })
})

interface Damaged {
  readonly log: EventLog
  readonly warnings: readonly LogWarning[]
}

/**
 * A log whose topic t has ten batches of one record, one of whose files was changed while it was
 * closed.
 */
async function damaged(
  change: (bytes: Buffer, batchBytes: number) => void,
  config: TopicConfig = {},
): Promise<Damaged> {
  const directory = temporaryDirectory()
  const first = await EventLog.open(directory)
  const topic = await first.createTopic('t', config)
  for (let at = 0; at < 10; at += 1) topic.partition(0).append({ value: `v${at}`, timestamp: at })
  const batchBytes = topic.size().bytes / 10
  await first.close()
  const path = join(directory, 't-0', '00000000000000000000.log')
  const bytes = readFileSync(path)
  change(bytes, batchBytes)
  writeFileSync(path, bytes)
  const warnings: LogWarning[] = []
  const log = await EventLog.open(directory, { onWarning: (warning) => warnings.push(warning) })
  closeWhenDone(log)
  return { log, warnings }
}

/** Flips a bit in the records of the batch at `offset`. */
function flipAt(offset: number): (bytes: Buffer, batchBytes: number) => void {
  return (bytes, batchBytes) => {
    const at = offset * batchBytes + batchBytes - 2
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
  }
}

/** As a foreign writer may have it: a time of 2^62 in the batch at offset 4. */
function setUnsafeTime(bytes: Buffer, batchBytes: number): void {
  const at = 4 * batchBytes
  for (const field of [27, 35]) bytes.writeBigInt64BE(2n ** 62n, at + field)
  sealBatch(bytes, at)
}

describe('a damaged batch', () => {
  it('stops every way of reading with CORRUPT, after what comes before it', async () => {
    const { log } = await damaged(flipAt(4))
    const partition = log.topic('t').partition(0)
    const expected = {
      code: 'CORRUPT',
      details: { topic: 't', partition: 0, offset: 4, file: 't-0/00000000000000000000.log' },
    }
    const seen: string[] = []
    const records = partition.records()
    const all = refusal(() => {
      for (const record of records) seen.push(String(record.value))
    })
    expect(all).toMatchObject(expected)
    expect(seen).toEqual(['v0', 'v1', 'v2', 'v3'])
    expect(records.next().done).toBe(true)
    expect(refusal(() => partition.scan(() => {}))).toMatchObject(expected)
    expect(refusal(() => partition.get(4))).toMatchObject(expected)
    expect(String(partition.get(3)?.value)).toBe('v3')
    expect(await rejection(textsOf(partition.read()))).toMatchObject(expected)
    expect(await rejection(textsOf(log.topic('t').read()))).toMatchObject(expected)
    expect(partition.append({ value: 'v10' }).baseOffset).toBe(10)
    expect(log.describe().topics).toHaveLength(1)
  })

  it('is passed over where that was asked for, with a warning', async () => {
    const config = { indexIntervalBytes: 0 }
    const { log, warnings } = await damaged(flipAt(4), config)
    const partition = log.topic('t').partition(0)
    const rest = ['v0', 'v1', 'v2', 'v3', 'v5', 'v6', 'v7', 'v8', 'v9']
    expect(texts(partition.records({ onCorrupt: 'skip' }))).toEqual(rest)
    expect(await textsOf(partition.read({ onCorrupt: 'skip' }))).toEqual(rest)
    expect(partition.scan(() => {}, { onCorrupt: 'skip' })).toBe(9)
    expect(warnings).toHaveLength(3)
    expect(warnings[0]).toMatchObject({
      code: 'DAMAGE',
      details: { topic: 't', partition: 0, offset: 4, resumesAt: 5 },
    })
  })

  it('is CORRUPT where its checksum holds and its numbers cannot be', async () => {
    const { log, warnings } = await damaged(setUnsafeTime, { indexIntervalBytes: 0 })
    const partition = log.topic('t').partition(0)
    expect(refusal(() => [...partition.records()])).toMatchObject({
      code: 'CORRUPT',
      details: { offset: 4 },
    })
    expect(refusal(() => partition.get(4)).code).toBe('CORRUPT')
    expect((await rejection(textsOf(partition.read()))).code).toBe('CORRUPT')
    expect(texts(partition.records({ onCorrupt: 'skip' }))).toHaveLength(9)
    expect(warnings).toMatchObject([{ code: 'DAMAGE', details: { offset: 4 } }])
    expect(log.describe().topics[0]?.partitions[0]?.oldestTimestamp).toBe(0)
    expect(await log.topic('t').countRecords()).toBe(10)
  })

  it('stops a lookup by time that has to decode it, and no other', async () => {
    const { log, warnings } = await damaged((bytes, batchBytes) => {
      bytes.writeUInt8(1, 4 * batchBytes + 61) // a record of −1 bytes
      sealBatch(bytes, 4 * batchBytes)
    })
    const partition = log.topic('t').partition(0)
    const from = { timestamp: 4 }
    expect(refusal(() => partition.offsetForTimestamp(4)).code).toBe('CORRUPT')
    expect(refusal(() => partition.records({ from })).code).toBe('CORRUPT')
    expect((await rejection(partition.read({ from }).next())).code).toBe('CORRUPT')
    const place = { file: 't-0/00000000000000000000.log', offset: 4 }
    expect(refusal(() => partition.get(4)).details).toMatchObject({ ...place, position: 4 * 70 })
    expect(texts(partition.records({ from, onCorrupt: 'skip' }))).toEqual(numbers(5, 5))
    expect(texts(partition.records({ to: from, onCorrupt: 'skip' }))).toEqual(numbers(4))
    expect(warnings.length).toBeGreaterThan(0)
    expect(partition.offsetForTimestamp(3)).toBe(3)
    expect(partition.offsetForTimestamp(5)).toBe(5)
  })

  it('is described all the same where it is the first', async () => {
    const { log } = await damaged(flipAt(0))
    const [partition] = log.describe().topics[0]?.partitions ?? []
    expect(partition).toMatchObject({ offsets: 10, oldestTimestamp: null, newestTimestamp: 9 })
  })
})

describe('warnings without a listener', () => {
  it('are warnings of the process', async () => {
    const log = await openLog('memory')
    await log.createTopic('t')
    const emitted: Error[] = []
    const listener = (warning: Error): void => void emitted.push(warning)
    const others = process.listeners('warning')
    process.removeAllListeners('warning').on('warning', listener)
    onTestFinished(() => {
      process.removeAllListeners('warning')
      for (const other of others) process.on('warning', other)
    })
    await log.ensureTopic('t', { retentionMs: 5 })
    await new Promise((resolve) => setImmediate(resolve))
    expect(emitted).toMatchObject([{ name: 'StreambedWarning', code: 'CONFIG_CHANGED' }])
  })
})
