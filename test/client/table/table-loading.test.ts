/**
 * What happens to a table while it is loaded: to its topic, its log, its device, and by compaction.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../../src/client/event-log.ts'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { closeWhenDone } from '../open-log.ts'
import { rejection } from '../refusal.ts'
import { settled } from './table-topics.ts'

const Words = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  partitions: 2,
  segmentBytes: 4_096,
  deleteRetentionMs: 0,
  fileDeleteDelayMs: 0,
})
const ROUNDS = 60

interface Filled {
  readonly disk: FaultDisk
  readonly log: EventLog
}

/** A log that was opened anew, so that nothing of it is in memory: k0 to k99, many times each. */
async function filled(): Promise<Filled> {
  const clock = new FakeClock()
  const disk = new FaultDisk({ clock })
  const first = await disk.open({ topics: [Words], clock })
  for (let round = 0; round < ROUNDS; round++) {
    for (const { index } of first.topic(Words).partitions) {
      const records = Array.from({ length: 50 }, (_, number) => {
        return { key: `${index}-${number}`, value: `${round}`.padEnd(50, '.') }
      })
      first.topic(Words).partition(index).append(records)
    }
  }
  await first.close()
  const log = await disk.open({ clock })
  closeWhenDone(log)
  return { disk, log }
}

describe('a table that is loaded', () => {
  it('has the partitions that are added meanwhile', async () => {
    const { log } = await filled()
    const words = log.topic(Words)
    const loading = words.table()
    await words.addPartitions(4)
    words.partition(3).append({ key: 'new', value: 'n' })
    const table = await loading
    expect([table.size, table.get('new')]).toEqual([101, 'n'])
    words.partition(2).append({ key: 'newer', value: 'm' })
    expect(table.get('newer')).toBe('m')
  })

  it('rejects where its topic is deleted meanwhile, and the rest goes on', async () => {
    const { log } = await filled()
    const loading = rejection(log.topic(Words).table())
    await log.deleteTopic(Words)
    expect((await loading).code).toBe('TOPIC_NOT_FOUND')
    await log.createTopic(Words)
    expect((await log.topic(Words).table()).size).toBe(0)
  })

  it('rejects at once where its signal aborts while the device reads, or the log is closed', async () => {
    const { disk, log } = await filled()
    disk.recordCalls(true)
    disk.hold(({ action, path }) => action === 'readAhead' && path.endsWith('.log'))
    const controller = new AbortController()
    const loading = rejection(log.topic(Words).table({ signal: controller.signal }))
    const other = rejection(log.topic(Words).table())
    await settled()
    expect(disk.held).not.toHaveLength(0)
    controller.abort()
    expect((await loading).code).toBe('ABORTED')
    const closing = log.close()
    expect((await other).code).toBe('CLOSED')
    disk.hold(null)
    for (const held of disk.held) held.end()
    await closing
  })

  it('rejects where the device fails, and can be loaded the next time', async () => {
    const { disk, log } = await filled()
    disk.faults.inject({ fault: 'EIO', action: 'readAhead', path: /words-1.*log$/, nth: 2 })
    expect((await rejection(log.topic(Words).table())).code).toBe('IO')
    disk.faults.clear()
    expect((await log.topic(Words).table()).size).toBe(100)
  })

  it('goes on where records are deleted below what was read, and above', async () => {
    const { log } = await filled()
    const words = log.topic(Words)
    const loading = words.table()
    await words.partition(0).deleteRecords(50 * ROUNDS - 10)
    await words.partition(1).deleteRecords(50 * ROUNDS)
    const table = await loading
    await settled()
    expect([...table.entries()].map(([key]) => key).toSorted()).toEqual(
      Array.from({ length: 10 }, (_, number) => `0-${40 + number}`),
    )
    expect(table.size).toBe(10)
  })

  it('has no key whose tombstone is compacted away before it is read', async () => {
    const { log } = await filled()
    const words = log.topic(Words)
    for (let number = 0; number < 50; number++) {
      words.partition(0).append({ key: `0-${number}`, value: null })
    }
    for (let number = 0; number < 200; number++) {
      words.partition(0).append({ key: 'filler', value: `${number}`.padEnd(50) })
    }
    const loading = words.table()
    for (let run = 0; run < 4; run++) await log.runHousekeeping({ force: true })
    const table = await loading
    expect(table.size).toBe(51)
    expect(table.has('0-7')).toBe(false)
  })

  it('is the same after compaction, and after that under it', async () => {
    const { log } = await filled()
    const words = log.topic(Words)
    const before = await words.table()
    await log.runHousekeeping({ force: true })
    const after = await words.table()
    expect(new Map(after)).toEqual(new Map(before))
    expect(after.size).toBe(100)
    words.partition(0).append({ key: '0-1', value: 'new' })
    expect([before.get('0-1'), after.get('0-1')]).toEqual(['new', 'new'])
  })

  it('serves several tables of one topic, each with types of its own', async () => {
    const { log } = await filled()
    const [typed, plain] = await Promise.all([log.topic(Words).table(), log.topic('words').table()])
    log.topic(Words).partition(0).append({ key: 'a', value: 'b' })
    expect([typed.get('a'), plain.get(Buffer.from('a'))?.toString()]).toEqual(['b', 'b'])
    await typed.close()
    log.topic(Words).partition(0).append({ key: 'a', value: 'c' })
    expect(plain.get(Buffer.from('a'))?.toString()).toBe('c')
  })
})
