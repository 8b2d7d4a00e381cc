/**
 * What readers see of transactions, whatever way they read: random histories of many producers,
 * each read while it is made, held against what each reader is to be shown at that moment.
 */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { Partition } from '../../src/client/partition.ts'
import { PartitionLog } from '../../src/log/partition-log.ts'
import { appendAs, appendMarker } from '../log/transactional-batches.ts'
import { budget } from '../support/budget.ts'
import { IsolationWorld } from './isolation-world.ts'
import { READ_KINDS, nextOf, openLog } from './open-log.ts'

const STEPS = 150

describe.each(READ_KINDS)('readers of a log on %s', (kind) => {
  it('see committed transactions whole and in order, or all records, and never a marker', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0 }), async (seed) => {
        const log = await openLog(kind)
        const world = await IsolationWorld.open(log, seed)
        for (let done = 0; done < STEPS; done += 1) await world.step()
        await world.finish()
        expect(log.isOpen).toBe(true)
        await log.close()
      }),
      { numRuns: Math.ceil(budget.propertyRuns / 10) },
    )
  })
})

describe('a live read of what is committed', () => {
  it('ends at the time that it was to end at, though the record of then was aborted', async () => {
    const log = await openLog('memory')
    const made = vi.spyOn(Partition, 'of')
    const partition = (await log.createTopic('t')).partition(0)
    const [, , partitionLog] = made.mock.calls[0] ?? []
    made.mockRestore()
    if (!(partitionLog instanceof PartitionLog)) throw new Error('a handle is made of a partition')
    const append = (producerId: number, timestamp: number): void => {
      const producer = { producerId, transactional: producerId >= 0 }
      appendAs(partitionLog, producer, [{ timestamp, value: String(timestamp) }])
    }
    const isolation = 'read_committed'
    const options = { isolation, to: { timestamp: 500 }, live: true } as const
    const early = partition.read(options)
    append(-1, 100)
    expect((await nextOf(early))?.offset).toBe(0)
    const end = early.next()
    append(7, 400)
    append(7, 500)
    appendMarker(partitionLog, 7, 'abort')
    append(-1, 300)
    // As a read that begins now, and leaves what is behind it to one that begins at this time.
    expect(await end).toEqual({ done: true, value: undefined })
    const now = [...partition.records({ isolation, to: { timestamp: 500 } })]
    expect(now.map(({ offset }) => offset)).toEqual([0])
    const rest = [...partition.records({ isolation, from: { timestamp: 500 } })]
    expect(rest.map(({ offset }) => offset)).toEqual([4])
  })
})
