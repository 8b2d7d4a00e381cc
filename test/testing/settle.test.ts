/**
 * `settle` of a test log where consumer groups are at work: it waits for what goes on by itself,
 * and says who cannot.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RunOptions } from '../../src/client/group-types.ts'
import type { LogRecord } from '../../src/client/log-record.ts'
import { systemClock } from '../../src/log/clock.ts'
import { testLog, type TestLog } from '../../src/testing/test-log.ts'
import { rejection } from '../client/refusal.ts'

const TOPICS = { topics: ['t'] } as const

async function openTest(): Promise<TestLog> {
  const t = testLog()
  onTestFinished(() => t.log.close({ timeoutMs: 0 }).catch(() => undefined))
  await t.log.createTopic('t', { partitions: 2 })
  return t
}

/** A run whose handler is `handle`, with three records sent. */
async function running(
  t: TestLog,
  handle: (record: LogRecord) => void | Promise<unknown>,
  options?: RunOptions,
): Promise<void> {
  const run = t.log.consumerGroup('g', TOPICS).run(handle, options)
  run.done.catch(() => undefined) // Each test says what it expects of it.
  await t.log.topic('t').sendAll([1, 2, 3].map((n) => ({ key: `${n}`, value: `v${n}` })))
}

describe('settle', () => {
  it('waits until handlers have handled and committed everything', async () => {
    const t = await openTest()
    const seen: string[] = []
    await running(t, async ({ value }) => {
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve()
      seen.push(String(value))
    })
    await t.settle()
    expect(seen.toSorted()).toEqual(['v1', 'v2', 'v3'])
    expect(t.log.consumerGroup('g').lag().total).toBe(0)
    expect(
      t.log
        .consumerGroup('g')
        .offsets()
        .map(({ offset }) => offset),
    ).toHaveLength(2)
  })

  it('waits for what handlers send, and for the groups that handle that', async () => {
    const t = await openTest()
    await t.log.createTopic('out')
    const seen: string[] = []
    await running(t, ({ value }) => t.log.topic('out').send({ value }))
    t.log.consumerGroup('h', { topics: ['out'] }).run(({ value }) => void seen.push(String(value)))
    await t.settle()
    expect(seen.toSorted()).toEqual(['v1', 'v2', 'v3'])
  })

  it('waits for what handlers do outside of the log', async () => {
    const t = await openTest()
    let handled = 0
    await running(t, async () => {
      await new Promise<void>((resolve) => void systemClock.setTimeout(resolve, 5))
      handled += 1
    })
    await t.settle()
    expect(handled).toBe(3)
  })

  it('says whose handler does not end', async () => {
    const t = await openTest()
    await running(t, () => new Promise(() => undefined))
    const error = await rejection(t.settle())
    expect(error.code).toBe('TIMEOUT')
    expect(error.message).toMatch(/a handler still has a record of t-[01] of group g/)
  })

  it('says who waits for its next attempt, which comes with the clock', async () => {
    const t = await openTest()
    let isOpen = false
    const seen: string[] = []
    await running(
      t,
      ({ value }) => {
        if (!isOpen) throw new Error('not yet')
        seen.push(String(value))
      },
      { retries: 5, backoffMs: 1_000 },
    )
    const error = await rejection(t.settle())
    expect(error.message).toMatch(/a record of t-[01] of group g waits for its next attempt/)
    isOpen = true
    await t.clock.advance(1_000)
    await t.settle()
    expect(seen).toHaveLength(3)
  })

  it('says which group cannot move a partition that somebody holds', async () => {
    const t = await openTest()
    t.log
      .topic('t')
      .partition(0)
      .append([{ value: 'a' }])
    t.log
      .topic('t')
      .partition(1)
      .append([{ value: 'b' }])
    const group = t.log.consumerGroup('g', TOPICS)
    const first = await group.join()
    expect(await first.poll()).toHaveLength(2)
    const second = group.join()
    expect((await rejection(t.settle())).details).toMatchObject({
      waiting: [expect.stringContaining('group g waits in a rebalance')],
    })
    const asked = first.poll()
    await t.settle()
    expect((await second).assignment).toHaveLength(1)
    await first.leave().catch(() => undefined)
    await asked.catch(() => undefined)
  })

  it('does not mind a consumer that nobody asks, nor one that waits for more', async () => {
    const t = await openTest()
    const group = t.log.consumerGroup('g', TOPICS)
    const idle = await group.join()
    await t.log.topic('t').send({ value: 'a' })
    await t.settle()
    expect(await idle.poll()).toHaveLength(1)
    const waiting = idle.poll()
    await t.settle()
    await t.log.topic('t').send({ value: 'b' })
    expect(await waiting).toHaveLength(1)
  })
})

describe('a run under a test log', () => {
  it('goes with it when it crashes, as its process does: nobody hears of a failure', async () => {
    const t = await openTest()
    const run = t.log.consumerGroup('g', TOPICS).run(() => undefined)
    await run.ready
    await t.log.topic('t').send({ value: 'a' })
    await t.settle()
    const log = await t.faults.crash()
    await t.settle()
    await run.done
    expect(log.consumerGroup('g').describe().members).toEqual([])
  })

  it('commits nothing more when it crashes, and still nobody hears of a failure', async () => {
    const t = await openTest()
    let finish = (): void => undefined
    const run = t.log.consumerGroup('g', TOPICS).run(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve
        }),
    )
    await run.ready
    t.log
      .topic('t')
      .partition(0)
      .append([{ value: 'a' }, { value: 'b' }])
    await t.log.flush()
    finish()
    await Promise.resolve()
    await t.faults.crash()
    await run.done
    finish() // Of the second record, in a process that is dead.
    await t.settle()
    expect(t.log.consumerGroup('g').offsets()).toEqual([])
  })

  it('goes with it when it is reset', async () => {
    const t = testLog()
    await t.log.createTopic('t')
    const run = t.log.consumerGroup('g', TOPICS).run(() => undefined)
    await run.ready
    t.log
      .topic('t')
      .partition(0)
      .append([{ value: 'a' }])
    t.reset()
    await t.settle()
    await run.done
    expect(t.log.consumerGroups()).toEqual([])
    await t.log.close()
  })
})
