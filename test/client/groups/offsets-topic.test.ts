/**
 * The topic that positions are kept in, as users meet it: they may read it, and nothing else; how
 * many partitions it has and when its positions expire are theirs to say.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { MemoryLogOptions } from '../../../src/client/log-options.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { LOG_KINDS, openLog, type LogKind } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

const OFFSETS = '__consumer_offsets'
const TRANSACTIONS = '__transaction_state'

/** A log where the group `g` is at the end of the topic `t`. */
async function logWithGroup(kind: LogKind, options?: MemoryLogOptions): Promise<EventLog> {
  const log = await openLog(kind, options)
  const topic = await log.createTopic('t', { partitions: 2 })
  topic.partition(0).append([{ value: 'a' }, { value: 'b' }])
  await log.consumerGroup('g', { topics: ['t'] }).resetOffsets('latest')
  return log
}

/** A run of housekeeping with nothing to delete is over. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn()
}

describe.each(LOG_KINDS)('the topic of positions of a log on %s', (kind) => {
  it('is no topic before a group needs it, and then none that is listed', async () => {
    const log = await openLog(kind)
    expect(refusal(() => log.topic(OFFSETS)).code).toBe('TOPIC_NOT_FOUND')
    await log.createTopic('t')
    await log.consumerGroup('g', { topics: ['t'] }).resetOffsets('latest')
    expect(log.topics().map(({ name }) => name)).toEqual(['t'])
    expect(log.describe().topics.map(({ name }) => name)).toEqual(['t'])
    expect(refusal(() => log.topic(TRANSACTIONS)).code).toBe('TOPIC_NOT_FOUND')
  })

  it('is read by its name', async () => {
    const log = await logWithGroup(kind)
    const [first] = [...log.topic(OFFSETS).partition(0).records()]
    expect(first?.key?.toString('hex')).toBe('000100016700017400000000')
    expect(first?.value?.readBigInt64BE(2)).toBe(2n)
    expect(log.topic(OFFSETS).config.cleanupPolicy).toBe('compact')
  })

  it.each<[string, (log: EventLog) => unknown]>([
    ['appended to', (log) => log.topic(OFFSETS).partition(0).append({ key: 'k', value: 'v' })],
    ['sent to', (log) => log.topic(OFFSETS).send({ key: 'k', value: 'v' })],
    ['sent to by a producer', (log) => log.producer().send({ topic: OFFSETS, value: 'v' })],
    ['enqueued to', (log) => log.producer().enqueue({ topic: OFFSETS, value: 'v' })],
    ['deleted', (log) => log.deleteTopic(OFFSETS)],
    ['deleted by its handle', (log) => log.deleteTopic(log.topic(OFFSETS))],
    ['given other settings', (log) => log.topic(OFFSETS).alterConfig({ retentionMs: 1 })],
    ['given partitions', (log) => log.topic(OFFSETS).addPartitions(2)],
    ['cut at its start', (log) => log.topic(OFFSETS).partition(0).deleteRecords(1)],
    ['ensured', (log) => log.ensureTopic(OFFSETS)],
    ['created', (log) => log.createTopic(OFFSETS)],
    ['created, of transactions,', (log) => log.createTopic(TRANSACTIONS)],
  ])('is not %s by its users', async (_, call) => {
    const log = await logWithGroup(kind)
    const refused = rejection(Promise.resolve().then(() => call(log)))
    expect((await refused).code).toBe('INVALID_ARGUMENT')
    expect(log.consumerGroup('g').offsets()).toHaveLength(2)
  })

  it('has as many partitions as the log was told, when it is made', async () => {
    const log = await logWithGroup(kind, { offsetsTopicNumPartitions: 3 })
    expect(log.topic(OFFSETS).partitions).toHaveLength(3)
    const usual = await logWithGroup(kind)
    expect(usual.topic(OFFSETS).partitions).toHaveLength(1)
    for (const wrong of [0, -1, 1.5, 100_001, '1']) {
      const options = { offsetsTopicNumPartitions: wrong as number } // as JavaScript
      const refused = await rejection(Promise.resolve().then(() => openLog(kind, options)))
      expect(refused.details).toMatchObject({ option: 'offsetsTopicNumPartitions' })
    }
  })

  it('lets positions of a group without members expire where it was told to', async () => {
    const clock = new FakeClock()
    const options = { clock, offsetsRetentionMs: 10_000, housekeepingIntervalMs: 1_000 }
    const log = await logWithGroup(kind, options)
    const busy = log.consumerGroup('busy', { topics: ['t'] })
    await busy.resetOffsets('latest')
    const member = await busy.join()
    clock.advance(9_999)
    await someTurns()
    expect(log.consumerGroups().map(({ id }) => id)).toEqual(['busy', 'g'])
    clock.advance(1_001)
    await someTurns()
    expect(log.consumerGroups().map(({ id }) => id)).toEqual(['busy'])
    await member.leave()
    clock.advance(11_000)
    await someTurns()
    expect(log.consumerGroups()).toEqual([])
    await log.close()
    expect(clock.timerCount).toBe(0)
  })

  it('keeps positions for ever by default', async () => {
    const clock = new FakeClock()
    const log = await logWithGroup(kind, { clock })
    clock.advance(1_000_000_000)
    await nextTurn()
    expect(log.consumerGroup('g').offsets()).toHaveLength(2)
  })
})
