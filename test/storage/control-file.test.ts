/** The control file: what is published is read, and damage hides just what it hits. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/format/crc32c.ts'
import { CONTROL_FILE, ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import type { PartitionWatermarks } from '../../src/storage/control-slot.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
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
      expect(readControlFile(driver)?.slots).toEqual(
        new Map([
          [
            keyOf(topicA, 3),
            {
              ...stateOf(seed),
              topicId: formatTopicId(topicA),
              partition: 3,
              writerGeneration: 1,
            },
          ],
        ]),
      )
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
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
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
          expect([...(contents?.slots.keys() ?? [])].sort()).toEqual([...model.keys()].sort())
          for (const [key, state] of model) expect(watermarksOf(contents, key)).toEqual(state)
        }
      }),
    )
  })

  it('gives a partition the slot that it has, and a new one the lowest that is free', () => {
    const control = ControlFile.open(openMemoryDriver(), FIRST)
    expect([0, 1, 2, 0, 1].map((partition) => control.slotFor(topicA, partition))).toEqual([
      0, 1, 2, 0, 1,
    ])
    control.freeSlot(1)
    expect(control.slotFor(topicB, 1)).toBe(1)
    expect(control.slotFor(topicA, 1)).toBe(3)
  })

  it("keeps what this boot published, marked as the earlier writer's until it is published anew", () => {
    const driver = openMemoryDriver()
    const first = ControlFile.open(driver, FIRST)
    for (const partition of [0, 1])
      first.publish(first.slotFor(topicA, partition), stateOf(partition))
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

  it.each(['boot-b', null])(
    'drops what another boot published, also where this one is %j',
    (bootId) => {
      const driver = openMemoryDriver()
      const first = ControlFile.open(driver, {
        ...FIRST,
        bootId: bootId === null ? null : 'boot-a',
      })
      first.publish(first.slotFor(topicA, 0), stateOf(1))
      first.close()
      ControlFile.open(driver, { ...SECOND, bootId })
      expect(readControlFile(driver)).toEqual({ ...SECOND, bootId, clean: false, slots: new Map() })
    },
  )

  it('goes on where the sequence number wraps', () => {
    const driver = openMemoryDriver()
    const first = ControlFile.open(driver, FIRST)
    first.publish(first.slotFor(topicA, 0), stateOf(1))
    first.close()
    // The copy as it would be after 2^32 - 3 more publications.
    const bytes = bytesOf(driver)
    const [slotAt, oddCopyAt] = [128, 128 + 24 + 52]
    bytes.writeUInt32BE(0xffff_fffd, oddCopyAt)
    const covered = Buffer.concat([
      bytes.subarray(slotAt, slotAt + 20),
      bytes.subarray(oddCopyAt, oddCopyAt + 48),
    ])
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

describe('readControlFile', () => {
  it('makes nothing of arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        expect(readControlFile(driverWith(Buffer.from(bytes)))).toBeUndefined()
      }),
    )
  })

  it('leaves out just the slots that any damage hits', () => {
    const driver = openMemoryDriver()
    const control = ControlFile.open(driver, FIRST)
    for (const partition of [0, 1, 2]) {
      const slot = control.slotFor(topicA, partition)
      for (const seed of [1, 2]) control.publish(slot, stateOf(partition * 10 + seed))
    }
    const sound = bytesOf(driver)
    fc.assert(
      fc.property(fc.nat({ max: 3 * 128 - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Buffer.from(sound)
        bytes[128 + at] = (bytes[128 + at] ?? 0) ^ flip
        const contents = readControlFile(driverWith(bytes))
        for (const partition of [0, 1, 2]) {
          const state = watermarksOf(contents, keyOf(topicA, partition))
          const newest = stateOf(partition * 10 + 2)
          if (Math.floor(at / 128) !== partition) expect(state).toEqual(newest)
          else expect([undefined, stateOf(partition * 10 + 1), newest]).toContainEqual(state)
        }
      }),
    )
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
    for (const content of [
      otherFormat,
      damaged,
      bytes.subarray(0, 60),
      Buffer.alloc(0),
      Buffer.alloc(5000),
    ]) {
      const driver = driverWith(content)
      expect(readControlFile(driver)).toBeUndefined()
      const control = ControlFile.open(driver, SECOND)
      control.publish(control.slotFor(topicB, 0), stateOf(2))
      expect(readControlFile(driver)?.slots.size).toBe(1)
    }
  })
})
