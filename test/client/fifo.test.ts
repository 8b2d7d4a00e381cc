/** The queue of a producer is an array whose front advances: it must not matter to anybody. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Fifo } from '../../src/client/fifo.ts'

describe('a fifo', () => {
  it('gives items back in the order in which they came, as an array does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 20 }), (steps) => {
        const fifo = new Fifo<number>()
        const model: number[] = []
        let next = 0
        for (const step of steps) {
          for (let count = 0; count < step; count += 1) {
            fifo.push(next)
            model.push(next)
            next += 1
          }
          for (let count = 0; count > step; count -= 1) expect(fifo.shift()).toBe(model.shift())
          expect(fifo.isEmpty).toBe(model.length === 0)
          expect(fifo.peek()).toBe(model[0])
        }
      }),
    )
  })
})
