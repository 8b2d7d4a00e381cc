/**
 * `log.backup` on disks: what the copy holds, what is shared, what another call does, and what is
 * refused. Stops at every line are backup-crashes.test.ts' business.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { contentsOf, filesBelow, fill, nowhere, openSmall, sharedWith } from './backup-support.ts'

describe('a backup', () => {
  it('opens as a log that holds what the log held, and is sound', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders', { partitions: 3 })
    await fill(log, 'orders', 300)
    const destination = nowhere()
    const report = await log.backup(destination)
    expect(report.linked).toBeGreaterThan(0)
    expect(report.files).toBeGreaterThan(report.linked)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 300 })
    const copy = await openSmall(destination)
    expect(copy.recovery.partitions).toEqual([])
    expect(contentsOf(copy, 'orders')).toEqual(contentsOf(log, 'orders'))
    expect(copy.topic('orders').id).toBe(log.topic('orders').id)
    expect(copy.topic('orders').config).toEqual(log.topic('orders').config)
  })

  it('has neither marker, lock, nor control file, and no folder but those of partitions', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 100)
    const destination = nowhere()
    await log.backup(destination)
    const names = fs.readdirSync(destination)
    expect(names).toContain('streambed.backup')
    for (const none of ['.kafka_cleanshutdown', '.lock', 'streambed.lock', 'streambed.control']) {
      expect(names).not.toContain(none)
    }
    const folders = names.filter((name) => fs.statSync(join(destination, name)).isDirectory())
    expect(folders).toEqual(['orders-0'])
  })

  it('ends where the log ended at one instant, though everybody goes on writing', async () => {
    const log = await openSmall(temporaryDirectory(), { topicDefaults: { segmentBytes: 65_536 } })
    const topics = ['one', 'two']
    for (const topic of topics) await log.createTopic(topic)
    const end = new AbortController()
    let count = 0
    const writing = (async () => {
      while (!end.signal.aborted && count < 5_000) {
        // In one turn, the first topic first: no instant shows more of the second.
        for (const topic of topics)
          log
            .topic(topic)
            .partition(0)
            .append([{ value: `${count}` }])
        count += 1
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const destination = nowhere()
    await log.backup(destination)
    end.abort()
    await writing
    const copy = await openSmall(destination)
    const [one, two] = topics.map((topic) => contentsOf(copy, topic)[0] ?? [])
    expect(one).toEqual(two)
    expect(one?.length).toBeGreaterThan(0)
    expect(one?.length).toBeLessThanOrEqual(count)
  })

  it('has positions of groups, and a log start, as they were', async () => {
    const log = await openSmall(temporaryDirectory())
    const topic = await log.createTopic('orders')
    await fill(log, 'orders', 120)
    const group = log.consumerGroup('billing', { topics: ['orders'] })
    const consumer = await group.join()
    await consumer.poll()
    await consumer.commit()
    await consumer.leave()
    await topic.partition(0).deleteRecords(50)
    const destination = nowhere()
    await log.backup(destination)
    const copy = await openSmall(destination)
    expect(copy.topic('orders').partition(0).logStartOffset).toBe(50)
    expect(copy.consumerGroup('billing').offsets()).toEqual(log.consumerGroup('billing').offsets())
    expect(copy.recovery.positions).toEqual([])
  })

  it('of a log in memory is files like any other', async () => {
    const log = EventLog.inMemory({ topicDefaults: { segmentBytes: 4_096 } })
    onTestFinished(() => log.close())
    await log.createTopic('orders', { partitions: 2 })
    await fill(log, 'orders', 200)
    const destination = nowhere()
    expect((await log.backup(destination)).linked).toBe(0)
    await fill(log, 'orders', 10)
    expect((await log.backup(destination)).files).toBeLessThan(20)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 210 })
    const copy = await openSmall(destination)
    expect(copy.recovery.partitions).toEqual([])
    expect(contentsOf(copy, 'orders')).toEqual(contentsOf(log, 'orders'))
  })

  it('is copies where the file system has no links', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 200)
    const failing = vi.spyOn(fs, 'linkSync').mockImplementation(() => {
      throw Object.assign(new Error('no links'), { code: 'ENOTSUP' })
    })
    onTestFinished(() => failing.mockRestore())
    const destination = nowhere()
    expect((await log.backup(destination)).linked).toBe(0)
    expect(await log.backup(destination)).toMatchObject({ files: 0, bytes: 0 })
    const copy = await openSmall(destination)
    expect(contentsOf(copy, 'orders')).toEqual(contentsOf(log, 'orders'))
  })
})

describe('what a backup shares with its log', () => {
  it('is never written to, whatever becomes of either', async () => {
    const directory = temporaryDirectory()
    const log = await openSmall(directory)
    await log.createTopic('orders', { partitions: 2, cleanupPolicy: 'compact' })
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const shared = sharedWith(destination, directory)
    expect(shared.some((path) => path.endsWith('.log'))).toBe(true)
    const before = new Map([...filesBelow(directory)].filter(([path]) => shared.includes(path)))
    const unchanged = (): void => {
      const now = filesBelow(directory)
      for (const [path, bytes] of before) expect(now.get(path) === bytes, path).toBe(true)
    }

    // The copy: opened, recovered, appended to, compacted, cut at its start, closed, opened again.
    for (let life = 0; life < 2; life++) {
      const copy = await openSmall(destination)
      await fill(copy, 'orders', 60)
      await copy.runHousekeeping({ force: true })
      await copy.topic('orders').partition(0).deleteRecords(30)
      await copy.close()
      unchanged()
    }
    // Damaged in a file of its own, and repaired.
    const own = fs
      .readdirSync(join(destination, 'orders-0'))
      .filter((name) => name.endsWith('.log'))
    const last = join(destination, 'orders-0', own.at(-1) ?? '')
    fs.writeFileSync(last, fs.readFileSync(last).fill(7, 10, 40))
    await EventLog.repair(destination)
    unchanged()
    await (await openSmall(destination)).deleteTopic('orders')
    unchanged()
  })

  it('is not what the log itself replaces: the copy stays as it was', async () => {
    const directory = temporaryDirectory()
    const log = await openSmall(directory)
    await log.createTopic('orders', { cleanupPolicy: 'compact', fileDeleteDelayMs: 0 })
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const before = filesBelow(destination)
    await log.runHousekeeping({ force: true })
    await fill(log, 'orders', 100)
    await log.close()
    await (await openSmall(directory)).deleteTopic('orders')
    expect(filesBelow(destination)).toEqual(before)
  })

  it('does not include the segment that the copy goes on in', async () => {
    const directory = temporaryDirectory()
    const log = await openSmall(directory)
    await log.createTopic('orders')
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const logs = fs.readdirSync(join(destination, 'orders-0')).filter((one) => one.endsWith('.log'))
    const shared = sharedWith(destination, directory).filter((path) => path.endsWith('.log'))
    expect(shared).toHaveLength(logs.length - 1)
    expect(shared.some((path) => path.endsWith(logs.at(-1) ?? ''))).toBe(false)
  })
})

describe('a second backup', () => {
  it('brings only what is new, and takes away what is no longer in the log', async () => {
    const directory = temporaryDirectory()
    const log = await openSmall(directory)
    await log.createTopic('orders')
    await log.createTopic('gone')
    await fill(log, 'orders', 200)
    await fill(log, 'gone', 50)
    const destination = nowhere()
    const first = await log.backup(destination)
    expect(await log.backup(destination)).toMatchObject({ files: 0, linked: 0, bytes: 0 })
    await log.deleteTopic('gone')
    await fill(log, 'orders', 60)
    const second = await log.backup(destination)
    expect(second.files).toBeGreaterThan(0)
    expect(second.files).toBeLessThan(first.files / 2)
    expect(fs.readdirSync(destination)).not.toContain('gone-0')
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 260 })
    const copy = await openSmall(destination)
    expect(copy.topics().map(({ name }) => name)).toEqual(['orders'])
    expect(contentsOf(copy, 'orders')).toEqual(contentsOf(log, 'orders'))
  })

  it('follows compaction, and a topic that was made anew', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('state', { cleanupPolicy: 'compact', fileDeleteDelayMs: 0 })
    await fill(log, 'state', 150)
    const destination = nowhere()
    await log.backup(destination)
    await log.runHousekeeping({ force: true })
    await log.backup(destination)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true })
    await log.deleteTopic('state')
    await log.createTopic('state')
    await fill(log, 'state', 10)
    await log.backup(destination)
    const copy = await openSmall(destination)
    expect(contentsOf(copy, 'state')).toEqual(contentsOf(log, 'state'))
  })

  it('goes on from a copy that somebody opened to look at it', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders', { partitions: 2 })
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const looked = await openSmall(destination)
    expect(contentsOf(looked, 'orders')).toEqual(contentsOf(log, 'orders'))
    await expect(log.backup(destination)).rejects.toMatchObject({ code: 'LOCKED' })
    await looked.close()
    await fill(log, 'orders', 20)
    await log.backup(destination)
    expect(fs.readdirSync(destination)).not.toContain('.kafka_cleanshutdown')
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 220 })
    const copy = await openSmall(destination)
    expect(contentsOf(copy, 'orders')).toEqual(contentsOf(log, 'orders'))
  })

  it('never takes records away that somebody appended to the copy', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const copy = await openSmall(destination)
    await fill(copy, 'orders', 1)
    await copy.close()
    const before = filesBelow(destination)
    await expect(log.backup(destination)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(filesBelow(destination)).toEqual(before)
  })

  it('never takes away a topic that somebody made, or made anew, in the copy', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 50)
    for (const name of ['orders', 'mine']) {
      const destination = nowhere()
      await log.backup(destination)
      const copy = await openSmall(destination)
      await copy.deleteTopic('orders')
      await copy.createTopic(name)
      await fill(copy, name, 1)
      await copy.close()
      await expect(log.backup(destination)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(contentsOf(await openSmall(destination), name)[0]).toHaveLength(1)
    }
  })

  it('leaves alone what is neither its own nor an engine’s', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 50)
    const destination = nowhere()
    await log.backup(destination)
    const notes = ['my notes.tmp', 'read me.txt', join('orders-0', 'x y.tmp')]
    for (const note of notes) fs.writeFileSync(join(destination, note), 'mine')
    await (await openSmall(destination)).close()
    await fill(log, 'orders', 20)
    await log.backup(destination)
    await log.backup(destination)
    for (const note of notes.slice(0, 2)) expect(fs.existsSync(join(destination, note))).toBe(true)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 70 })
  })

  it('makes anew what was changed or lost in the copy', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const folder = join(destination, 'orders-0')
    const [first = ''] = fs.readdirSync(folder).filter((one) => one.endsWith('.log'))
    fs.rmSync(join(folder, first))
    fs.rmSync(join(destination, 'metadata.json'))
    await log.backup(destination)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 200 })
  })

  it('makes anew what has decayed in the copy, as long as it was', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('orders')
    await fill(log, 'orders', 200)
    const destination = nowhere()
    await log.backup(destination)
    const segments = fs.readdirSync(join(destination, 'orders-0')).filter((one) => {
      return one.endsWith('.log')
    })
    for (const name of [`orders-0/${segments[0]}`, 'metadata.json', 'meta.properties']) {
      const path = join(destination, name)
      const bytes = fs.readFileSync(path)
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
      fs.rmSync(path) // It may be a link.
      fs.writeFileSync(path, bytes)
    }
    const restored = nowhere()
    await expect(EventLog.restore(destination, restored)).rejects.toMatchObject({ code: 'CORRUPT' })
    await log.backup(destination)
    expect(await EventLog.verify(destination)).toMatchObject({ sound: true, records: 200 })
    await EventLog.restore(destination, restored)
    expect(await EventLog.verify(restored)).toMatchObject({ sound: true, records: 200 })
  })
})

describe('a backup is refused', () => {
  it.each(['', '\0'])('where its destination is no path: %j', async (destination) => {
    const log = await openSmall(temporaryDirectory())
    await expect(log.backup(destination)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('in the directory of the log, below it, and through a link to it', async () => {
    const directory = temporaryDirectory()
    const log = await openSmall(directory)
    const link = nowhere()
    fs.symlinkSync(directory, link)
    for (const destination of [directory, join(directory, 'a', 'b'), join(link, 'a')]) {
      await expect(log.backup(destination)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    expect(fs.readdirSync(directory)).not.toContain('a')
  })

  it('where something else lies, which stays as it is', async () => {
    const log = await openSmall(temporaryDirectory())
    const other = await openSmall(temporaryDirectory())
    const [files, ofOther] = [temporaryDirectory(), nowhere()]
    fs.writeFileSync(join(files, 'thesis.txt'), 'years of work')
    await other.backup(ofOther)
    const aLog = other.directory ?? ''
    for (const destination of [files, ofOther, aLog, join(files, 'thesis.txt')]) {
      await expect(log.backup(destination)).rejects.toMatchObject({
        code: destination === aLog ? 'LOCKED' : 'INVALID_ARGUMENT',
      })
    }
    await other.close()
    await expect(log.backup(aLog)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(fs.readFileSync(join(files, 'thesis.txt'), 'utf8')).toBe('years of work')
    await expect(EventLog.verify(aLog)).resolves.toMatchObject({ sound: true })
  })

  it('once the log is closed, or with options that there are not', async () => {
    const log = await openSmall(temporaryDirectory())
    const options: object = { to: 'nowhere' }
    await expect(log.backup(nowhere(), options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await log.close()
    await expect(log.backup(nowhere())).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
