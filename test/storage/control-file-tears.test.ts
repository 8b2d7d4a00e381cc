/** The control file: a write that is interrupted anywhere is never read in part. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import {
  bytesOf,
  driverWith,
  FIRST,
  keyOf,
  SECOND,
  stateOf,
  topicA,
  topicB,
  watermarksOf,
} from './control-file-states.ts'

/** A write, or with the new size in `at` and no bytes, a resize. */
interface Change {
  readonly at: number
  readonly bytes: Buffer | null
}

/** Keeps what changes the files of `driver` from now on, in order. */
function recordChanges(driver: StorageDriver): Change[] {
  const changes: Change[] = []
  const openFile = driver.openFile.bind(driver)
  driver.openFile = (path, mode) => {
    const file = openFile(path, mode)
    const [write, resize] = [file.write.bind(file), file.resize.bind(file)]
    file.write = (source, start, byteLength, position) => {
      changes.push({ at: position, bytes: Buffer.from(source.subarray(start, start + byteLength)) })
      write(source, start, byteLength, position)
    }
    file.resize = (sizeBytes) => {
      changes.push({ at: sizeBytes, bytes: null })
      resize(sizeBytes)
    }
    return file
  }
  return changes
}

/** All contents that `changes` may leave, cut off anywhere: any prefix or suffix of a write. */
function* everyTear(before: Buffer, changes: readonly Change[]): Generator<Buffer> {
  let current = before
  for (const { at, bytes } of changes) {
    yield current
    const next = Buffer.alloc(bytes === null ? at : Math.max(current.length, at + bytes.length))
    current.copy(next)
    for (let length = 1; length < (bytes?.length ?? 0); length += 1) {
      const [prefix, suffix] = [Buffer.from(next), Buffer.from(next)]
      bytes?.copy(prefix, at, 0, length)
      bytes?.copy(suffix, at + length, length)
      yield prefix
      yield suffix
    }
    bytes?.copy(next, at)
    current = next
  }
  yield current
}

describe('an interrupted write', () => {
  const key = keyOf(topicA, 0)
  const neighbour = keyOf(topicB, 9)

  /** A file with `published` states of one partition, and another partition beside it. */
  function prepared(published: number): StorageDriver {
    const driver = openMemoryDriver()
    const control = ControlFile.open(driver, FIRST)
    control.publish(control.slotFor(topicB, 9), stateOf(99))
    for (let seed = 1; seed <= published; seed += 1) {
      control.publish(control.slotFor(topicA, 0), stateOf(seed))
    }
    control.close()
    return driver
  }

  it.each([0, 1, 2, 3])(
    'of a publication after %d others leaves the old state or the new one',
    (published) => {
      const driver = prepared(published)
      const changes = recordChanges(driver)
      const control = ControlFile.open(driver, SECOND)
      const slot = control.slotFor(topicA, 0)
      changes.length = 0
      const before = bytesOf(driver)
      const old = published === 0 ? undefined : stateOf(published)
      control.publish(slot, stateOf(50))
      let [olds, news] = [0, 0]
      for (const bytes of everyTear(before, changes)) {
        const contents = readControlFile(driverWith(bytes))
        const state = watermarksOf(contents, key)
        if (state?.logEndOffset === stateOf(50).logEndOffset) {
          expect(state).toEqual(stateOf(50))
          news += 1
        } else {
          expect(state).toEqual(old)
          // Whoever trusts only what this writer has published does not get the old state for it.
          expect(contents?.slots.get(key)?.writerGeneration).not.toBe(2)
          olds += 1
        }
        expect(watermarksOf(contents, neighbour)).toEqual(stateOf(99))
      }
      expect(olds).toBeGreaterThan(0)
      expect(news).toBeGreaterThan(0)
    },
  )

  it('of any bytes of a publication leaves the old state or the new one', () => {
    const driver = prepared(3)
    const control = ControlFile.open(driver, SECOND)
    const before = bytesOf(driver)
    control.publish(control.slotFor(topicA, 0), stateOf(50))
    const after = bytesOf(driver)
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 52, maxLength: 52 }), (mask) => {
        const bytes = Buffer.from(before)
        mask.forEach((isNew, at) => {
          for (const copyAt of [128 + 24, 128 + 24 + 52]) {
            if (isNew) bytes[copyAt + at] = after[copyAt + at] ?? 0
          }
        })
        const state = watermarksOf(readControlFile(driverWith(bytes)), key)
        expect([stateOf(3), stateOf(50)]).toContainEqual(state)
      }),
    )
  })

  it('of a slot that is freed and given away shows nobody the values of another', () => {
    const driver = prepared(3)
    const changes = recordChanges(driver)
    const control = ControlFile.open(driver, SECOND)
    const slot = control.slotFor(topicA, 0)
    changes.length = 0
    const before = bytesOf(driver)
    control.freeSlot(slot)
    const other = keyOf(topicB, 1)
    expect(control.slotFor(topicB, 1)).toBe(slot)
    control.publish(slot, stateOf(60))
    for (const bytes of everyTear(before, changes)) {
      const contents = readControlFile(driverWith(bytes))
      for (const found of contents?.slots.keys() ?? [])
        expect([key, other, neighbour]).toContain(found)
      const [gone, given] = [watermarksOf(contents, key), watermarksOf(contents, other)]
      expect([undefined, stateOf(2), stateOf(3)]).toContainEqual(gone)
      expect([undefined, stateOf(60)]).toContainEqual(given)
      expect(gone !== undefined && given !== undefined).toBe(false)
    }
  })

  it('of the header leaves the old one, the new one or none', () => {
    const driver = prepared(1)
    for (const reopen of [
      (over: StorageDriver) => ControlFile.open(over, SECOND),
      (over: StorageDriver) => ControlFile.open(over, { ...SECOND, bootId: 'boot-b' }),
    ]) {
      const before = bytesOf(driver)
      const again = driverWith(before)
      const changes = recordChanges(again)
      reopen(again).markClean()
      for (const bytes of everyTear(before, changes)) {
        const contents = readControlFile(driverWith(bytes))
        if (contents?.writerGeneration === 1) {
          expect(contents).toMatchObject({ ...FIRST, clean: false })
        } else if (contents !== undefined) {
          expect(contents).toMatchObject({ writerGeneration: 2, pid: 11 })
          // I1: what boot-a has published is not there under another boot.
          if (contents.bootId !== 'boot-a') expect(contents.slots.size).toBe(0)
        }
      }
    }
  })
})
