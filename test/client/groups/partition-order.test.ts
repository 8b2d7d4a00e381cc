/**
 * Records of a partition in their order: attempts, revocations and losses, with a fake member.
 */
import { describe, expect, it } from 'vitest'
import { rejection } from '../refusal.ts'
import { HeldHandler, RunFixture, settle } from './run-fixture.ts'

describe('a run in the order of its partitions', () => {
  it('handles one record at a time unless it is told otherwise', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle)
    group.append(0, 'a')
    group.append(1, 'b')
    await settle()
    expect(handler.held).toEqual(['a'])
    await handler.finish('a')
    expect(handler.held).toEqual(['b'])
  })

  it('handles as many partitions at once as it is told, each in its order', async () => {
    const group = await RunFixture.open(3)
    const handler = new HeldHandler()
    group.run(handler.handle, { concurrency: 2 })
    group.append(0, 'a0', 'a1')
    group.append(1, 'b0', 'b1')
    group.append(2, 'c0')
    await settle()
    expect(handler.held).toEqual(['a0', 'b0'])
    await handler.finish('b0')
    expect(handler.held).toEqual(['a0', 'b1'])
    expect(group.feed.committed).toEqual([0, 1, 0])
    await handler.finish('b1')
    expect(handler.held).toEqual(['a0', 'c0'])
  })

  it('takes no more than its handlers have a use for', async () => {
    const group = await RunFixture.open(4)
    const handler = new HeldHandler()
    group.run(handler.handle, { concurrency: 2 })
    for (let partition = 0; partition < 4; partition += 1) group.append(partition, 'x')
    await settle()
    expect(group.feed.takeCount).toBe(2)
    expect(group.feed.out).toEqual([1, 1, 0, 0])
  })

  it('takes nothing more of a partition that is out, also when another handler is free', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { concurrency: 2 })
    group.append(0, 'a')
    await settle()
    group.append(0, 'b')
    await settle()
    expect(handler.held).toEqual(['a'])
    expect(group.feed.out).toEqual([1])
  })

  it('tries again after a backoff, with the number of the attempt', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { retries: 2, backoffMs: 10 })
    group.append(0, 'a', 'b')
    await settle()
    await handler.fail('a')
    group.clock.advance(9)
    await settle()
    expect(handler.called).toEqual(['a'])
    group.clock.advance(1)
    await settle()
    expect(handler.context('a').attempt).toBe(2)
    await handler.fail('a')
    group.clock.advance(20)
    await settle()
    expect(handler.context('a').attempt).toBe(3)
    await handler.finish('a')
    expect(handler.called).toEqual(['a', 'a', 'a', 'b'])
    expect(group.feed.committed).toEqual([1])
  })

  it('with 3 retries fails after the fourth attempt', async () => {
    const group = await RunFixture.open(1)
    const attempts: number[] = []
    const running = group.run(
      (_, { attempt }) => {
        attempts.push(attempt)
        throw new Error('never')
      },
      { retries: 3, backoffMs: () => 0 },
    )
    const failed = rejection(running.done)
    group.append(0, 'a')
    for (let turn = 0; turn < 4; turn += 1) {
      await settle()
      group.clock.advance(0)
    }
    expect((await failed).message).toContain('in 4 attempts')
    expect(attempts).toEqual([1, 2, 3, 4])
  })

  it('with endless retries goes on until it is handled', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(
      (_, { attempt }) => {
        if (attempt < 50) throw new Error('not yet')
      },
      { retries: Infinity, backoffMs: 1_000 },
    )
    group.append(0, 'a')
    for (let attempt = 1; attempt < 50; attempt += 1) {
      await settle()
      group.clock.advance(30_000)
    }
    await settle()
    expect(group.feed.committed).toEqual([1])
    await running.stop()
  })

  it('goes on with other partitions while a record waits for its next attempt', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle, { retries: 1, backoffMs: 10 })
    group.append(0, 'a0', 'a1')
    await settle()
    await handler.fail('a0')
    group.append(1, 'b0', 'b1')
    await settle()
    expect(handler.held).toEqual(['b0'])
    group.clock.advance(10)
    await settle()
    expect(handler.held).toEqual(['b0']) // The only handler is busy.
    await handler.finish('b0')
    expect(handler.held).toEqual(['a0']) // Its turn before that of anything new.
    await handler.finish('a0', 'b1', 'a1')
    expect(group.feed.committed).toEqual([2, 2])
  })

  it('tries again while it waits for records that do not come', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle, { retries: 1, backoffMs: 10 })
    group.append(0, 'a')
    await settle()
    await handler.fail('a')
    group.clock.advance(10)
    await settle()
    expect(handler.held).toEqual(['a'])
  })

  const failingBackoff = (): number => {
    throw new Error('backoffMs: no idea')
  }

  it.each([
    ['throws', failingBackoff],
    ['is no time', () => NaN],
  ])('fails where its backoff %s', async (_, backoffMs) => {
    const group = await RunFixture.open(1)
    const running = group.run(() => Promise.reject(new Error('boom')), { retries: 1, backoffMs })
    group.append(0, 'a')
    await expect(running.done).rejects.toThrow('backoffMs')
    expect(group.feed.committed).toEqual([0])
  })

  it('gives a revoked partition up once its handler is done, and begins nothing more of it', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    group.run(handler.handle, { concurrency: 2 })
    group.append(0, 'a0', 'a1')
    group.append(1, 'b0', 'b1')
    await settle()
    group.feed.revoke(0)
    await settle()
    expect(handler.context('a0').signal.aborted).toBe(false)
    expect(group.feed.out).toEqual([1, 1])
    await handler.finish('a0', 'b0')
    expect(group.feed.out).toEqual([0, 1])
    expect(group.feed.committed).toEqual([1, 1])
    expect(handler.called).toEqual(['a0', 'b0', 'b1'])
  })

  it('gives a revoked partition up at once while its record waits for a backoff', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle, { retries: 1 })
    group.append(0, 'a')
    await settle()
    await handler.fail('a')
    group.feed.revoke(0)
    await settle()
    expect(group.feed.out).toEqual([0])
    expect(group.feed.committed).toEqual([0])
    expect(group.clock.timerCount).toBe(0)
  })

  it('leaves what fails on a revoked partition to whoever gets it next', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    group.feed.revoke(0)
    await handler.fail('a')
    expect(group.feed.out).toEqual([0])
    await running.stop()
    await running.done // Not failed.
  })

  it('aborts the signal of a handler whose partition is lost, and commits nothing of it', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle)
    group.append(0, 'a', 'b')
    await settle()
    const { signal } = handler.context('a')
    expect(signal.aborted).toBe(false)
    group.feed.lose(0)
    expect(signal.aborted).toBe(true)
    await handler.finish('a')
    expect(group.feed.committed).toEqual([0])
    expect(handler.called).toEqual(['a'])
    group.feed.assign(0)
    await settle()
    expect(handler.called).toEqual(['a', 'a'])
    expect(handler.context('a').signal.aborted).toBe(false)
  })

  it('takes one at a time of a partition that came back while its old handler still runs', async () => {
    const group = await RunFixture.open(1)
    const ends: (() => void)[] = []
    const called: string[] = []
    group.run(
      ({ value }) => {
        called.push(String(value))
        return new Promise<void>((resolve) => ends.push(resolve))
      },
      { concurrency: 3 },
    )
    group.append(0, 'a')
    await settle()
    group.feed.lose(0)
    group.feed.assign(0)
    await settle()
    expect(called).toEqual(['a', 'a'])
    group.append(0, 'b')
    ends[0]?.()
    await settle()
    expect(called).toEqual(['a', 'a']) // The second one has the partition.
    ends[1]?.()
    await settle()
    expect(called).toEqual(['a', 'a', 'b'])
    expect(group.feed.committed).toEqual([1])
  })

  it('tells a handler that asks late that its partition is lost', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    group.feed.lose(0)
    expect(handler.context('a').signal.aborted).toBe(true)
  })

  it('says for what it waits: handlers, and time', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    const running = group.run(handler.handle, { retries: 1, concurrency: 2 })
    expect(running.waiting()).toEqual({ forHandlers: [], forBackoff: [] })
    group.append(0, 'a')
    group.append(1, 'b')
    await settle()
    await handler.fail('a')
    expect(running.waiting()).toEqual({
      forHandlers: ['orders-1 of group g'],
      forBackoff: ['orders-0 of group g'],
    })
  })
})
