/** What a follower makes of damage, and of the end of what it follows, step by step. */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { appendMany, offsetsOf, partitionOf, range, readRecords } from '../open-log.ts'
import { Followed } from './followed.ts'
import { elsewhere, SMALL, spoil, written } from './written-log.ts'

describe('damage below what is published', () => {
  it('is CORRUPT for readers, who go on behind it where they are told to', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    spoil(driver, partition, 0.49)
    const followed = new Followed(elsewhere(driver), partition)
    const cursor = followed.partition.cursor(0)
    cursor.next(20)
    expect(cursor.offset).toBe(9)
    const damaged = expect.objectContaining({ code: 'CORRUPT' }) as Error // A matcher.
    expect(() => cursor.next(20)).toThrow(damaged)
    expect(cursor.skipDamage()).toBe(10)
    while (cursor.next(20) !== undefined);
    expect(cursor.offset).toBe(20)
    appendMany(partition, 30)
    followed.publish(partition)
    expect(offsetsOf(readRecords(followed.partition, 10))).toEqual(range(10, 50))
  })

  it('at its very end is met as well, and what comes later is read', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    spoil(driver, partition, 0.99)
    const followed = new Followed(elsewhere(driver), partition)
    const cursor = followed.partition.cursor(0)
    cursor.next(20)
    expect(cursor.offset).toBe(19)
    expect(() => cursor.next(20)).toThrow('damaged batch at offset 19')
    expect(cursor.skipDamage()).toBe(20)
    appendMany(partition, 5)
    followed.publish(partition)
    expect(offsetsOf(readRecords(followed.partition, 20))).toEqual(range(20, 25))
    for (let more = 0; more < 100; more++) appendMany(partition, 1, 100)
    followed.publish(partition)
    expect(offsetsOf(readRecords(followed.partition, 20))).toEqual(range(20, 125))
  })

  it('is told, not waited for, where somebody cut the file', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 20)
    const followed = new Followed(elsewhere(driver), partition)
    expect(followed.partition.segments.count).toBe(1)
    const { logPath, sizeBytes } = partition.segments.active
    const file = elsewhere(driver).openFile(logPath, 'write')
    file.resize(Math.floor(sizeBytes / 2))
    file.close()
    const cursor = followed.partition.cursor(0)
    cursor.next(20)
    expect(cursor.offset).toBe(10)
    expect(() => cursor.next(20)).toThrow('damaged batch at offset 10')
    expect(cursor.skipDamage()).toBe(20)
  })
})

describe('the end of a partition', () => {
  it.each([
    ['closed', 'CLOSED'],
    ['deleted', 'TOPIC_NOT_FOUND'],
    ['lost', 'IO'],
  ] as const)(
    'is told to who listens, or has batches at hand, and every file is let go: %s',
    async (end, code) => {
      const { driver, partition } = await written()
      appendMany(partition, 100, 100)
      const reader = elsewhere(driver)
      const followed = new Followed(reader, partition)
      readRecords(followed.partition)
      let told = 0
      followed.partition.onChange(() => {
        told += 1
        expect(followed.partition.end).toBe(end)
      })
      followed.partition.finish(end)
      followed.partition.finish('closed')
      followed.partition.refresh()
      expect(told).toBe(1)
      const ended = expect.objectContaining({ code }) as Error // A matcher.
      expect(() => followed.partition.isAborted(1, 0)).toThrow(ended)
      expect(followed.isListening).toBe(false)
      expect(followed.partition.extend()).toBe(false)
      expect(reader.files.size).toBe(0)
    },
  )

  it('is asked for where the folder is gone', async () => {
    const { driver, partition } = await written()
    appendMany(partition, 5)
    const followed = new Followed(elsewhere(driver), partition)
    await driver.removeDirectory(partition.directory)
    followed.onMissing = () => followed.partition.finish('lost')
    expect(() => followed.partition.segments).toThrow(expect.objectContaining({ code: 'IO' }))
    expect(followed.missingCount).toBe(1)
  })

  it('is asked for where the folder is that of another topic of the same name', async () => {
    const { driver, log, partition } = await written()
    appendMany(partition, 60, 100)
    const followed = new Followed(elsewhere(driver), partition)
    const topic = log.topic('t')
    if (topic === undefined) throw new Error('no topic')
    await runProcedure(log.deleteTopic('t'))
    await runProcedure(log.createTopic('t', SMALL))
    const other = partitionOf(log, 't')
    appendMany(other, 100, 100)
    followed.onMissing = () => followed.partition.finish('deleted')
    expect(() => readRecords(followed.partition)).toThrow(
      expect.objectContaining({ code: 'TOPIC_NOT_FOUND' }),
    )
  })
})
