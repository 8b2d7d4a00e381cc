/** Bounds of segments' timestamps, beside a list that is searched from the start. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { TimestampBounds } from '../../src/log/timestamp-bounds.ts'

const anIndex = fc.nat({ max: 40 })
const aTime = fc.integer({ min: -1, max: 20 })
const aStep = fc.oneof(
  fc.record({ does: fc.constant('add' as const) }),
  fc.record({ does: fc.constant('set' as const), index: anIndex, time: aTime }),
  fc.record({ does: fc.constant('forget' as const), index: anIndex }),
)

it('the first bound from a segment on that reaches a time is found, as in a list', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(aStep, { maxLength: 60 }),
      (count, steps) => {
        const list: number[] = Array.from({ length: count }, () => Infinity)
        const bounds = new TimestampBounds(count)
        for (const step of steps) {
          if (step.does === 'add') {
            bounds.add()
            list.push(Infinity)
          } else if (step.index < list.length) {
            const bound = step.does === 'set' ? step.time : Infinity
            bounds.set(step.index, bound)
            list[step.index] = bound
          }
        }
        for (let from = 0; from <= list.length; from += 1) {
          for (const time of [0, 7, 19, 21]) {
            const found = list.findIndex((bound, index) => index >= from && bound >= time)
            expect(bounds.firstSince(from, time)).toBe(found < 0 ? list.length : found)
          }
        }
      },
    ),
  )
})
