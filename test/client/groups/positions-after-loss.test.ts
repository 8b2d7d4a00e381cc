/**
 * Groups over a disk that loses power: their members go on at or before what they had not handled,
 * never behind it, and the log says where a position was moved.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { budget } from '../../support/budget.ts'
import { SeededRandom } from '../../support/seeded-random.ts'

const HISTORIES = Math.ceil(budget.propertyRuns / 5)
const QUIET = { onWarning: () => undefined }

describe('after a loss of power', () => {
  it('a position behind the end of its data is moved back to it, and that is said', async () => {
    const disk = new FaultDisk()
    const log = await disk.open(QUIET)
    const orders = await log.createTopic('orders')
    await orders.sendAll(['a', 'b', 'c'].map((value) => ({ value })))
    orders.partition(0).append([{ value: 'd' }, { value: 'e' }])
    const member = await log.consumerGroup('billing', { topics: ['orders'] }).join()
    expect(await member.poll()).toHaveLength(5)
    await member.commit()
    await log.topic('__consumer_offsets').partition(0).flush()
    await disk.crash({ keep: 'none' })
    const again = await disk.open(QUIET)
    expect(again.recovery.positions).toEqual([
      { group: 'billing', topic: 'orders', partition: 0, from: 5, to: 3 },
    ])
    again
      .topic('orders')
      .partition(0)
      .append([{ value: 'other' }])
    const next = await again.consumerGroup('billing', { topics: ['orders'] }).join()
    const [record] = await next.poll()
    expect(record?.value?.toString()).toBe('other')
  })

  it('a durable commit is there with all that it covers', async () => {
    const disk = new FaultDisk()
    const log = await disk.open(QUIET)
    const orders = await log.createTopic('orders')
    orders.partition(0).append(['a', 'b', 'c'].map((value) => ({ value })))
    const member = await log.consumerGroup('billing', { topics: ['orders'] }).join()
    await member.poll({ max: 2 })
    await member.commit(undefined, { durable: true })
    await disk.crash({ keep: 'none' })
    const again = await disk.open(QUIET)
    expect(again.recovery.positions).toEqual([])
    expect(again.topic('orders').partition(0).logEndOffset).toBeGreaterThanOrEqual(2)
    expect(again.consumerGroup('billing').offsets()).toMatchObject([{ offset: 2 }])
  })

  it('members over many lives of a log skip nothing that stayed', async () => {
    for (let seed = 1; seed <= HISTORIES; seed++) {
      const disk = new FaultDisk({ seed })
      const random = new SeededRandom(seed)
      const seen = new Set<string>()
      for (let life = 0; life < 5; life++) {
        const log = await disk.open(QUIET)
        const orders = await log.ensureTopic('orders', { partitions: 2 })
        expect(skipped(log, seen), `seed ${seed}, life ${life}`).toEqual([])
        const member = await log.consumerGroup('g', { topics: ['orders'] }).join()
        for (let step = 0; step < 12; step++) {
          const partition = orders.partition(random.below(2))
          partition.append([{ value: `${seed} ${life} ${step}` }])
          if (random.below(4) === 0) await partition.flush()
          for (const record of await member.poll({ max: 3, timeoutMs: 0 })) {
            seen.add(`${record.partition} ${record.offset} ${record.value?.toString()}`)
          }
          if (random.below(3) === 0)
            await member.commit(undefined, { durable: random.below(2) === 0 })
        }
        await (random.below(3) === 0 ? disk.kill() : disk.crash())
      }
      const log = await disk.open(QUIET)
      expect(skipped(log, seen), `seed ${seed}, at its end`).toEqual([])
      await log.close()
    }
  })
})

/** Records below the positions of the group that no member was handed, as they are. */
function skipped(log: EventLog, seen: ReadonlySet<string>): readonly string[] {
  return log
    .consumerGroup('g')
    .offsets()
    .flatMap(({ topic, partition, offset: to }) => {
      const records = [...log.topic(topic).partition(partition).records({ to })]
      return records
        .map(({ offset, value }) => `${partition} ${offset} ${value?.toString()}`)
        .filter((record) => !seen.has(record))
    })
}
