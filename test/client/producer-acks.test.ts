/** When a send counts as done, and what it rejects with where the log cannot keep it. */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { DurablePrefix, PARTITION_UNSYNCED_BYTES } from '../../src/log/commit-barrier.ts'
import { ProducerLog, isSettled, settled } from './producer-log.ts'
import { rejection } from './refusal.ts'

describe("acks 'all'", () => {
  it('resolves once the record is synced, not before', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t')
    const sent = log.producer().send({ topic: 't' })
    expect(await isSettled(sent)).toBe(false)
    expect(topic.partitions[0]?.logEndOffset).toBe(1)
    disk.endFlushes()
    expect(await sent).toMatchObject({ offset: 0 })
    expect(topic.partitions[0]?.durableOffset).toBe(1)
  })

  it('lets sends that arrive during a sync share the next one', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer()
    const order: number[] = []
    const send = (): void => {
      void producer.send({ topic: 't' }).then(({ offset }) => order.push(offset))
    }
    send()
    await nextTurn()
    expect(disk.flushes).toHaveLength(1)
    send()
    await nextTurn()
    send()
    await nextTurn()
    expect(disk.flushes).toHaveLength(1)
    disk.endFlushes()
    await settled()
    expect(order).toEqual([0])
    expect(disk.flushes).toHaveLength(1)
    disk.endFlushes()
    await settled()
    expect(order).toEqual([0, 1, 2])
    expect(disk.flushes).toHaveLength(0)
  })

  it('rejects every send of a failed sync with an unknown outcome, later ones with READ_ONLY', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer()
    const cause = new Error('EIO')
    const sent = [producer.send({ topic: 't' }), producer.send({ topic: 't' })].map(rejection)
    producer.enqueue({ topic: 't' })
    await nextTurn()
    disk.flushes[0]?.fail(cause)
    for (const error of await Promise.all(sent)) {
      expect(error.code).toBe('IO')
      expect(error.details).toMatchObject({ outcome: 'unknown' })
      expect(error.cause).toBe(cause)
    }
    expect((await rejection(producer.flush())).details).toMatchObject({ outcome: 'unknown' })
    expect((await rejection(producer.send({ topic: 't' }))).code).toBe('READ_ONLY')
  })

  it('acknowledges what an earlier sync covered although a later one failed', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer()
    const first = producer.send({ topic: 't' })
    await nextTurn()
    const second = rejection(producer.send({ topic: 't' }))
    await nextTurn()
    disk.endFlushes()
    await first
    await settled()
    disk.flushes[0]?.fail(new Error('EIO'))
    expect((await second).code).toBe('IO')
  })

  it('of a log in memory takes one turn', async () => {
    const log = new ProducerLog()
    log.topic('t')
    const sent = log.producer().send({ topic: 't' })
    await nextTurn()
    expect(await sent).toMatchObject({ offset: 0 })
  })
})

describe('acks 1', () => {
  it('resolves once the record is written, without a sync', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    expect(await log.producer({ acks: 1 }).send({ topic: 't' })).toMatchObject({ offset: 0 })
    expect(disk.flushes).toHaveLength(0)
  })
})

describe('acks 0', () => {
  it('resolves at once, without an offset', async () => {
    const log = new ProducerLog()
    const topic = log.topic('t')
    const sent = log.producer({ acks: 0, lingerMs: 9 }).send({ topic: 't', timestamp: 4 })
    expect(await sent).toEqual({ topic: 't', partition: 0, offset: -1, timestamp: 4 })
    expect(topic.records()).toEqual([])
    log.clock.advance(9)
    expect(topic.records()).toHaveLength(1)
  })

  it('has flush wait for the append, and tell of its failure', async () => {
    const { log, disk } = ProducerLog.held()
    const topic = log.topic('t')
    const producer = log.producer({ acks: 0, lingerMs: 9 })
    await producer.send({ topic: 't' })
    await producer.flush()
    expect(topic.records()).toHaveLength(1)
    await producer.send({ topic: 't' })
    disk.writeFailure = 'ENOSPC'
    expect((await rejection(producer.flush())).code).toBe('NO_SPACE')
  })
})

