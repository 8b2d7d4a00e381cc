/**
 * What a read-only log shows of what its writer has not synced: everything, or, where it was opened
 * with visibility 'durable', nothing, whatever way it is read.
 */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { RecordStream } from '../../../src/client/record-stream.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone, nextOf, numbers, textOf, texts, textsOf } from '../open-log.ts'
import { refusal } from '../refusal.ts'

const SYNCED = 3
const WRITTEN = 5

interface Visible {
  readonly writer: EventLog
  readonly reader: EventLog
  readonly topic: Topic
}

/** Five records of which three are synced, read with `visibility`. */
async function halfSynced(visibility: 'written' | 'durable'): Promise<Visible> {
  const directory = temporaryDirectory()
  const writer = await EventLog.open(directory, { housekeepingIntervalMs: null })
  closeWhenDone(writer)
  const written = await writer.createTopic('t', { cleanupPolicy: 'compact' })
  const partition = written.partition(0)
  for (let n = 0; n < WRITTEN; n += 1) {
    partition.append({ key: `k${n}`, value: `v${n}`, timestamp: 100 + n })
    if (n === SYNCED - 1) await partition.flush()
  }
  const reader = await EventLog.open(directory, { readOnly: true, visibility })
  closeWhenDone(reader)
  const topic = reader.topic('t')
  await expect.poll(() => topic.partition(0).highWatermark).toBe(WRITTEN)
  return { writer, reader, topic }
}

/** The next record, of a stream that has one. */
async function one<R>(read: RecordStream<R>): Promise<R> {
  const record = await nextOf(read)
  if (record === undefined) throw new Error('the stream has ended')
  return record
}

describe.each([
  { visibility: 'written', shown: WRITTEN },
  { visibility: 'durable', shown: SYNCED },
] as const)('a log that shows what is $visibility', ({ visibility, shown }) => {
  it('shows that, whatever way it is read', async () => {
    const { reader, topic } = await halfSynced(visibility)
    const partition = topic.partition(0)
    const expected = numbers(shown)
    expect(texts(partition.records())).toEqual(expected)
    expect(texts(partition.records({ isolation: 'read_committed' }))).toEqual(expected)
    expect(partition.scan(() => undefined)).toBe(shown)
    expect(await textsOf(partition.read())).toEqual(expected)
    expect(await textsOf(topic.read())).toEqual(expected)
    expect(texts(partition.records({ from: { last: 2 } }))).toEqual(expected.slice(-2))
    expect(await topic.countRecords()).toBe(shown)
    const lines: string[] = []
    for await (const line of reader.exportRecords('t')) lines.push(line)
    expect(lines).toHaveLength(shown)
    const table = await topic.table()
    expect(table.size).toBe(shown)
    await table.close()
    for (let offset = 0; offset < WRITTEN; offset += 1) {
      const found = offset < shown
      expect(partition.offsetForTimestamp(100 + offset)).toBe(found ? offset : null)
      if (found) expect(textOf(partition.get(offset) ?? { value: null })).toBe(`v${offset}`)
      else {
        expect(refusal(() => partition.get(offset))).toMatchObject({
          code: 'OFFSET_OUT_OF_RANGE',
          details: { offset, logStartOffset: 0, logEndOffset: WRITTEN },
        })
      }
    }
  })

  it('says the same watermarks, and measures lag by them', async () => {
    const { reader, topic } = await halfSynced(visibility)
    const partition = topic.partition(0)
    expect(partition.durableOffset).toBe(SYNCED)
    expect(partition.highWatermark).toBe(WRITTEN)
    expect(partition.lastStableOffset).toBe(WRITTEN)
    expect(partition.logEndOffset).toBe(WRITTEN)
    expect(topic.size().offsets).toBe(WRITTEN)
    const group = reader.consumerGroup('g', { topics: ['t'] })
    expect(group.lag().total).toBe(WRITTEN)
  })
})

describe('a live read of what is durable', () => {
  it('gives records as they become so, and not before', async () => {
    const { writer, topic } = await halfSynced('durable')
    const read = topic.partition(0).read({ live: true })
    for (const value of numbers(SYNCED)) expect(textOf(await one(read))).toBe(value)
    const waiting = one(read)
    const first = await Promise.race([waiting, Promise.resolve('waits')])
    expect(first).toBe('waits')
    await writer.flush()
    expect(textOf(await waiting)).toBe(`v${SYNCED}`)
    expect(textOf(await one(read))).toBe(`v${SYNCED + 1}`)
  })

  it('shows nothing of a transaction whose commit could be undone', async () => {
    const { writer, topic } = await halfSynced('durable')
    await writer.flush()
    const producer = writer.producer()
    await producer.transaction(async (tx) => {
      await tx.send({ topic: 't', key: 'k', value: 'committed' })
    })
    const read = topic.partition(0).read({ from: WRITTEN, live: true, isolation: 'read_committed' })
    expect(textOf(await one(read))).toBe('committed')
  })
})
