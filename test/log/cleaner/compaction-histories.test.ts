/**
 * Random histories of a compacted partition: puts, tombstones, records without a key, producers,
 * transactions, all codecs, compacted again and again as time passes, stopped, opened anew.
 */
import { describe, it } from 'vitest'
import { budget } from '../../support/budget.ts'
import { historySeed } from '../../support/seeded-random.ts'
import { CompactionHistory } from './compaction-history.ts'

/** A hundred and more at night. */
const HISTORIES = Math.ceil(budget.propertyRuns / 6)

describe('a random history', () => {
  for (let history = 0; history < HISTORIES; history++) {
    const seed = historySeed * 1_000 + history
    it(`holds what it has to after every step: seed ${seed}`, async () => {
      const run = await CompactionHistory.begin(seed)
      await run.run(60)
    })
  }
})
