/**
 * Deleting a topic, stopped at each call that it waits for: by a kill, or by a power cut. The log
 * opens, the topic is there with all it had or not at all, and once it is gone so are its files.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { texts } from './open-log.ts'

const MOST_CALLS = 60

/** Lets everything go on that waits for nothing but turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await nextTurn()
}

interface Stopped {
  readonly disk: FaultDisk
  readonly clock: FakeClock
  /** `deleteTopic` had resolved. */
  readonly isDeleted: boolean
  /** Everything was through before it could be stopped. */
  readonly isThrough: boolean
}

/** Deletes a topic on a disk that answers no more from the call number `stopAt` on. */
async function stoppedAt(stopAt: number): Promise<Stopped> {
  const clock = new FakeClock()
  const disk = new FaultDisk({ clock, seed: stopAt })
  const log = await disk.open({ clock })
  for (const name of ['gone', 'kept']) {
    const topic = await log.createTopic(name, { partitions: 2, segmentBytes: 1_024 })
    for (const partition of topic.partitions) {
      for (let round = 0; round < 4; round++) partition.append({ value: `${round}`.padEnd(500) })
    }
    await topic.partition(0).deleteRecords(1)
  }
  await log.flush()
  let callsLeft = stopAt
  disk.hold(() => callsLeft-- <= 0)
  let isDeleted = false
  log.deleteTopic('gone').then(
    () => {
      isDeleted = true
    },
    () => undefined,
  )
  await settled()
  return { disk, clock, isDeleted, isThrough: disk.held.length === 0 }
}

function valuesOf(log: EventLog, topic: string): readonly (readonly string[])[] {
  return log.topic(topic).partitions.map((one) => texts(one.records()).map((text) => text.trim()))
}

const ALL = [
  ['1', '2', '3'],
  ['0', '1', '2', '3'],
]

describe.each(['kill', 'power cut'] as const)('a topic whose deletion a %s stops', (end) => {
  it('is there as a whole or not at all, and its space is freed', async () => {
    let states = 0
    let isThrough = false
    for (let stopAt = 0; stopAt < MOST_CALLS && !isThrough; stopAt++) {
      const stopped = await stoppedAt(stopAt)
      const { disk, clock } = stopped
      isThrough = stopped.isThrough
      states += 1
      if (end === 'kill') await disk.kill()
      else await disk.crash()
      disk.hold(null)
      const log = await disk.open({ clock })
      await settled()
      expect(valuesOf(log, 'kept'), `call ${stopAt}`).toEqual(ALL)
      const isThere = log.topics().some(({ name }) => name === 'gone')
      if (isThere) {
        expect(stopped.isDeleted, `call ${stopAt}`).toBe(false)
        expect(valuesOf(log, 'gone'), `call ${stopAt}`).toEqual(ALL)
        await log.deleteTopic('gone')
        await settled()
      }
      expect(
        disk.files().filter((path) => path.startsWith('gone')),
        `call ${stopAt}`,
      ).toEqual([])
      const anew = await log.createTopic('gone', { partitions: 2 })
      expect(anew.size()).toMatchObject({ offsets: 0 })
      expect(anew.partition(0).append({ value: 'new' }).baseOffset).toBe(0)
      await log.close()
    }
    expect(isThrough).toBe(true)
    expect(states).toBeGreaterThan(4)
  })
})