describe('a failed append', () => {
  it('rejects the sends of its batch, and the next batch is tried', async () => {
    const { log, disk } = ProducerLog.held()
    disk.holds = false
    const topic = log.topic('t')
    const producer = log.producer()
    disk.writeFailure = 'ENOSPC'
    const lost = [producer.send({ topic: 't' }), producer.send({ topic: 't' })].map(rejection)
    for (const error of await Promise.all(lost)) expect(error.code).toBe('NO_SPACE')
    disk.writeFailure = undefined
    expect(await producer.send({ topic: 't', value: 'kept' })).toMatchObject({ offset: 0 })
    expect(topic.values()).toEqual(['kept'])
  })

  it('is told once where nobody waits: by flush, which then is done', async () => {
    const { log, disk } = ProducerLog.held()
    disk.holds = false
    log.topic('t')
    const producer = log.producer()
    disk.writeFailure = 'ENOSPC'
    producer.enqueue({ topic: 't' })
    const failed = rejection(producer.send({ topic: 't' }))
    expect((await rejection(producer.flush())).code).toBe('NO_SPACE')
    expect((await failed).code).toBe('NO_SPACE')
    await producer.flush()
    const seen = rejection(producer.send({ topic: 't' }))
    await producer.flush()
    await seen
  })

  it('leaves the sends of other partitions alone', async () => {
    const log = new ProducerLog()
    const other = log.topic('u')
    log.topic('t')
    const producer = log.producer()
    const lost = rejection(producer.send({ topic: 'u' }))
    const kept = producer.send({ topic: 't' })
    other.delete()
    expect((await lost).code).toBe('TOPIC_NOT_FOUND')
    expect(await kept).toMatchObject({ offset: 0 })
  })
})

/** Another partition, which makes the log hold more unsynced than it may; its sync is held. */
function loadElsewhere(log: ProducerLog): { readonly finish: () => void } {
  let finish = (): void => undefined
  const sync = (): Promise<void> => new Promise((resolve) => void (finish = resolve))
  const other = {
    logEndOffset: 1,
    flushMs: -1,
    beginRound: () => ({ targetOffset: 1, steps: [sync] }),
    roundDone: () => undefined,
    roundFailed: () => new LogError('IO', 'failed', {}),
  }
  new DurablePrefix(log.barrier, other, 0).appended(9 * PARTITION_UNSYNCED_BYTES)
  return { finish: () => finish() }
}

describe('a log with too much unsynced', () => {
  it('has batches of every partition wait for a sync, in order', async () => {
    const { log } = ProducerLog.held()
    const topic = log.topic('t')
    const producer = log.producer({ acks: 1 })
    const load = loadElsewhere(log)
    const first = producer.send({ topic: 't', value: '1' })
    await settled()
    const second = producer.send({ topic: 't', value: '2' })
    await settled()
    expect([await isSettled(first), topic.partitions[0]?.logEndOffset]).toEqual([false, 0])
    load.finish()
    expect(await first).toMatchObject({ offset: 0 })
    expect(await second).toMatchObject({ offset: 1 })
    expect(topic.values()).toEqual(['1', '2'])
  })

  it('syncs first who has had unsynced bytes for longest', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('idle')
    const producer = log.producer({ acks: 1 })
    await producer.send({ topic: 'idle', value: '1' })
    expect(disk.flushes).toEqual([])
    loadElsewhere(log)
    expect(disk.flushes.map(({ path }) => path)).toEqual(['idle-0/00000000000000000000.log'])
  })

  it('rejects with READ_ONLY what waits for a partition whose sync fails', async () => {
    const { log, disk } = ProducerLog.held()
    log.topic('t')
    const producer = log.producer({ acks: 1 })
    await producer.send({ topic: 't', value: '1' })
    loadElsewhere(log)
    const second = rejection(producer.send({ topic: 't', value: '2' }))
    await settled()
    disk.flushes[0]?.fail(new Error('EIO'))
    expect((await second).code).toBe('READ_ONLY')
  })

  it('lets go of what waits when the producer is abandoned', async () => {
    const { log } = ProducerLog.held()
    log.topic('t')
    const abort = new AbortController()
    const producer = log.producer({ acks: 1, signal: abort.signal })
    const load = loadElsewhere(log)
    const sent = rejection(producer.send({ topic: 't', value: '1' }))
    await settled()
    abort.abort()
    expect((await sent).code).toBe('ABORTED')
    load.finish()
    await producer.close()
  })
})
