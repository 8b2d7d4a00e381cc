/**
 * What moves positions beside transactions: automatic commits, of what no transaction covers when
 * its user asks for more or leaves.
 */
import { describe, expect, it } from 'vitest'
import { LOG_KINDS } from '../open-log.ts'
import { committedIn, groupLog, offsetsOf } from './group-log.ts'

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
