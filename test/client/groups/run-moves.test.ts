/**
 * Runs while their group changes under them: members that are thrown out because they take too
 * long, topics that come, grow and go.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Running } from '../../../src/client/group-types.ts'
import { LOG_KINDS } from '../open-log.ts'
import { committedIn, groupLog, settle } from './group-log.ts'
import { HeldHandler } from './run-fixture.ts'

async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await settle()
}

function stopWhenDone(running: Running): Running {
  onTestFinished(() => running.stop({ timeoutMs: 0 }))
  return running
}

describe.each(LOG_KINDS)('a run over a log on %s', (kind) => {
  it('loses its partitions where maxPollIntervalMs is over, and handles them again', async () => {
    const { log, clock } = await groupLog(kind, { records: 2 })
    const handler = new HeldHandler()
    const group = log.consumerGroup('g', { topics: ['t'], maxPollIntervalMs: 100 })
    const running = stopWhenDone(group.run(handler.handle))
    await running.ready
    await settled()
    const { signal } = handler.context('v0')
    clock.advance(99)
    await settled()
    expect(signal.aborted).toBe(false)
    clock.advance(1)
    await settled()
    expect(signal.aborted).toBe(true)
    await handler.finish('v0')
    await settled()
    expect(committedIn(log)).toBeUndefined()
    expect(handler.called).toEqual(['v0', 'v0'])
    expect(handler.context('v0').signal.aborted).toBe(false)
    await handler.finish('v0', 'v1')
    await settled()
    expect(committedIn(log)).toBe(2)
  })

  it('is never thrown out while it waits for records, or for a next attempt', async () => {
    const { log, topic, clock } = await groupLog(kind)
    const handler = new HeldHandler()
    const group = log.consumerGroup('g', { topics: ['t'], maxPollIntervalMs: 100 })
    const running = stopWhenDone(group.run(handler.handle, { retries: 1, backoffMs: 1_000 }))
    await running.ready
    clock.advance(500)
    await settled()
    topic.partition(0).append([{ value: 'a' }])
    await settled()
    await handler.fail('a')
    clock.advance(1_000)
    await settled()
    expect(handler.context('a').attempt).toBe(2)
    await handler.finish('a')
    await settled()
    expect(committedIn(log)).toBe(1)
  })

  it('takes in topics that match its pattern, and partitions that are added', async () => {
    const { log } = await groupLog(kind)
    const seen: string[] = []
    const running = stopWhenDone(
      log
        .consumerGroup('g', { topics: /^jobs/ })
        .run(({ topic, partition }) => void seen.push(`${topic}-${partition}`)),
    )
    await running.ready
    const jobs = await log.createTopic('jobs')
    await jobs.send({ value: 'a' })
    await settled()
    expect(seen).toEqual(['jobs-0'])
    await jobs.addPartitions(2)
    await jobs.send({ partition: 1, value: 'b' })
    await settled()
    expect(seen).toEqual(['jobs-0', 'jobs-1'])
  })

  it('goes on without a topic that is deleted under its handler', async () => {
    const { log } = await groupLog(kind, { records: 1 })
    const other = await log.createTopic('other')
    const handler = new HeldHandler()
    const running = stopWhenDone(
      log.consumerGroup('g', { topics: ['t', 'other'] }).run(handler.handle),
    )
    await running.ready
    await settled()
    const { signal } = handler.context('v0')
    await log.deleteTopic('t')
    await settled()
    expect(signal.aborted).toBe(true)
    await handler.finish('v0')
    await other.send({ value: 'next' })
    await settled()
    expect(handler.held).toEqual(['next'])
    await handler.finish('next')
    await running.stop()
    await running.done
  })
})
