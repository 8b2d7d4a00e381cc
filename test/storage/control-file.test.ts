/** The control file: what is published is read, and an interrupted write is never read in part. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/format/crc32c.ts'
import { CONTROL_FILE, ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import type { ControlFileContents } from '../../src/storage/control-file.ts'
import { controlSlotKey } from '../../src/storage/control-slot.ts'
import type { PartitionWatermarks } from '../../src/storage/control-slot.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const FIRST = { writerGeneration: 1, bootId: 'boot-a', pid: 10 }
const SECOND = { writerGeneration: 2, bootId: 'boot-a', pid: 11 }
const topicA = Buffer.alloc(16, 0xa1)
const topicB = Buffer.alloc(16, 0xb2)

function keyOf(topicId: Buffer, partition: number): string {
  return controlSlotKey(formatTopicId(topicId), partition)
}

/** A state that no other `seed` shares a field with. */
function stateOf(seed: number): PartitionWatermarks {
  const base = seed * 1_000_003
  return {
    layoutEpoch: (seed * 7) >>> 0, logStartOffset: base, lastStableOffset: base + 1,
    durableOffset: base + 2, highWatermark: base + 3, logEndOffset: base + 4,
  }
}

function bytesOf(driver: StorageDriver): Buffer {
  const file = driver.openFile(CONTROL_FILE, 'read')
  const bytes = Buffer.alloc(file.sizeBytes)
  file.read(bytes, 0, bytes.length, 0)
  file.close()
  return bytes
}

function driverWith(bytes: Buffer): StorageDriver {
  const driver = openMemoryDriver()
  const file = driver.openFile(CONTROL_FILE, 'create')
  file.write(bytes, 0, bytes.length, 0)
  file.close()
  return driver
}

/** What `readControlFile` gives for one partition, without its key. */
function watermarksOf(contents: ControlFileContents | undefined, key: string): PartitionWatermarks | undefined {
  const found = contents?.slots.get(key)
  if (found === undefined) return undefined
  const { topicId: _topicId, partition: _partition, writerGeneration: _generation, ...state } = found
  return state
}

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

/** All contents that `changes` may leave when they are cut off: any prefix or suffix of each write. */
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

describe.each([
  ['memory', openMemoryDriver],
  ['disk', () => openDiskDriver(temporaryDirectory())],
])('ControlFile over %s', (_name, openDriver) => {
  it('is read as it was published', () => {
    const driver = openDriver()
    expect(readControlFile(driver)).toBeUndefined()
    const control = ControlFile.open(driver, FIRST)
    expect(readControlFile(driver)).toEqual({ ...FIRST, clean: false, slots: new Map() })
    const slot = control.slotFor(topicA, 3)
    expect(readControlFile(driver)?.slots.size).toBe(0)
    for (const seed of [1, 2, 3]) {
      control.publish(slot, stateOf(seed))
      expect(readControlFile(driver)?.slots).toEqual(new Map([[keyOf(topicA, 3), {
        ...stateOf(seed), topicId: formatTopicId(topicA), partition: 3, writerGeneration: 1,
      }]]))
    }
    control.markClean()
    control.close()
    control.close()
    expect(readControlFile(driver)).toMatchObject({ ...FIRST, clean: true })
    driver.close()
  })

  it('grows in place for thousands of partitions', () => {
    const driver = openDriver()
    const control = ControlFile.open(driver, FIRST)
    for (let partition = 0; partition < 2000; partition += 1) {
      control.publish(control.slotFor(topicA, partition), stateOf(partition))
    }
    const contents = readControlFile(driver)
    expect(contents?.slots.size).toBe(2000)
    for (let partition = 0; partition < 2000; partition += 1) {
      expect(watermarksOf(contents, keyOf(topicA, partition))).toEqual(stateOf(partition))
    }
    expect(driver.status(CONTROL_FILE)?.sizeBytes).toBe(63 * 4096)
    control.close()
    driver.close()
  })
})

