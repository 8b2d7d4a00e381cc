/**
 * Positions never outlive their data: after any crash, and any crash of the open that follows it,
 * no group goes on behind a record that it has not seen.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { budget } from '../support/budget.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { brokerValue, appendOffsets } from './broker-offsets.ts'
import { appendBatch, openLog, partitionOf, readRecords } from './open-log.ts'

const GROUP = 'billing'
const HISTORIES = Math.ceil(budget.propertyRuns / 4)

async function makeTopics(log: LogDirectory): Promise<void> {
  await runProcedure(log.createTopic('orders', { partitions: 2, segmentBytes: 1_024 }))
  await runProcedure(log.createTopic(OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG))
}

function commit(log: LogDirectory, offset: number, partition: number = 0): void {
  log.offsets.commit(GROUP, [
    { topic: 'orders', partition, offset, leaderEpoch: -1, metadata: 'm' },
  ])
}

/** Appends so many records to the first partition, in one batch. */
function append(log: LogDirectory, count: number): void {
  const records = Array.from({ length: count }, () => ({ timestamp: 1, value: 'v' }))
  appendBatch(partitionOf(log, 'orders'), records)
}

/** A disk where 20 of 30 records are, and the position behind all 30. */
async function lostTail(): Promise<FaultDriver> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await makeTopics(log)
  append(log, 20)
  await partitionOf(log, 'orders').makeDurable(20)
  append(log, 10)
  commit(log, 30)
  await partitionOf(log, OFFSETS_TOPIC).makeDurable(1)
  return driver.powerCut(undefined, 'none')
}

const moved = { group: GROUP, topic: 'orders', partition: 0, from: 30, to: 20 }

describe('a position above the end of its data', () => {
  it('is moved back to it when the log opens, and the report says so', async () => {
    const { log, report } = await openLog(await lostTail(), { bootId: 'later boot' })
    expect(report.positions).toEqual([moved])
    expect(log.offsets.get(GROUP, 'orders', 0)).toMatchObject({
      offset: 20,
      leaderEpoch: 0,
      metadata: 'm',
    })
  })

  it('is moved durably: the next open finds nothing to move', async () => {
    const driver = await lostTail()
    const { log } = await openLog(driver, { bootId: 'later boot' })
    append(log, 40)
    await partitionOf(log, 'orders').makeDurable(60)
    const { log: again, report } = await openLog(driver.powerCut(undefined, 'none'), {
      bootId: 'third boot',
    })
    expect(report.positions).toEqual([])
    expect(again.offsets.get(GROUP, 'orders', 0)?.offset).toBe(20)
  })

  it('is moved whatever call of the open a crash comes at', async () => {
    for (let calls = 0, isDone = false; !isDone; calls++) {
      for (const how of ['kill', 'some'] as const) {
        const driver = await lostTail()
        let left = calls
        driver.onCall = () => (left-- > 0 ? undefined : 'stop')
        isDone = await openLog(driver, { bootId: 'later boot' }).then(
          () => true,
          (error: unknown) => {
            expect(LogError.is(error)).toBe(true)
            return false
          },
        )
        driver.onCall = undefined
        const disk =
          how === 'kill' ? driver.processKill() : driver.powerCut(new SeededRandom(calls), how)
        const { log } = await openLog(disk, {
          bootId: how === 'kill' ? 'later boot' : 'third boot',
        })
        append(log, 40)
        expect(log.offsets.get(GROUP, 'orders', 0)?.offset, `${how} at call ${calls}`).toBe(20)
      }
    }
  })

  it.each(['ENOSPC', 'EIO'] as const)(
    'does not let the log be opened while %s keeps it there',
    async (fault) => {
      const driver = await lostTail()
      driver.onCall = ({ action, path }) =>
        action === 'write' && path.startsWith(OFFSETS_TOPIC) ? fault : undefined
      await expect(openLog(driver, { bootId: 'later boot' })).rejects.toMatchObject({
        code: fault === 'EIO' ? 'IO' : 'NO_SPACE',
      })
      driver.onCall = undefined
      const { report } = await openLog(driver.processKill(), { bootId: 'later boot' })
      expect(report.positions).toEqual([moved])
    },
  )

  it('is moved where no epoch is known of it', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await makeTopics(log)
    append(log, 20)
    appendOffsets(partitionOf(log, OFFSETS_TOPIC), [[GROUP, 0, brokerValue(30)]])
    const { report } = await openLog(driver.processKill())
    expect(report.positions).toEqual([moved])
  })

  it('is moved back to the end of its epoch, though the log has gone on since', async () => {
    const driver = await lostTail()
    const { log } = await openLog(driver, { bootId: 'later boot' })
    append(log, 40)
    // As it would be where an older copy of the positions is put in place.
    appendOffsets(partitionOf(log, OFFSETS_TOPIC), [[GROUP, 0, brokerValue(30, 3, 0)]])
    const { report } = await openLog(driver.processKill(), { bootId: 'later boot' })
    expect(report.positions).toEqual([moved])
  })

  it('stays where its topic is not here', async () => {
    const driver = new FaultDriver()
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic(OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG))
    appendOffsets(partitionOf(log, OFFSETS_TOPIC), [[GROUP, 0, brokerValue(30)]])
    const { log: again, report } = await openLog(driver.processKill())
    expect(report.positions).toEqual([])
    expect(again.offsets.get(GROUP, 'orders', 0)?.offset).toBe(30)
  })
})

