/**
 * What may be committed while records are finished in any order, against a plain list of them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HandledPrefix } from '../../../src/client/groups/handled-prefix.ts'

describe('the handled prefix', () => {
  it('stands at the lowest record that is not finished', () => {
    const prefix = new HandledPrefix(10)
    const [a, b, c] = [prefix.open(10), prefix.open(11), prefix.open(13)]
    expect(prefix.position).toBe(10)
    expect(prefix.finish(b)).toBe(false)
    expect(prefix.position).toBe(10)
    expect(prefix.finish(a)).toBe(true)
    expect(prefix.position).toBe(13)
    expect(prefix.finish(c)).toBe(true)
    expect(prefix.position).toBe(14)
  })

  it('passes a gap behind the last record of a take', () => {
    const prefix = new HandledPrefix(0)
    const a = prefix.open(0)
    prefix.takenUpTo(8)
    prefix.finish(a)
    expect(prefix.position).toBe(8)
  })

  it('keeps nothing of what is finished behind a record that stays open', () => {
    const prefix = new HandledPrefix(0)
    prefix.open(0)
    for (let offset = 1; offset < 1_000; offset += 1) prefix.finish(prefix.open(offset))
    expect(prefix.openCount).toBe(1)
    expect(prefix.position).toBe(0)
  })

  it('is that of a list of all records, in whatever order they are finished', () => {
    const steps = fc.array(fc.record({ open: fc.boolean(), skip: fc.nat(2), pick: fc.nat(50) }))
    fc.assert(
      fc.property(steps, (history) => {
        const prefix = new HandledPrefix(0)
        const open = new Map<number, ReturnType<HandledPrefix['open']>>()
        let end = 0
        for (const step of history) {
          const before = prefix.position
          if (step.open || open.size === 0) {
            const offset = end + step.skip
            open.set(offset, prefix.open(offset))
            end = offset + 1
          } else {
            const offsets = [...open.keys()]
            const offset = offsets[step.pick % offsets.length] ?? 0
            const record = open.get(offset)
            open.delete(offset)
            if (record === undefined) throw new Error('every key has a record')
            const hasMoved = prefix.finish(record)
            expect(hasMoved).toBe(prefix.position > before)
          }
          expect(prefix.position).toBe(Math.min(end, ...open.keys()))
          expect(prefix.openCount).toBe(open.size)
        }
      }),
    )
  })
})
