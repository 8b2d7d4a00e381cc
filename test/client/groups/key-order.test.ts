/**
 * Records of one key in their order, those of different keys at once: against random ends of the
 * handlers.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldHandler, RunFixture, settle } from './run-fixture.ts'

describe('a run in the order of keys', () => {
  it('handles different keys of one partition at once, each in its order', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 10 })
    group.append(0, 'x=x0', 'y=y0', 'x=x1', 'z=z0')
    await settle()
    expect(handler.held).toEqual(['x0', 'y0', 'z0'])
    await handler.finish('x0')
    expect(handler.held).toEqual(['y0', 'z0', 'x1'])
  })

  it('waits for nobody with a record without a key', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 10 })
    group.append(0, 'a', 'b', 'c')
    await settle()
    expect(handler.held).toEqual(['a', 'b', 'c'])
  })

  it('runs no more handlers than it is told', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 2 })
    group.append(0, 'a', 'b', 'c')
    group.append(1, 'd')
    await settle()
    expect(handler.held).toEqual(['a', 'b'])
    await handler.finish('b')
    expect(handler.held).toEqual(['a', 'c'])
  })

  it('commits the contiguous prefix of what was finished in any order', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 10 })
    group.append(0, 'a', 'b', 'c', 'd')
    await settle()
    await handler.finish('b', 'c')
    expect(group.feed.committed).toEqual([0])
    await handler.finish('a')
    expect(group.feed.committed).toEqual([3])
    await handler.finish('d')
    expect(group.feed.committed).toEqual([4])
    expect(group.feed.out).toEqual([0])
  })

  it('commits across takes, also when the later one was finished first', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 10 })
    group.append(0, 'a')
    await settle()
    group.append(0, 'b')
    await settle()
    await handler.finish('b')
    expect(group.feed.out).toEqual([1])
    await handler.finish('a')
    expect(group.feed.committed).toEqual([2])
    expect(group.feed.out).toEqual([0])
  })

  it('goes on with other keys while one waits for its next attempt', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', retries: 1, backoffMs: 10 })
    group.append(0, 'x=x0', 'x=x1', 'y=y0')
    await settle()
    await handler.fail('x0')
    expect(handler.held).toEqual(['y0'])
    await handler.finish('y0')
    group.append(0, 'y=y1')
    await settle()
    expect(handler.held).toEqual(['y1'])
    await handler.finish('y1')
    expect(group.feed.committed).toEqual([0])
    group.clock.advance(10)
    await settle()
    expect(handler.held).toEqual(['x0'])
    await handler.finish('x0', 'x1')
    expect(group.feed.committed).toEqual([4])
  })

  it('holds a bounded number of records behind a key that waits for ever', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 2 })
    group.append(0, ...Array.from({ length: 3_000 }, (_, index) => `x=x${index}`))
    await settle()
    group.append(1, 'y=y0')
    await settle()
    expect(handler.held).toEqual(['x0', 'y0']) // The other partition goes on.
    expect(group.feed.takeCount).toBe(3)
    await handler.finish('y0')
    expect(group.feed.takeCount).toBe(3)
    for (let index = 0; index < 600; index += 1) await handler.finish(`x${index}`)
    expect(group.feed.takeCount).toBeGreaterThan(3)
  })

  it('gives a revoked partition up once its handlers are done', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 2, retries: 1 })
    group.append(0, 'a', 'b', 'c')
    await settle()
    group.feed.revoke(0)
    await handler.fail('b')
    expect(group.feed.out).toEqual([1])
    await handler.finish('a')
    expect(group.feed.out).toEqual([0])
    expect(group.feed.committed).toEqual([1])
    expect(handler.called).toEqual(['a', 'b'])
  })

  it('begins a partition anew that it lost and got again', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { orderedBy: 'key', concurrency: 2 })
    group.append(0, 'x=x0', 'x=x1')
    await settle()
    const { signal } = handler.context('x0')
    expect(signal.aborted).toBe(false)
    group.feed.lose(0)
    expect(signal.aborted).toBe(true)
    await handler.finish('x0')
    expect(group.feed.committed).toEqual([0])
    group.feed.assign(0)
    await settle()
    expect(handler.called).toEqual(['x0', 'x0'])
    await handler.finish('x0', 'x1')
    expect(group.feed.committed).toEqual([2])
  })

  it('abandons all of it at the deadline of a stop', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle, { orderedBy: 'key', concurrency: 2 })
    group.append(0, 'a', 'b', 'c')
    await settle()
    await handler.finish('a')
    const stopped = running.stop({ timeoutMs: 5 })
    group.clock.advance(5)
    await stopped
    expect(group.feed.committed).toEqual([1])
    expect(group.feed.out).toEqual([0])
  })

  it('keeps order, bound and prefix in whatever order handlers end', async () => {
    const records = fc.array(fc.constantFrom('x', 'y', 'z', null), { minLength: 1, maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(
        records,
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(99), { minLength: 8, maxLength: 60 }),
        async (keys, concurrency, picks) => {
          const group = await RunFixture.open(1)
          const handler = new HeldHandler()
          const running = group.run(handler.handle, { orderedBy: 'key', concurrency, retries: 1 })
          const values = keys.map((key, index) => (key === null ? `${index}` : `${key}=${index}`))
          group.append(0, ...values.slice(0, 10))
          group.append(0, ...values.slice(10))
          await settle()
          const finished = new Set<number>()
          let turn = 0
          while (finished.size < keys.length) {
            const { held } = handler
            expect(held.length).toBeLessThanOrEqual(concurrency)
            const heldKeys = held.map((value) => keys[Number(value)]).filter((key) => key !== null)
            expect(new Set(heldKeys).size).toBe(heldKeys.length)
            const pick = picks[turn % picks.length] ?? 0
            turn += 1
            const value = held[pick % held.length] ?? ''
            if (pick < 20 && handler.context(value).attempt === 1) {
              await handler.fail(value)
              group.clock.advance(100)
              await settle()
            } else {
              await handler.finish(value)
              finished.add(Number(value))
            }
            const prefix = keys.findIndex((_, index) => !finished.has(index))
            expect(group.feed.committed).toEqual([prefix === -1 ? keys.length : prefix])
          }
          for (const key of ['x', 'y', 'z']) {
            const order = handler.called.map(Number).filter((index) => keys[index] === key)
            expect(order).toEqual(order.toSorted((a, b) => a - b))
          }
          await running.stop()
        },
      ),
      { numRuns: 30 },
    )
  })
})
