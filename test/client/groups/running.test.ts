/**
 * The life of a run, from the first join to the last leave, with fake members.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../../src/errors/log-error.ts'
import { rejection } from '../refusal.ts'
import { HeldHandler, RunFixture, settle } from './run-fixture.ts'

describe('a run', () => {
  it('calls its handler with each record and commits what it finished', async () => {
    const group = await RunFixture.open(1)
    const seen: string[] = []
    const running = group.run((record) => void seen.push(String(record.value)))
    await running.ready
    group.append(0, 'a', 'b')
    await settle()
    group.append(0, 'c')
    await settle()
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(group.feed.committed).toEqual([3])
    await running.stop()
    await running.done
    expect(group.feed.hasLeft).toBe(true)
  })

  it('tells the handler its member, its group and its attempt', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    const ctx = handler.context('a')
    expect(ctx).toMatchObject({ memberId: 'm-1', attempt: 1 })
    expect(ctx.group).toBe(group.group)
    expect(ctx.signal.aborted).toBe(false)
  })

  it('is ready when every member joined and is positioned', async () => {
    const group = await RunFixture.open(1)
    let position = (): void => undefined
    group.joins = async () => {
      const feed = group.newFeed()
      if (group.feeds.length === 2) {
        feed.readyWhen = new Promise((resolve) => {
          position = resolve
        })
      }
      return feed
    }
    let isReady = false
    const running = group.run(() => undefined, { members: 2 })
    void running.ready.then(() => {
      isReady = true
    })
    await settle()
    expect(group.feeds).toHaveLength(2)
    expect(isReady).toBe(false)
    position()
    await running.ready
  })

  it('fails where a member cannot join', async () => {
    const group = await RunFixture.open(1)
    const refused = new LogError('TOPIC_NOT_FOUND', 'no such topic', {})
    group.joins = () => Promise.reject(refused)
    const running = group.run(() => undefined)
    await expect(running.ready).rejects.toBe(refused)
    await expect(running.done).rejects.toBe(refused)
    expect(group.runs.size).toBe(0)
  })

  it('fails with what its feed fails with, after its other members left', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(() => undefined, { members: 2 })
    await running.ready
    const damage = new LogError('NO_OFFSET', 'nothing committed', {})
    group.feed.fail(damage)
    await expect(running.done).rejects.toBe(damage)
    expect(group.feeds.map(({ hasLeft }) => hasLeft)).toEqual([true, true])
  })

  it('is done when the log closes under it', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(() => undefined)
    await running.ready
    await group.feed.leave()
    await running.done
    expect(group.runs.size).toBe(0)
  })
})

describe('a handler that fails', () => {
  it('without a dead-letter topic ends the run, with its error as cause', async () => {
    const group = await RunFixture.open(2)
    const boom = new Error('boom')
    const running = group.run((record) => {
      if (String(record.value) === 'b') throw boom
    })
    group.append(0, 'a', 'b', 'c')
    const error = await rejection(running.done)
    expect(error.code).toBe('INVALID_RECORD')
    expect(error.cause).toBe(boom)
    expect(error.details).toEqual({ issues: [{ message: 'boom', path: ['orders', 0, 1] }] })
    expect(group.feed.committed).toEqual([1, 0])
    expect(group.feed.out).toEqual([0, 0])
    await running.stop() // Resolves: there is nothing left to stop.
  })

  it.each([
    ['undefined', undefined],
    ['an object that has no text', Object.create(null)],
  ])('may throw anything: %s', async (_, thrown: unknown) => {
    const group = await RunFixture.open(1)
    const running = group.run(() => Promise.reject(thrown))
    group.append(0, 'a')
    const error = await rejection(running.done)
    expect(error.cause).toBe(thrown)
  })

  it('lets the handlers beside it finish, and commits what they did', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    const running = group.run(handler.handle, { concurrency: 2 })
    group.append(0, 'a')
    group.append(1, 'b', 'c')
    await settle()
    const failed = rejection(running.done)
    await handler.fail('a')
    await handler.finish('b')
    await failed
    expect(handler.called).toEqual(['a', 'b'])
    expect(group.feed.committed).toEqual([0, 1])
  })

  it('is heard of from the process where nobody waits for `done`', async () => {
    const heard: unknown[] = []
    const listeners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (error) => heard.push(error))
    try {
      const group = await RunFixture.open(1)
      group.run(() => {
        throw new Error('boom')
      })
      group.append(0, 'a')
      await settle()
    } finally {
      process.removeAllListeners('unhandledRejection')
      for (const listener of listeners) process.on('unhandledRejection', listener)
    }
    expect(heard).toHaveLength(1)
  })
})

describe('stopping a run', () => {
  it('waits for the handlers, begins no other record, and commits what they finished', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle)
    group.append(0, 'a', 'b')
    await settle()
    const stopped = running.stop()
    await settle()
    expect(handler.context('a').signal.aborted).toBe(false)
    expect(group.feed.hasLeft).toBe(false)
    await handler.finish('a')
    await stopped
    await running.done
    expect(handler.called).toEqual(['a'])
    expect(group.feed.committed).toEqual([1])
    expect(group.feed.out).toEqual([0])
  })

  it('abandons what is not done in time: its signal aborts, and it is not committed', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle)
    group.append(0, 'a', 'b')
    await settle()
    const ctx = handler.context('a')
    const stopped = running.stop({ timeoutMs: 500 })
    group.clock.advance(499)
    await settle()
    expect(ctx.signal.aborted).toBe(false)
    group.clock.advance(1)
    await stopped
    await running.done
    expect(ctx.signal.aborted).toBe(true)
    await handler.finish('a') // Too late.
    expect(group.feed.committed).toEqual([0])
    expect(group.feed.out).toEqual([0])
    expect(handler.called).toEqual(['a'])
    expect(group.clock.timerCount).toBe(0)
  })

  it('with no time at all abandons at once', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    await running.stop({ timeoutMs: 0 })
    expect(group.feed.hasLeft).toBe(true)
  })

  it('keeps the earliest of several deadlines', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const running = group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    const stopped = [running.stop({ timeoutMs: 1_000 }), running.stop({ timeoutMs: 10 })]
    void running.stop({ timeoutMs: 5_000 })
    group.clock.advance(10)
    await Promise.all(stopped)
  })

  it('does not wait for a backoff, nor fail for what fails meanwhile', async () => {
    const group = await RunFixture.open(2)
    const handler = new HeldHandler()
    const running = group.run(handler.handle, { retries: 1, concurrency: 2 })
    group.append(0, 'a')
    group.append(1, 'b')
    await settle()
    await handler.fail('a')
    const stopped = running.stop()
    await handler.fail('b')
    await stopped
    await running.done
    expect(handler.called).toEqual(['a', 'b'])
    expect(group.feed.committed).toEqual([0, 0])
  })

  it('before it is ready rejects `ready`, and leaves what joins later', async () => {
    const group = await RunFixture.open(1)
    let join = (): void => undefined
    group.joins = () =>
      new Promise((resolve) => {
        join = () => resolve(group.newFeed())
      })
    const running = group.run(() => undefined)
    await settle()
    const stopped = running.stop({ timeoutMs: 10 })
    await settle()
    group.clock.advance(10)
    await stopped
    expect((await rejection(running.ready)).code).toBe('ABORTED')
    join()
    await settle()
    expect(group.feed.hasLeft).toBe(true)
  })

  it('says so where leaving fails: what was handled may not be committed', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(() => undefined)
    await running.ready
    group.feed.leaveError = new LogError('IO', 'the disk is gone', {})
    await running.stop()
    expect((await rejection(running.done)).code).toBe('IO')
  })

  it('refuses a time that cannot pass', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(() => undefined)
    expect((await rejection(running.stop({ timeoutMs: -1 }))).details).toMatchObject({ value: -1 })
  })

  it('by its signal aborts those of its handlers, and counts what they finish all the same', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    const controller = new AbortController()
    const running = group.run(handler.handle, { signal: controller.signal })
    group.append(0, 'a', 'b')
    await settle()
    const { signal } = handler.context('a')
    const reason = new Error('enough')
    controller.abort(reason)
    expect(signal.reason).toBe(reason)
    await handler.finish('a')
    await running.done
    expect(handler.called).toEqual(['a'])
    expect(group.feed.committed).toEqual([1])
  })

  it('by a signal that is aborted already joins nobody', async () => {
    const group = await RunFixture.open(1)
    const running = group.run(() => undefined, { signal: AbortSignal.abort() })
    await running.done
    expect(group.feeds).toEqual([])
  })
})
