/** Crashes at every call: a kill at each, and every way in which the power goes, by turns. */
import { describe, expect, it } from 'vitest'
import type { Procedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { endsOfTurn, everyCrash, STATES_A_CALL } from './every-crash.ts'

const CALLS = 7

function* nothing(): Procedure<void> {}

function* directories(driver: StorageDriver): Procedure<void> {
  for (let call = 0; call < CALLS; call++) yield async () => driver.createDirectory(`d${call}`)
}

describe('everyCrash', () => {
  it('stops at each call and at the end, as often as is said, by a kill among others', async () => {
    const kinds = new Map<number, string[]>()
    for await (const { kind, stoppedAt } of everyCrash(nothing, directories)) {
      kinds.set(stoppedAt, [...(kinds.get(stoppedAt) ?? []), kind])
    }
    expect([...kinds.keys()]).toEqual([0, 1, 2, 3, 4, 5, 6, Number.POSITIVE_INFINITY])
    for (const some of kinds.values()) {
      expect(some[0]).toBe('kill')
      expect(new Set(some).size).toBe(STATES_A_CALL)
    }
    expect(new Set([...kinds.values()].flat()).size).toBe(6)
  })
})

describe('endsOfTurn', () => {
  it('comes to every way in as many turns as there are', () => {
    const ways = ['kill', 'a', 'b', 'c'] as const
    const tried = [0, 1, 2].flatMap((turn) => endsOfTurn(ways, turn, 2))
    expect(new Set(tried)).toEqual(new Set(ways))
  })
})
