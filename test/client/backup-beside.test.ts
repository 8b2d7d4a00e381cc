/**
 * What happens to a log while a backup of it is under way, and what becomes of the backup: topics
 * that go, a log that closes, a signal, a disk that is full, another backup.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { canMount, ownDisk } from '../support/own-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { contentsOf, filesBelow, fill, nowhere, openSmall } from './backup-support.ts'

async function filledLog(): Promise<EventLog> {
  const log = await openSmall(temporaryDirectory())
  await log.createTopic('orders', { partitions: 2 })
  await log.createTopic('other')
  await fill(log, 'orders', 120)
  await fill(log, 'other', 60)
  return log
}

/** Calls `action` when the backup has come to its `turn`-th step. */
function atStep(turn: number, action: () => void): () => void {
  let steps = 0
  return () => {
    if (steps++ === turn) action()
  }
}

describe('while a backup is under way', () => {
  it('a topic may be deleted: it is in the copy as a whole, or not at all', async () => {
    for (const turn of [0, 3, 8, 20, 60]) {
      const log = await filledLog()
      const destination = nowhere()
      let deleting: Promise<void> | undefined
      const onProgress = atStep(turn, () => {
        deleting = log.deleteTopic('orders')
      })
      await log.backup(destination, { onProgress })
      await deleting
      const report = await EventLog.verify(destination)
      expect(report.damage).toEqual([])
      expect([60, 180]).toContain(report.records)
      const copy = await openSmall(destination)
      expect(contentsOf(copy, 'other')).toEqual(contentsOf(log, 'other'))
      await Promise.all([copy.close(), log.close()])
    }
  })

  it('topics may be made, grow, and be written to: they are as they were', async () => {
    const log = await filledLog()
    const destination = nowhere()
    let changing: Promise<unknown> | undefined
    const onProgress = atStep(2, () => {
      changing = Promise.all([
        log.createTopic('new'),
        log.topic('orders').addPartitions(4),
        fill(log, 'other', 40),
      ])
    })
    await log.backup(destination, { onProgress })
    await changing
    const copy = await openSmall(destination)
    expect(copy.topics().map(({ name }) => name)).toEqual(['orders', 'other'])
    expect(copy.topic('orders').partitions).toHaveLength(2)
    expect(contentsOf(copy, 'other')[0]).toHaveLength(60)
  })

  it('segments are neither deleted nor compacted, and are afterwards', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders', { retentionBytes: 1, fileDeleteDelayMs: 0 })
    await fill(log, 'orders', 120)
    const destination = nowhere()
    let cleaning: Promise<unknown> | undefined
    const folder = join(log.directory ?? '', 'orders-0')
    const before = fs.readdirSync(folder)
    const begin = atStep(2, () => {
      cleaning = log.runHousekeeping()
    })
    const onProgress = (): void => {
      begin()
      expect(fs.readdirSync(folder)).toEqual(expect.arrayContaining(before))
    }
    await log.backup(destination, { onProgress })
    await cleaning
    expect(fs.readdirSync(folder).length).toBeLessThan(before.length)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 120 })
  })

  it('the log may be closed: nothing is left of the backup, and an earlier one is as it was', async () => {
    for (const turn of [0, 2, 5]) {
      const log = await filledLog()
      const [empty, earlier] = [nowhere(), nowhere()]
      await log.backup(earlier)
      const before = filesBelow(earlier)
      await fill(log, 'orders', 50)
      let closing: Promise<void> | undefined
      const onProgress = atStep(turn, () => {
        closing = log.close()
      })
      const both = [empty, earlier].map((path) => log.backup(path, { onProgress }))
      const results = await Promise.allSettled(both)
      await closing
      for (const result of results) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } })
      }
      expect(fs.existsSync(empty) ? fs.readdirSync(empty) : []).toEqual([])
      expect(filesBelow(earlier)).toEqual(before)
    }
  })

  it('its signal ends it, as does a progress listener that throws', async () => {
    const log = await filledLog()
    const destination = nowhere()
    const controller = new AbortController()
    const onProgress = atStep(4, () => controller.abort(new Error('enough')))
    const { signal } = controller
    await expect(log.backup(destination, { signal, onProgress })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: new Error('enough'),
    })
    await expect(log.backup(destination, { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    const throwing = (): void => {
      throw new Error('a listener')
    }
    await expect(log.backup(destination, { onProgress: throwing })).rejects.toThrow('a listener')
    expect(fs.readdirSync(destination)).toEqual([])
    await log.backup(destination)
  })

  it('a second one waits for the first', async () => {
    const log = await filledLog()
    const destination = nowhere()
    const [first, second] = await Promise.all([log.backup(destination), log.backup(destination)])
    expect(first.files).toBeGreaterThan(0)
    expect(second.files).toBe(0)
  })

  it('onProgress says how far it has come', async () => {
    const log = await filledLog()
    const seen: number[] = []
    await log.backup(nowhere(), {
      onProgress: ({ bytes, totalBytes }) => {
        expect(bytes).toBeLessThanOrEqual(totalBytes)
        seen.push(bytes)
      },
    })
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.at(-1)).toBeGreaterThan(0)
  })
})

describe.skipIf(!canMount('tmpfs'))('on a disk that is full', () => {
  it('a backup is NO_SPACE, and gives back what it took; an earlier one stays', async () => {
    const log = await openSmall(temporaryDirectory(), {
      topicDefaults: { segmentBytes: 1_048_576 },
    })
    const topic = await log.createTopic('orders')
    await topic.send({ value: Buffer.alloc(500_000) })
    const destination = ownDisk('tmpfs', 6_291_456)
    await log.backup(destination)
    const before = filesBelow(destination)
    for (let count = 0; count < 20; count++) await topic.send({ value: Buffer.alloc(500_000) })
    await expect(log.backup(destination)).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(filesBelow(destination)).toEqual(before)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 1 })
  })
})

describe('a log in memory', () => {
  it('is copied while it is written, and lets the backup finish before it closes', async () => {
    const log = EventLog.inMemory()
    onTestFinished(() => log.close())
    await log.createTopic('orders')
    await fill(log, 'orders', 30)
    const destination = nowhere()
    const copying = log.backup(destination)
    await fill(log, 'orders', 30)
    await copying
    expect([30, 60]).toContain((await EventLog.verify(destination)).records)
  })
})
