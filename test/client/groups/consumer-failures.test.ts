/**
 * Consumers whose commits fail: whoever asks is told, nothing is passed over, and what could not be
 * written is written later.
 */
import { expect, describe, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { rejection } from '../refusal.ts'
import { closeWhenDone } from '../open-log.ts'
import { committedIn, fill, offsetsOf, settle, stateOf, take, tp } from './group-log.ts'

const TOPICS = { topics: ['t'] } as const

interface Opened {
  readonly log: EventLog
  readonly clock: FakeClock
  /** The next writes of positions, so many, fail. */
  failCommits(count: number): void
}

/** A log with six records on a simulated disk. */
async function opened(): Promise<Opened> {
  const disk = new FaultDisk()
  const clock = new FakeClock()
  const log = await disk.open({ clock })
  closeWhenDone(log)
  fill((await log.createTopic('t')).partition(0), 6)
  const failCommits = (count: number): void =>
    disk.faults.inject({
      fault: 'ENOSPC',
      action: 'write',
      path: /__consumer_offsets.*\.log$/,
      count,
    })
  return { log, clock, failCommits }
}

describe('a commit that fails', () => {
  it('is what the next poll rejects with, until it can be written', async () => {
    const { log, failCommits } = await opened()
    const consumer = await log.consumerGroup('g', TOPICS).join()
    await consumer.poll({ max: 2 })
    failCommits(2)
    expect((await rejection(consumer.poll({ max: 2 }))).code).toBe('NO_SPACE')
    expect((await rejection(consumer.poll({ max: 2 }))).code).toBe('NO_SPACE')
    expect(committedIn(log)).toBeUndefined()
    expect(offsetsOf(await consumer.poll({ max: 2 }))).toEqual([2, 3])
    expect(committedIn(log)).toBe(2)
  })

  it('is tried again when the time has passed, and told when the loop asks', async () => {
    const { log, clock, failCommits } = await opened()
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const { iterator } = await take(consumer, 3)
    failCommits(2)
    clock.advance(100)
    expect((await rejection(iterator.next())).code).toBe('NO_SPACE')
    expect(log.consumerGroup('g').describe().members).toEqual([])
    expect(committedIn(log)).toBe(3)
    const again = await log.consumerGroup('g', TOPICS).join()
    expect(offsetsOf(await again.poll())).toEqual([3, 4, 5])
  })

  it('of a run that waits is tried again each time that the time has passed', async () => {
    const { log, clock, failCommits } = await opened()
    const running = log.consumerGroup('g', TOPICS).run(() => undefined)
    await running.ready
    failCommits(3)
    await settle()
    for (let tries = 0; tries < 3; tries++) {
      expect(committedIn(log)).toBeUndefined()
      clock.advance(100)
      await settle()
    }
    expect(committedIn(log)).toBe(6)
    await running.stop()
  })

  it('rejects a commit by hand, and changes nothing', async () => {
    const { log, failCommits } = await opened()
    const consumer = await log.consumerGroup('g', { ...TOPICS, autoCommit: false }).join()
    await consumer.poll({ max: 2 })
    failCommits(1)
    expect((await rejection(consumer.commit())).code).toBe('NO_SPACE')
    expect(committedIn(log)).toBeUndefined()
    await consumer.commit([{ ...tp(), offset: 1 }])
    expect(committedIn(log)).toBe(1)
  })

  it('keeps nobody from leaving: what was not written comes again', async () => {
    const { log, failCommits } = await opened()
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join()
    await consumer.poll({ max: 2 })
    const other = await group.join()
    failCommits(1)
    expect((await rejection(consumer.leave())).code).toBe('NO_SPACE')
    expect(await stateOf(other.ready())).toBe('settled')
    expect(offsetsOf(await other.poll())).toEqual([0, 1, 2, 3, 4, 5])
  })
})
