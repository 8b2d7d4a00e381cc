/**
 * What moves positions beside transactions: automatic commits, of what no transaction covers when
 * its user asks for more or leaves.
 */
import { describe, expect, it } from 'vitest'
import { LOG_KINDS } from '../open-log.ts'
import { committedIn, groupLog, offsetsOf, take, tp } from './group-log.ts'

describe.each(LOG_KINDS)('a transaction on %s', (kind) => {
  it('over several asks keeps their records, where it covers each before the next one', async () => {
    const { log, clock } = await groupLog(kind, { records: 6 })
    const consumer = await log.consumerGroup('g', { topics: ['t'] }).join()
    const tx = await log.producer().begin()
    for (let asked = 0; asked < 3; asked += 1) {
      await consumer.poll({ max: 1 })
      tx.commitOffsets(consumer)
      clock.advance(1_000)
    }
    expect(committedIn(log)).toBeUndefined()
    await tx.abort()
    await consumer.leave()
    expect(committedIn(log)).toBeUndefined()
    const next = await log.consumerGroup('g', { topics: ['t'] }).join()
    expect(offsetsOf(await next.poll({ max: 2 }))).toEqual([0, 1])
  })

  it('that is aborted has its records come again, though its user sought elsewhere before', async () => {
    const { log, clock } = await groupLog(kind, { records: 3 })
    const consumer = await log.consumerGroup('g', { topics: ['t'] }).join()
    const { iterator } = await take(consumer, 1)
    const tx = await log.producer().begin()
    tx.commitOffsets(consumer)
    await iterator.next()
    consumer.seek(tp(), 0) // With record 1 in hand: it counts with the next ask.
    clock.advance(1_000)
    await tx.abort()
    await consumer.leave()
    expect(committedIn(log)).toBeUndefined()
  })

  it('commits the place that was sought, and what was handled before does not come after it', async () => {
    const { log, clock } = await groupLog(kind, { records: 5 })
    const consumer = await log.consumerGroup('g', { topics: ['t'] }).join()
    const { iterator } = await take(consumer, 4)
    consumer.seek(tp(), 1)
    await log.producer().transaction((tx) => tx.commitOffsets(consumer))
    clock.advance(1_000)
    expect(committedIn(log)).toBe(1)
    expect(await iterator.next()).toMatchObject({ value: { offset: 1 } })
    await iterator.next()
    clock.advance(1_000)
    expect(committedIn(log)).toBe(2)
    await consumer.leave()
  })

  it('is all that moves the positions of a group with autoCommit: false', async () => {
    const { log, clock } = await groupLog(kind, { records: 6 })
    const manual = log.consumerGroup('g', { topics: ['t'], autoCommit: false })
    const consumer = await manual.join()
    await consumer.poll({ max: 2 })
    await log.producer().transaction((tx) => tx.commitOffsets(consumer))
    await consumer.poll({ max: 1 })
    await expect(
      log.producer().transaction(() => Promise.reject(new Error('fails'))),
    ).rejects.toThrow('fails')
    await consumer.poll({ max: 1 })
    clock.advance(1_000)
    await consumer.leave()
    expect(committedIn(log)).toBe(2)
  })
})
