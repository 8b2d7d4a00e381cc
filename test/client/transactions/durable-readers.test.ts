/**
 * What is committed and what is durable, together: who reads both sees nothing that may be
 * undone.
 */
import { describe, expect, it } from 'vitest'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'

describe('a reader of what is committed and durable', () => {
  it('sees nothing of a transaction in one partition before its marker is on stable storage', async () => {
    const clock = new TestClock()
    const disk = new FaultDisk({ clock })
    const log = await disk.open({ clock })
    const partition = (await log.createTopic('t')).partition(0)
    const transaction = await log.producer().begin()
    await transaction.send({ topic: 't', value: 'sent' })
    await partition.flush()
    disk.hold(({ action }) => action === 'flush')
    const seen: string[] = []
    const read = async (): Promise<void> => {
      const range = { live: true, isolation: 'read_committed', visibility: 'durable' } as const
      for await (const record of partition.read(range)) seen.push(String(record.value))
    }
    const reading = read()
    const committed = transaction.commit()
    await clock.settle()
    expect(seen).toEqual([])
    for (const flush of disk.held) flush.end()
    await committed
    await clock.settle()
    expect(seen).toEqual(['sent'])
    disk.hold(null)
    await log.close()
    await reading
  })
})

describe('a commit across partitions', () => {
  it('resolves, and shows its records, only when its decision is on stable storage', async () => {
    const clock = new TestClock()
    const disk = new FaultDisk({ clock })
    const log = await disk.open({ clock })
    const topic = await log.createTopic('t', { partitions: 2 })
    const transaction = await log.producer().begin()
    await transaction.send({ topic: 't', partition: 0, value: 'one' })
    await transaction.send({ topic: 't', partition: 1, value: 'other' })
    disk.hold(({ action, path }) => action === 'flush' && /^__transaction_state.*log$/.test(path))
    let isCommitted = false
    const committed = transaction.commit().then(() => (isCommitted = true))
    await clock.settle()
    const shown = (): readonly number[] =>
      topic.partitions.map((one) => [...one.records({ isolation: 'read_committed' })].length)
    while (disk.held.length > 0) {
      expect(isCommitted).toBe(false)
      expect(shown()).toEqual([0, 0])
      disk.held[0]?.end()
      await clock.settle()
    }
    await committed
    expect(shown()).toEqual([1, 1])
    disk.hold(null)
    await log.close()
  })
})
