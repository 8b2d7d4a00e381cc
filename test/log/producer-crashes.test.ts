/**
 * A crash at every call to the disk, in each way that it may end, of what writes snapshots and
 * reads them again: what is known of producers afterwards is what the log says.
 */
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { StoredPartition } from './stored-producers.ts'

const ENDS = ['kill', 'none', 'names', 'all', 'some', 'prefix'] as const

/** Stops `act` at each of its calls, and opens what is left, in each of the ways. */
async function atEveryCall(
  prepare: () => Promise<StoredPartition>,
  act: (partition: StoredPartition) => unknown,
  check: (partition: StoredPartition, kind: (typeof ENDS)[number]) => void = () => undefined,
): Promise<number> {
  for (let stopAt = 0; ; stopAt++) {
    let hasEnded = false
    for (const [index, kind] of ENDS.entries()) {
      const partition = await prepare()
      const { driver } = partition
      let callsLeft = stopAt
      driver.onCall = () => (callsLeft-- > 0 ? undefined : 'stop')
      try {
        await act(partition)
        hasEnded = true
      } catch (error) {
        if (!driver.isDead) throw error
      }
      const random = new SeededRandom(stopAt * ENDS.length + index)
      // Opening may be what was stopped: then another driver is at work.
      const left = kind === 'kill' ? driver.processKill() : driver.powerCut(random, kind)
      partition.driver = left
      await partition.open()
      expect(partition.known(), `${kind} at call ${stopAt}`).toEqual(partition.expected())
      check(partition, kind)
      // Whatever was found, the log goes on, and says the same when it is opened once more.
      partition.append({ producerId: 1 })
      await partition.crash()
      expect(partition.known(), `again, ${kind} at ${stopAt}`).toEqual(partition.expected())
    }
    if (hasEnded) return stopAt
  }
}

/** Two producers with transactions, of which one aborted, and one without. */
function write(partition: StoredPartition, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    partition.append({ producerId: 1 }, 3)
    partition.append({ producerId: 11, transactional: true }, 5)
    partition.append({ producerId: 12, transactional: true }, 2)
    partition.end(11, round % 2 === 0 ? 'abort' : 'commit')
    partition.append({ producerId: -1 }, 1, 300)
    partition.end(12, 'abort')
  }
}

async function written(): Promise<StoredPartition> {
  const partition = await StoredPartition.create()
  write(partition, 3)
  return partition
}

describe('a crash at any call', () => {
  const budget = { timeout: 60_000 }

  it('of rolls leaves what appending had made of producers', budget, async () => {
    const calls = await atEveryCall(written, (partition) => write(partition, 3))
    expect(calls).toBeGreaterThan(10)
  })

  it('of a checkpoint does, and what was known stays known', budget, async () => {
    let newest = 0
    const calls = await atEveryCall(
      async () => {
        const partition = await written()
        await partition.reopen()
        newest = partition.snapshots().at(-1) ?? Infinity
        write(partition, 5)
        return partition
      },
      (partition) => partition.checkpoint(),
      // One goes when a newer one is on stable storage.
      (partition) => expect(partition.snapshots().at(-1)).toBeGreaterThanOrEqual(newest),
    )
    expect(calls).toBeGreaterThan(10)
  })

  it('of a checkpoint of much that one segment holds does', budget, async () => {
    await atEveryCall(
      async () => {
        const partition = await StoredPartition.create({ segmentBytes: 1 << 24 })
        for (let done = 0; done < 6; done++) partition.append({ producerId: 1 }, 1, 60_000)
        write(partition, 2)
        return partition
      },
      (partition) => partition.checkpoint(),
      (partition) => expect(partition.log.segments.count).toBe(1),
    )
  })

  it('of a checkpoint while appends go on does', budget, async () => {
    await atEveryCall(
      async () => {
        const partition = await written()
        await partition.checkpoint()
        write(partition, 4)
        return partition
      },
      async (partition) => {
        const goesOn = async (): Promise<void> => {
          for (let done = 0; done < 4; done++) {
            for (let tick = 0; tick <= done; tick++) await Promise.resolve()
            if (!partition.driver.isDead) write(partition, 1)
          }
        }
        await Promise.all([partition.checkpoint(), goesOn()])
      },
    )
  })

  it('of a close does', budget, async () => {
    const calls = await atEveryCall(written, (partition) => partition.close())
    expect(calls).toBeGreaterThan(4)
  })

  it('of an open after a power cut does', budget, async () => {
    let seed = 0
    const calls = await atEveryCall(
      async () => {
        const partition = await written()
        await partition.checkpoint()
        write(partition, 5)
        partition.driver = partition.driver.powerCut(new SeededRandom(seed++))
        return partition
      },
      (partition) => partition.open(),
    )
    expect(calls).toBeGreaterThan(10)
  })
})
