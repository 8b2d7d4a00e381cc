/** How far a user is: what is next to commit, beside seeks, transactions and gaps. */
import { describe, expect, it } from 'vitest'
import { HandledPlace } from '../../../src/client/groups/handled-place.ts'

/** A place at 5, and what became unwritten since. */
function placeAtFive(): { readonly place: HandledPlace; readonly unwritten: number[] } {
  const unwritten: number[] = []
  const place = new HandledPlace(() => void unwritten.push(place.handled))
  place.startAt(5)
  return { place, unwritten }
}

describe('a handled place', () => {
  it('moves with an ask that comes behind what was handed over, and is written then', () => {
    const { place, unwritten } = placeAtFive()
    place.askedAt(5)
    expect(unwritten).toEqual([])
    place.askedAt(6)
    expect([place.handled, unwritten]).toEqual([6, [6]])
  })

  it('moves with a seek, at once or with the next ask', () => {
    const { place, unwritten } = placeAtFive()
    place.sought(2, false)
    place.sought(9, true)
    expect([place.handled, unwritten]).toEqual([2, [2]])
    place.askedAt(9)
    expect([place.handled, unwritten]).toEqual([9, [2, 9]])
  })

  it('counts a seek to where it is as the others, once more is asked for', () => {
    const { place, unwritten } = placeAtFive()
    place.sought(5, true)
    expect(place.beginsAgainAt).toBeUndefined()
    place.askedAt(5)
    expect([place.beginsAgainAt, unwritten]).toEqual([5, [5]])
  })

  it('is nobody’s to commit by itself where it was covered before a seek, until the next ask', () => {
    const { place } = placeAtFive()
    place.askedAt(6)
    place.cover(6)
    place.sought(0, true)
    expect([place.handled, place.isCovered]).toEqual([6, true])
    place.askedAt(0)
    expect([place.handled, place.isCovered]).toEqual([0, false])
  })

  it('is not written behind a place that was sought and covered since', () => {
    const { place, unwritten } = placeAtFive()
    place.askedAt(8)
    place.sought(6, true)
    place.cover(6)
    place.coveredEnded(6, 'committed')
    expect([place.isCovered, unwritten]).toEqual([true, [8]])
  })

  it('is written again where a transaction that covers less is committed after it', () => {
    const { place, unwritten } = placeAtFive()
    place.cover(6)
    place.askedAt(8)
    place.coveredEnded(6, 'aborted')
    expect(unwritten).toEqual([8])
    place.coveredEnded(6, 'committed')
    expect(unwritten).toEqual([8, 8])
  })

  it('begins again behind what the user committed', () => {
    const { place } = placeAtFive()
    place.committed(7)
    expect([place.handled, place.beginsAgainAt]).toEqual([5, 7])
  })

  it('passes a gap that begins at it, unless something is in hand', () => {
    const { place } = placeAtFive()
    place.passGap(5, 7, true)
    expect(place.handled).toBe(5)
    place.askedAt(5)
    expect(place.handled).toBe(5)
    place.askedAt(7)
    place.passGap(7, 9, false)
    expect(place.handled).toBe(9)
  })
})
