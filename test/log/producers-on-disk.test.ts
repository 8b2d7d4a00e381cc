/**
 * What a log as a whole does to keep what is known of its producers: over a close, a kill and a
 * power cut, and how it forgets those whose time is over.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import type { AppendedBatch } from '../../src/log/encoded-batch.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { readCleanMarker } from '../../src/storage/clean-marker.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { type OpenLog, openLog, partitionOf } from './open-log.ts'
import { namesEnding } from './tampering.ts'

const COUNT = 50

/** The next batch of the producer, or, where `baseSequence` says so, one that came before. */
function send(log: PartitionLog, producerId: number, baseSequence?: number): AppendedBatch {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(512), 0)
  builder.add(1_000, null, 'value', null)
  const sequence = baseSequence ?? log.nextSequence(producerId, 0)
  builder.finish('none', {
    producerId,
    producerEpoch: 0,
    baseSequence: sequence,
    transactional: false,
  })
  return log.append(builder)
}

async function newLog(driver: FaultDriver, partitions: number = 1): Promise<LogDirectory> {
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', { preallocate: false, partitions }))
  return log
}

/** Whether the last batch of `producerId` is recognised, and the next one taken. */
function expectKnown({ log }: OpenLog, partition: number, producerId: number): void {
  const one = partitionOf(log, 't', partition)
  const last = { baseOffset: COUNT - 1, isDuplicate: true }
  expect(send(one, producerId, COUNT - 1)).toMatchObject(last)
  expect(send(one, producerId)).toMatchObject({ baseOffset: COUNT, isDuplicate: false })
}

describe('what a log knows of its producers', () => {
  it('outlives a close, a kill and a power cut, in each partition', async () => {
    for (const stop of ['close', 'kill', 'power cut'] as const) {
      const driver = new FaultDriver()
      const log = await newLog(driver, 3)
      for (let sent = 0; sent < COUNT; sent++) {
        for (const partition of [0, 1]) send(partitionOf(log, 't', partition), 7 + partition)
      }
      await log.syncForCheckpoint()
      if (stop === 'close') await runProcedure(log.close())
      const left =
        stop === 'power cut' ? driver.powerCut(new SeededRandom(1)) : driver.processKill()
      const opened = await openLog(left, { bootId: stop === 'power cut' ? 'next' : 'boot' })
      expectKnown(opened, 0, 7)
      expectKnown(opened, 1, 8)
      expect(partitionOf(opened.log, 't', 2).producers.entries()).toEqual([])
    }
  })

  it('is named in the clean marker where there is anything to know', async () => {
    const driver = new FaultDriver()
    const log = await newLog(driver, 2)
    send(partitionOf(log, 't', 1), 7)
    await runProcedure(log.close())
    const left = driver.processKill()
    const marker = readCleanMarker(left)
    if (marker === undefined || marker === 'kafka') throw new Error('the close was clean')
    const producers = marker.partitions.map((one) => one.producers)
    expect(producers).toEqual([null, { offset: 1, behindBytes: 0 }])
    expect(left.list('t-0').filter((name) => name.endsWith('.snapshot'))).toEqual([])
  })

  it('is not touched by clean opens and closes in which nobody wrote', async () => {
    let driver = new FaultDriver()
    const log = await newLog(driver)
    for (let sent = 0; sent < COUNT; sent++) send(partitionOf(log, 't'), 7)
    await runProcedure(log.close())
    for (let life = 0; life < 3; life++) {
      driver = driver.processKill()
      const touched: string[] = []
      driver.onCall = ({ action, path }) => {
        if (path.includes('.snapshot') || path.endsWith('.log')) touched.push(`${action} ${path}`)
        return undefined
      }
      const again = await openLog(driver)
      expect(again.report).toMatchObject({ clean: true, partitions: [] })
      await runProcedure(again.log.close())
      expect(touched.filter((call) => !/^(open|flush) .*\.log$/.test(call))).toEqual([])
    }
    driver = driver.processKill()
    expect(namesEnding(driver, '.snapshot')).toHaveLength(1)
    expectKnown(await openLog(driver), 0, 7)
  })

  it('is forgotten at a checkpoint when a producer was silent for as long as was set', async () => {
    const clock = new FakeClock()
    const driver = new FaultDriver()
    const { log } = await openLog(driver, { clock, producerIdExpirationMs: 60_000 })
    await runProcedure(log.createTopic('t', { preallocate: false }))
    const partition = partitionOf(log, 't')
    send(partition, 7)
    clock.advance(59_999)
    await log.syncForCheckpoint()
    expect(partition.producers.knows(7)).toBe(true)
    clock.advance(1)
    await log.syncForCheckpoint()
    expect(partition.producers.knows(7)).toBe(false)
    // And so by the next life, after a clean close.
    await runProcedure(log.close())
    const again = await openLog(driver.processKill(), { clock })
    expect(partitionOf(again.log, 't').producers.entries()).toEqual([])
  })

  it('is kept for ever where nothing was set', async () => {
    const clock = new FakeClock()
    const { log } = await openLog(new FaultDriver(), { clock })
    await runProcedure(log.createTopic('t', { preallocate: false }))
    send(partitionOf(log, 't'), 7)
    clock.advance(1e14)
    await log.syncForCheckpoint()
    expect(partitionOf(log, 't').producers.knows(7)).toBe(true)
  })
})