describe('a position in a topic that was deleted', () => {
  it('is gone with it', async () => {
    const { driver, log } = await positionAt15()
    await runProcedure(log.deleteTopic('orders'))
    expect(log.offsets.groups()).toEqual([])
    const { log: again } = await openLog(driver.powerCut(undefined, 'none'))
    expect(again.offsets.groups()).toEqual([])
  })

  it('is never one in a new topic of that name, whatever call a crash comes at', async () => {
    let wasDeletedOnly = false
    for (let calls = 0, isDone = false; !isDone; calls++) {
      for (const how of ['kill', 'none', 'some'] as const) {
        const { driver, log } = await positionAt15()
        await runProcedure(log.checkpoint())
        const { id } = log.topic('orders') ?? { id: '' }
        let left = calls
        driver.onCall = () => (left-- > 0 ? undefined : 'stop')
        isDone = await deleteAndMake(log)
        driver.onCall = undefined
        const bootId = how === 'kill' ? 'boot' : 'later boot'
        const disk =
          how === 'kill' ? driver.processKill() : driver.powerCut(new SeededRandom(calls), how)
        const { log: again } = await openLog(disk, { bootId })
        const found = again.topic('orders')
        wasDeletedOnly ||= found === undefined
        const expected = found?.id === id ? 15 : undefined
        expect(again.offsets.get(GROUP, 'orders', 0)?.offset, `${how} at ${calls}`).toBe(expected)
        if (found?.id === id) continue
        if (found === undefined) await runProcedure(again.createTopic('orders', {}))
        append(again, 40)
        expect(again.offsets.get(GROUP, 'orders', 0), `${how} at ${calls}`).toBeUndefined()
      }
    }
    expect(wasDeletedOnly).toBe(true)
  })

  it('keeps its name from being used again while it cannot be taken back', async () => {
    const { driver, log } = await positionAt15()
    driver.onCall = ({ action, path }) =>
      action === 'write' && path.startsWith(OFFSETS_TOPIC) ? 'ENOSPC' : undefined
    await expect(runProcedure(log.deleteTopic('orders'))).rejects.toMatchObject({
      code: 'NO_SPACE',
    })
    expect(log.topic('orders')).toBeUndefined()
    await expect(runProcedure(log.createTopic('orders', {}))).rejects.toMatchObject({
      code: 'NO_SPACE',
    })
    await runProcedure(log.createTopic('others', {}))
    driver.onCall = undefined
    await runProcedure(log.createTopic('orders', {}))
    expect(log.offsets.get(GROUP, 'orders', 0)).toBeUndefined()
  })

  it('keeps its name from being used again where no disk may know that it is gone', async () => {
    const { driver, log } = await positionAt15()
    await runProcedure(log.checkpoint())
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith(OFFSETS_TOPIC) ? 'EIO' : undefined
    await expect(runProcedure(log.deleteTopic('orders'))).rejects.toMatchObject({ code: 'IO' })
    driver.onCall = undefined
    await expect(runProcedure(log.createTopic('orders', {}))).rejects.toMatchObject({ code: 'IO' })
    await runProcedure(log.createTopic('others', {}))
    const { log: again } = await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later' })
    await runProcedure(again.createTopic('orders', {}))
    expect(again.offsets.get(GROUP, 'orders', 0)).toBeUndefined()
  })

  it('is not back after a power cut where its group was deleted before', async () => {
    const { driver, log } = await positionAt15()
    await runProcedure(log.checkpoint())
    log.offsets.remove(GROUP)
    await runProcedure(log.deleteTopic('orders'))
    await runProcedure(log.createTopic('orders', {}))
    const { log: again } = await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later' })
    expect(again.topic('orders')).toBeDefined()
    expect(again.offsets.get(GROUP, 'orders', 0)).toBeUndefined()
  })
})

