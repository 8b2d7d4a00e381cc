/**
 * Logs of which segments went, opened anew after closes, kills and power cuts, over many epochs of
 * the log and with producers that number their batches: nothing is damaged, and every producer is
 * known as before.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'

const CONFIG = { segmentBytes: 1_024, fileDeleteDelayMs: 1_000, retentionMs: 5_000 }
const ROUNDS = 14

async function appendSome(log: EventLog, random: SeededRandom): Promise<void> {
  const producer = log.producer({ transactionalId: 'p' })
  for (let batch = 0; batch < 4; batch++) {
    await log.topic('t').send({ value: 'x'.repeat(random.below(600)) })
    await producer.transaction(async (tx) => {
      await tx.send(log.topic('t'), { value: 'y'.repeat(random.below(600)) })
    })
  }
  await producer.close()
}

describe('a log of which segments go', () => {
  it.each([1, 2, 3, 4, 5, 6])('has no damage whatever it goes through, seed %i', async (seed) => {
    const random = new SeededRandom(seed)
    const clock = manualClock()
    const disk = new FaultDisk({ seed, clock })
    let logStartOffset = 0
    let deleted = 0
    for (let round = 0; round < ROUNDS; round++) {
      const log = await disk.open({
        clock,
        housekeepingIntervalMs: null,
        onWarning: () => undefined,
      })
      const { partitions } = log.recovery
      expect(partitions.flatMap(({ damage }) => damage)).toEqual([])
      const topic = await log.ensureTopic('t', CONFIG)
      const partition = topic.partition(0)
      expect(partition.logStartOffset).toBeGreaterThanOrEqual(logStartOffset)
      await appendSome(log, random)
      await clock.advance(random.below(4_000))
      const isHalfWay = random.below(3) === 0
      const running = log.runHousekeeping().then(
        ({ deletedSegments }) => (deleted += deletedSegments),
        () => undefined,
      )
      if (!isHalfWay) await running
      const offsets = Array.from(partition.records(), ({ offset }) => offset)
      expect(offsets).toEqual(offsets.toSorted((a, b) => a - b))
      logStartOffset = isHalfWay ? logStartOffset : partition.logStartOffset
      const end = random.oneOf('close', 'kill', 'crash')
      if (end === 'close') await log.close()
      else await disk[end]()
      await running
    }
    expect(deleted).toBeGreaterThan(0)
    const log = await disk.open({ clock, housekeepingIntervalMs: null, onWarning: () => undefined })
    expect(await log.scrub()).toMatchObject({ sound: true, damage: [] })
    await log.close()
  })
})
