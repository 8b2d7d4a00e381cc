/**
 * The slots of an index in memory and in their file: what a stop or a failed sync may leave of
 * them.
 */
import { describe, expect, it } from 'vitest'
import { IndexFile } from '../../src/storage/index-file.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { bytesOf, overwrite } from '../log/tampering.ts'

const SLOT_BYTES = 8
const PATH = 'd/index'

function newDriver(): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory('d')
  return driver
}

function add(index: IndexFile, ...values: readonly number[]): void {
  for (const value of values) {
    const slot = index.addSlot() // First: it may move the view.
    index.view.setInt32(slot * SLOT_BYTES, value)
  }
}

function valuesOf(index: IndexFile): readonly number[] {
  return Array.from({ length: index.slotCount }, (_, slot) =>
    index.view.getInt32(slot * SLOT_BYTES),
  )
}

function stored(driver: StorageDriver): readonly number[] {
  return valuesOf(IndexFile.load(driver, PATH, SLOT_BYTES))
}

describe('an index file', () => {
  it('holds what was written out, in exact size, however often it was cut', () => {
    const driver = newDriver()
    const index = IndexFile.create(driver, PATH, SLOT_BYTES)
    add(index, 1, 2, 3)
    expect(stored(driver)).toEqual([])
    index.writeOut()
    add(index, 4)
    index.truncateTo(2)
    add(index, 5)
    index.writeOut()
    expect(stored(driver)).toEqual([1, 2, 5])
    expect(bytesOf(driver, PATH)).toHaveLength(3 * SLOT_BYTES)
  })

  it('ignores bytes behind its last whole slot, and cuts them off', () => {
    const driver = newDriver()
    overwrite(driver, PATH, Buffer.alloc(SLOT_BYTES + 3, 1))
    const index = IndexFile.load(driver, PATH, SLOT_BYTES)
    expect(index.slotCount).toBe(1)
    index.writeOut()
    expect(bytesOf(driver, PATH)).toHaveLength(SLOT_BYTES)
  })

  it('is empty where it is missing, says so, and appears with the first write', () => {
    const driver = newDriver()
    const index = IndexFile.load(driver, PATH, SLOT_BYTES)
    expect([index.wasMissing, index.slotCount]).toEqual([true, 0])
    add(index, 7)
    index.writeOut()
    expect(stored(driver)).toEqual([7])
  })

  it('is written anew as a whole after a sync that failed', async () => {
    const driver = newDriver()
    const index = IndexFile.create(driver, PATH, SLOT_BYTES)
    await driver.flushDirectory('')
    await driver.flushDirectory('d')
    const values = Array.from({ length: 200 }, (_, value) => value) // More than one sector.
    add(index, ...values)
    index.writeOut()
    driver.onCall = ({ action }) => (action === 'flush' ? 'drop' : undefined)
    await expect(index.flush()).rejects.toMatchObject({ code: 'IO' })
    driver.onCall = undefined
    expect(index.isUnflushed).toBe(true)
    add(index, 200)
    index.writeOut()
    await index.flush()
    expect(index.isUnflushed).toBe(false)
    expect(stored(driver.powerCut(new SeededRandom(1), 'none'))).toEqual([...values, 200])
  })

  it('that is built anew leaves the old file whole until it takes its place whole', async () => {
    for (let calls = 0, isDone = false; !isDone; calls++) {
      for (const how of ['none', 'all', 'some', 'kill'] as const) {
        const driver = newDriver()
        const index = IndexFile.create(driver, PATH, SLOT_BYTES)
        add(index, 1, 2, 3, 4)
        index.writeOut()
        await index.flush()
        await driver.flushDirectory('')
        await driver.flushDirectory('d')
        index.detach()
        add(index, 5, 6)
        index.writeOut()
        expect([index.isUnflushed, stored(driver)]).toEqual([true, [1, 2, 3, 4]])
        let left = calls
        driver.onCall = () => (left-- > 0 ? undefined : 'stop')
        isDone = await index.flush().then(
          () => true,
          () => false,
        )
        driver.onCall = undefined
        const random = new SeededRandom(calls)
        const after = how === 'kill' ? driver.processKill() : driver.powerCut(random, how)
        if (isDone) expect(stored(after)).toEqual([5, 6])
        else
          expect([
            [1, 2, 3, 4],
            [5, 6],
          ]).toContainEqual(stored(after))
      }
    }
  })

  it.each([[[]], [[1, 2, 3]]])(
    'that is built anew as it was, %j, is written again in its place and synced',
    async (values) => {
      const driver = newDriver()
      const before = IndexFile.create(driver, PATH, SLOT_BYTES)
      add(before, ...values)
      before.writeOut()
      await driver.flushDirectory('')
      await driver.flushDirectory('d')
      const index = IndexFile.load(driver, PATH, SLOT_BYTES)
      index.detach()
      add(index, ...values)
      const renames: string[] = []
      driver.onCall = ({ action, path }) => {
        if (action === 'rename') renames.push(path)
        return undefined
      }
      await index.flush()
      driver.onCall = undefined
      expect([renames, index.isUnflushed]).toEqual([[], false])
      expect(stored(driver.powerCut(new SeededRandom(1), 'none'))).toEqual(values)
    },
  )

  it('goes on in its new file after it was replaced', async () => {
    const driver = newDriver()
    const index = IndexFile.create(driver, PATH, SLOT_BYTES)
    add(index, 1)
    index.writeOut()
    index.detach()
    add(index, 2)
    await index.flush()
    add(index, 3)
    index.writeOut()
    await index.flush()
    expect(stored(driver)).toEqual([2, 3])
  })

  it('leaves no file open where it cannot be made', () => {
    const driver = newDriver()
    overwrite(driver, PATH, Buffer.alloc(SLOT_BYTES, 1))
    driver.machine.faults.inject({ fault: 'EIO', action: 'resize' })
    expect(() => IndexFile.create(driver, PATH, SLOT_BYTES)).toThrow(
      expect.objectContaining({ code: 'IO' }),
    )
    expect(driver.files.size).toBe(0)
  })

  it('that the device cannot read is as good as missing, and is replaced, not written to', async () => {
    const driver = newDriver()
    overwrite(driver, PATH, Buffer.alloc(SLOT_BYTES, 1))
    driver.machine.faults.inject({ fault: 'EIO', action: 'read' })
    const index = IndexFile.load(driver, PATH, SLOT_BYTES)
    expect(driver.files.size).toBe(0)
    expect(index).toMatchObject({ wasMissing: true, slotCount: 0, isUnflushed: true })
    add(index, 2)
    index.writeOut()
    expect(stored(driver)).toEqual([0x01010101])
    await index.flush()
    expect(stored(driver)).toEqual([2])
  })

  it('that the device cannot read is replaced by one without a slot as well', async () => {
    const driver = newDriver()
    overwrite(driver, PATH, Buffer.alloc(SLOT_BYTES, 1))
    driver.machine.faults.inject({ fault: 'EIO', action: 'read', count: 2 })
    const index = IndexFile.load(driver, PATH, SLOT_BYTES)
    await index.flush()
    expect(stored(driver)).toEqual([])
  })

  it('that is closed while it is replaced leaves the name to whoever has it then', async () => {
    const driver = newDriver()
    const index = IndexFile.create(driver, PATH, SLOT_BYTES)
    index.detach()
    add(index, 2)
    let release: (() => void) | undefined
    driver.flushWait = () => new Promise<void>((resolve) => (release = resolve))
    const flushed = index.flush()
    index.close()
    driver.rename(PATH, `${PATH}.deleted`)
    overwrite(driver, PATH, Buffer.alloc(SLOT_BYTES, 1))
    release?.()
    await flushed
    expect(stored(driver)).toEqual([0x01010101])
  })
})