/** A group that committed 15 of 20 records. */
async function positionAt15(): Promise<{ driver: FaultDriver; log: LogDirectory }> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await makeTopics(log)
  append(log, 20)
  commit(log, 15)
  return { driver, log }
}

async function deleteAndMake(log: LogDirectory): Promise<boolean> {
  try {
    await runProcedure(log.deleteTopic('orders'))
    await runProcedure(log.createTopic('orders', {}))
    return true
  } catch (error) {
    expect(LogError.is(error)).toBe(true)
    return false
  }
}

/** A group that reads, over the lives of its log, and remembers each record that it was handed. */
class Reader {
  /** Which values it was handed, by partition and offset. */
  readonly seen = new Map<string, Set<string>>()

  /** Reads on from its position, `count` records, and commits behind them. */
  read(log: LogDirectory, partition: number, count: number): number {
    const source = partitionOf(log, 'orders', partition)
    const from = log.offsets.get(GROUP, 'orders', partition)?.offset ?? 0
    const to = Math.min(from + count, source.highWatermark)
    for (const { offset, value } of readRecords(source, from, to)) {
      const place = `${partition}-${offset}`
      this.seen.set(place, (this.seen.get(place) ?? new Set()).add(value))
    }
    commit(log, to, partition)
    return to
  }

  /** Records below the position that the group was not handed, or not as they are. */
  skipped(log: LogDirectory): readonly string[] {
    return [0, 1].flatMap((partition) => {
      const source = partitionOf(log, 'orders', partition)
      const position = log.offsets.get(GROUP, 'orders', partition)?.offset ?? 0
      if (position > source.logEndOffset) return [`${partition}: all below ${position}`]
      return readRecords(source, 0, position)
        .filter(({ offset, value }) => this.seen.get(`${partition}-${offset}`)?.has(value) !== true)
        .map(({ offset, value }) => `${partition}-${offset}: ${value}`)
    })
  }
}

/** One life of a log: appends, reads, syncs at random, until a call to the disk stops it. */
async function live(log: LogDirectory, reader: Reader, random: SeededRandom): Promise<void> {
  for (let steps = random.below(30); steps > 0; steps--) {
    const partition = random.below(2)
    const source = partitionOf(log, 'orders', partition)
    switch (random.below(6)) {
      case 0:
      case 1:
        // Each life writes values of its own: an offset that is used again is another record.
        appendBatch(source, [{ timestamp: 1, value: `${random.below(1e9)}` }])
        break
      case 2:
      case 3:
        reader.read(log, partition, 1 + random.below(5))
        break
      case 4:
        await source.makeDurable(source.logEndOffset)
        break
      default:
        await partitionOf(log, OFFSETS_TOPIC).makeDurable(
          partitionOf(log, OFFSETS_TOPIC).logEndOffset,
        )
    }
  }
  if (random.below(4) === 0) await runProcedure(log.close())
  else await nextTurn()
}

describe('no record is skipped', () => {
  it('by a group over many lives of a log, however each ended', async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const random = new SeededRandom(seed)
      const reader = new Reader()
      let driver = new FaultDriver()
      await makeTopics((await openLog(driver)).log)
      driver = driver.processKill()
      for (let life = 0; life < 8; life++) {
        const how = `seed ${seed}, life ${life}`
        let left = random.below(400)
        const bootId = `boot ${life}`
        driver.onCall = () => (left-- > 0 ? undefined : 'stop')
        try {
          const { log } = await openLog(driver, { bootId })
          expect(reader.skipped(log), how).toEqual([])
          await live(log, reader, random)
        } catch (error) {
          if (!LogError.is(error)) throw error
        }
        driver.onCall = undefined
        driver = random.below(3) === 0 ? driver.processKill() : driver.powerCut(random)
      }
      const { log } = await openLog(driver, { bootId: 'last boot' })
      expect(reader.skipped(log), `seed ${seed}, at its end`).toEqual([])
    }
  })
})
