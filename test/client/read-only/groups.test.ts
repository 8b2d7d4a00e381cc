/**
 * Consumer groups of a log that another process writes: their positions and how far they are
 * behind,
 * as they are now; joining them and moving them is for the process that writes.
 */
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'
import { rejection } from '../refusal.ts'

const NONE = { housekeepingIntervalMs: null } as const

interface Followed {
  readonly directory: string
  readonly writer: EventLog
  readonly reader: EventLog
}

/** Of ten records in `jobs`, `a` has handled three. */
async function followed(): Promise<Followed> {
  const directory = join(temporaryDirectory(), 'log')
  const writer = await EventLog.open(directory, NONE)
  closeWhenDone(writer)
  const jobs = await writer.createTopic('jobs')
  for (let count = 0; count < 10; count++) jobs.partition(0).append({ value: `${count}` })
  await commit(writer, 'a', 3)
  await writer.flush()
  const reader = await EventLog.open(directory, { readOnly: true })
  closeWhenDone(reader)
  return { directory, writer, reader }
}

async function commit(log: EventLog, id: string, offset: number): Promise<void> {
  const group = log.consumerGroup(id, { topics: ['jobs'] })
  await group.resetOffsets({ offsets: [{ topic: 'jobs', partition: 0, offset }] })
}

/** Resolves when the reader sees as many groups. */
async function sees(reader: EventLog, count: number): Promise<void> {
  const changed = reader.topic('__consumer_offsets').read({ live: true })
  for (; reader.consumerGroups().length !== count; await changed.next());
  await changed.return?.()
}

describe('groups of a log that another process writes', () => {
  it('are described from what they committed, and followed', async () => {
    const { writer, reader } = await followed()
    const group = reader.consumerGroup('a')
    const position = { topic: 'jobs', partition: 0, offset: 3, leaderEpoch: 0 }
    expect(group.describe()).toEqual({
      id: 'a',
      kind: 'consumer',
      state: 'Empty',
      members: [],
      committed: [position],
      lag: { total: 7, partitions: [{ topic: 'jobs', partition: 0, lag: 7 }] },
    })
    expect([group.offsets(), group.lag().total]).toEqual([[position], 7])
    await commit(writer, 'b', 8)
    await sees(reader, 2)
    expect(reader.consumerGroups().map(({ id, lag }) => [id, lag.total])).toEqual([
      ['a', 7],
      ['b', 2],
    ])
    await writer.consumerGroup('a').delete()
    await sees(reader, 1)
    expect(reader.consumerGroup('a').describe().state).toBe('Dead')
  })

  it('have no members here, though they have in the process that writes', async () => {
    const { writer, reader } = await followed()
    const consumer = await writer.consumerGroup('a', { topics: ['jobs'] }).join()
    expect(writer.consumerGroup('a').describe().members).toHaveLength(1)
    expect(reader.consumerGroup('a').describe().members).toEqual([])
    await consumer.leave()
  })

  it('can be neither joined nor changed', async () => {
    const { reader } = await followed()
    const group = reader.consumerGroup('a', { topics: ['jobs'] })
    expect(group.lag().total).toBe(7)
    const running = group.run(() => undefined)
    const refused = [
      group.join(),
      running.ready,
      running.done,
      group.resetOffsets('earliest'),
      group.resetOffsets('earliest', { dryRun: true }),
      group.delete(),
    ]
    const codes = await Promise.all(refused.map(async (call) => (await rejection(call)).code))
    expect(new Set(codes)).toEqual(new Set(['READ_ONLY']))
  })

  it('are gone with the log that was closed', async () => {
    const { reader } = await followed()
    const group = reader.consumerGroup('a')
    await reader.close()
    expect(() => group.describe()).toThrow('closed')
    expect(() => reader.consumerGroups()).toThrow('closed')
  })
})