describe('ControlFile', () => {
  it('agrees with a map, whatever is published, freed and reopened', () => {
    const step = fc.record({
      kind: fc.constantFrom('publish', 'publish', 'publish', 'free', 'reopen', 'reboot'),
      topicId: fc.constantFrom(topicA, topicB),
      partition: fc.nat({ max: 2 }),
      seed: fc.nat({ max: 1_000_000 }),
    })
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const driver = openMemoryDriver()
      let writer = FIRST
      let control = ControlFile.open(driver, writer)
      const model = new Map<string, PartitionWatermarks>()
      for (const { kind, topicId, partition, seed } of steps) {
        if (kind === 'publish') {
          control.publish(control.slotFor(topicId, partition), stateOf(seed))
          model.set(keyOf(topicId, partition), stateOf(seed))
        } else if (kind === 'free') {
          control.freeSlot(control.slotFor(topicId, partition))
          model.delete(keyOf(topicId, partition))
        } else {
          control.close()
          if (kind === 'reboot') model.clear()
          const bootId = kind === 'reboot' ? `${writer.bootId}+` : writer.bootId
          writer = { ...writer, bootId, writerGeneration: writer.writerGeneration + 1 }
          control = ControlFile.open(driver, writer)
        }
        const contents = readControlFile(driver)
        expect(contents).toMatchObject({ ...writer, clean: false })
        expect([...contents?.slots.keys() ?? []].sort()).toEqual([...model.keys()].sort())
        for (const [key, state] of model) expect(watermarksOf(contents, key)).toEqual(state)
      }
    }))
  })

  it('gives a partition the slot that it has, and a new one the lowest that is free', () => {
    const control = ControlFile.open(openMemoryDriver(), FIRST)
    expect([0, 1, 2, 0, 1].map((partition) => control.slotFor(topicA, partition))).toEqual([0, 1, 2, 0, 1])
    control.freeSlot(1)
    expect(control.slotFor(topicB, 1)).toBe(1)
    expect(control.slotFor(topicA, 1)).toBe(3)
  })

  it('keeps what this boot published, marked as the earlier writer\'s until it is published anew', () => {
    const driver = openMemoryDriver()
    const first = ControlFile.open(driver, FIRST)
    for (const partition of [0, 1]) first.publish(first.slotFor(topicA, partition), stateOf(partition))
    first.close()
    const second = ControlFile.open(driver, SECOND)
    expect(readControlFile(driver)).toMatchObject({ ...SECOND, clean: false })
    second.publish(second.slotFor(topicA, 1), stateOf(5))
    const contents = readControlFile(driver)
    expect(contents?.slots.get(keyOf(topicA, 0))?.writerGeneration).toBe(1)
    expect(contents?.slots.get(keyOf(topicA, 1))?.writerGeneration).toBe(2)
    expect(watermarksOf(contents, keyOf(topicA, 0))).toEqual(stateOf(0))
    expect(watermarksOf(contents, keyOf(topicA, 1))).toEqual(stateOf(5))
  })

  it.each(['boot-b', null])('drops what another boot published, also where this one is %j', (bootId) => {
    const driver = openMemoryDriver()
    const first = ControlFile.open(driver, { ...FIRST, bootId: bootId === null ? null : 'boot-a' })
    first.publish(first.slotFor(topicA, 0), stateOf(1))
    first.close()
    ControlFile.open(driver, { ...SECOND, bootId })
    expect(readControlFile(driver)).toEqual({ ...SECOND, bootId, clean: false, slots: new Map() })
  })

  it('goes on where the sequence number wraps', () => {
    const driver = openMemoryDriver()
    const first = ControlFile.open(driver, FIRST)
    first.publish(first.slotFor(topicA, 0), stateOf(1))
    first.close()
    // The copy as it would be after 2^32 - 3 more publications.
    const bytes = bytesOf(driver)
    const [slotAt, oddCopyAt] = [128, 128 + 24 + 52]
    bytes.writeUInt32BE(0xffff_fffd, oddCopyAt)
    const covered = Buffer.concat([bytes.subarray(slotAt, slotAt + 20), bytes.subarray(oddCopyAt, oddCopyAt + 48)])
    bytes.writeUInt32BE(crc32c(covered, 0, covered.length), oddCopyAt + 48)
    const later = driverWith(bytes)
    expect(watermarksOf(readControlFile(later), keyOf(topicA, 0))).toEqual(stateOf(1))
    const second = ControlFile.open(later, SECOND)
    for (const seed of [2, 3, 4, 5, 6]) {
      second.publish(second.slotFor(topicA, 0), stateOf(seed))
      expect(watermarksOf(readControlFile(later), keyOf(topicA, 0))).toEqual(stateOf(seed))
    }
  })
})

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

  it.each([0, 1, 2, 3])('of a publication after %d others leaves the old state or the new one', (published) => {
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
  })

  it('of any bytes of a publication leaves the old state or the new one', () => {
    const driver = prepared(3)
    const control = ControlFile.open(driver, SECOND)
    const before = bytesOf(driver)
    control.publish(control.slotFor(topicA, 0), stateOf(50))
    const after = bytesOf(driver)
    fc.assert(fc.property(fc.array(fc.boolean(), { minLength: 52, maxLength: 52 }), (mask) => {
      const bytes = Buffer.from(before)
      mask.forEach((isNew, at) => {
        for (const copyAt of [128 + 24, 128 + 24 + 52]) {
          if (isNew) bytes[copyAt + at] = after[copyAt + at] ?? 0
        }
      })
      const state = watermarksOf(readControlFile(driverWith(bytes)), key)
      expect([stateOf(3), stateOf(50)]).toContainEqual(state)
    }))
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
      for (const found of contents?.slots.keys() ?? []) expect([key, other, neighbour]).toContain(found)
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

describe('readControlFile', () => {
  it('makes nothing of arbitrary bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      expect(readControlFile(driverWith(Buffer.from(bytes)))).toBeUndefined()
    }))
  })

  it('leaves out just the slots that any damage hits', () => {
    const driver = openMemoryDriver()
    const control = ControlFile.open(driver, FIRST)
    for (const partition of [0, 1, 2]) {
      const slot = control.slotFor(topicA, partition)
      for (const seed of [1, 2]) control.publish(slot, stateOf(partition * 10 + seed))
    }
    const sound = bytesOf(driver)
    fc.assert(fc.property(fc.nat({ max: 3 * 128 - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const bytes = Buffer.from(sound)
      bytes[128 + at] = (bytes[128 + at] ?? 0) ^ flip
      const contents = readControlFile(driverWith(bytes))
      for (const partition of [0, 1, 2]) {
        const state = watermarksOf(contents, keyOf(topicA, partition))
        const newest = stateOf(partition * 10 + 2)
        if (Math.floor(at / 128) !== partition) expect(state).toEqual(newest)
        else expect([undefined, stateOf(partition * 10 + 1), newest]).toContainEqual(state)
      }
    }))
  })

  it('starts anew over a file that is damaged, of another format, or cut off', () => {
    const earlier = openMemoryDriver()
    const first = ControlFile.open(earlier, FIRST)
    first.publish(first.slotFor(topicA, 0), stateOf(1))
    const bytes = bytesOf(earlier)
    const otherFormat = Buffer.from(bytes)
    otherFormat.writeInt32BE(2, 8)
    otherFormat.writeUInt32BE(crc32c(otherFormat, 0, 124), 124)
    const damaged = Buffer.from(bytes)
    damaged[20] = 1
    for (const content of [otherFormat, damaged, bytes.subarray(0, 60), Buffer.alloc(0), Buffer.alloc(5000)]) {
      const driver = driverWith(content)
      expect(readControlFile(driver)).toBeUndefined()
      const control = ControlFile.open(driver, SECOND)
      control.publish(control.slotFor(topicB, 0), stateOf(2))
      expect(readControlFile(driver)?.slots.size).toBe(1)
    }
  })
})
