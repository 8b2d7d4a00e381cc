/** `EventLog.restore`: what is made of a backup, and of one that is not what it was. */
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { contentsOf, filesBelow, fill, nowhere, openSmall, sharedWith } from './backup-support.ts'

async function backedUp(): Promise<{ log: EventLog; backup: string }> {
  const log = await openSmall(temporaryDirectory())
  await log.createTopic('orders', { partitions: 2 })
  await fill(log, 'orders', 120)
  const backup = nowhere()
  await log.backup(backup)
  return { log, backup }
}

describe('restore', () => {
  it('makes a log of its own of a backup, which stays as it was', async () => {
    const { log, backup } = await backedUp()
    const before = filesBelow(backup)
    const directory = nowhere()
    const report = await EventLog.restore(backup, directory)
    expect(report).toMatchObject({ linked: 0, files: before.size - 1 })
    expect(sharedWith(directory, backup)).toEqual([])
    expect(fs.readdirSync(directory)).not.toContain('streambed.backup')
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, records: 120 })
    const restored = await openSmall(directory)
    expect(restored.recovery.partitions).toEqual([])
    expect(contentsOf(restored, 'orders')).toEqual(contentsOf(log, 'orders'))
    await fill(restored, 'orders', 5)
    expect(filesBelow(backup)).toEqual(before)
    // Another log: it does not go on with the backups of the one that it was made of.
    await expect(restored.backup(backup)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await log.backup(backup)
  })

  it('takes an empty directory, and no other', async () => {
    const { backup } = await backedUp()
    const directory = temporaryDirectory()
    fs.writeFileSync(join(directory, '.gitkeep'), '')
    await EventLog.restore(backup, directory)
    await expect(EventLog.restore(backup, directory)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    for (const wrong of [backup, join(backup, 'below'), join(backup, '..')]) {
      await expect(EventLog.restore(backup, wrong)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
    }
  })

  it('finds every byte that is not what was backed up, and leaves nothing that opens', async () => {
    const { backup } = await backedUp()
    for (const path of filesBelow(backup).keys()) {
      const file = join(backup, path)
      const bytes = fs.readFileSync(file)
      if (bytes.length === 0) continue
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
      // Not into the file: the log may share it.
      fs.rmSync(file)
      fs.writeFileSync(file, changed)
      const directory = nowhere()
      await expect(EventLog.restore(backup, directory), path).rejects.toMatchObject({
        code: 'CORRUPT',
      })
      expect(fs.existsSync(directory) ? fs.readdirSync(directory) : []).toEqual([])
      fs.writeFileSync(file, bytes)
    }
    await EventLog.restore(backup, nowhere())
  })

  it('finds a file that is missing or shorter', async () => {
    const { backup } = await backedUp()
    const file = join(backup, 'orders-1', 'partition.metadata')
    const bytes = fs.readFileSync(file)
    fs.rmSync(file)
    await expect(EventLog.restore(backup, nowhere())).rejects.toMatchObject({ code: 'CORRUPT' })
    fs.writeFileSync(file, bytes.subarray(1))
    await expect(EventLog.restore(backup, nowhere())).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('takes a backup that was opened as the log that it has become, if that is sound', async () => {
    const { backup } = await backedUp()
    const copy = await openSmall(backup)
    await fill(copy, 'orders', 30)
    await expect(EventLog.restore(backup, nowhere())).rejects.toMatchObject({ code: 'LOCKED' })
    const contents = contentsOf(copy, 'orders')
    await copy.close()
    const directory = nowhere()
    await EventLog.restore(backup, directory)
    const restored = await openSmall(directory)
    expect(contentsOf(restored, 'orders')).toEqual(contents)
    const log = join(backup, 'orders-0', '00000000000000000000.log')
    const bytes = fs.readFileSync(log).fill(7, 100, 200)
    fs.rmSync(log)
    fs.writeFileSync(log, bytes)
    await expect(EventLog.restore(backup, nowhere())).rejects.toMatchObject({ code: 'CORRUPT' })
  })

  it('is refused for what is no backup', async () => {
    const log = await openSmall(temporaryDirectory())
    const aLog = log.directory ?? ''
    await log.close()
    await expect(EventLog.restore(aLog, nowhere())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    await expect(EventLog.restore(nowhere(), nowhere())).rejects.toMatchObject({ code: 'IO' })
    await expect(EventLog.restore('', nowhere())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  it('is ended by its signal', async () => {
    const { backup } = await backedUp()
    const directory = nowhere()
    const controller = new AbortController()
    const restoring = EventLog.restore(backup, directory, {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    await expect(restoring).rejects.toMatchObject({ code: 'ABORTED' })
    expect(fs.readdirSync(directory)).toEqual([])
    await EventLog.restore(backup, directory)
  })
})
