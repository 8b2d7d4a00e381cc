/**
 * What readers see of transactions, whatever way they read: random histories of many producers, each
 * read while it is made, held against what each reader is to be shown at that moment.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { IsolationWorld } from './isolation-world.ts'
import { LOG_KINDS, openLog } from './open-log.ts'

const STEPS = 150

describe.each(LOG_KINDS)('readers of a log on %s', (kind) => {
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
