/**
 * Tables against a Map, over random histories: appends, tombstones, transactions, deleted records,
 * compaction, kills and reopening. After each step the table that follows, and now and then a fresh
 * one, say what the Map says, and a listener that was told every change knows it.
 */
import { describe, it } from 'vitest'
import { TableWorld } from './table-world.ts'

describe('a table over a random history', () => {
  for (let seed = 1; seed <= 5; seed++) {
    it(`says what a Map says (seed ${seed})`, async () => {
      await new TableWorld(seed).run()
    })
  }
})
