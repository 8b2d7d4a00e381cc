/** The control file while it is written: what changed, never a part, never back, never mixed. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CONTROL_FILE, ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import type { ControlWriter } from '../../src/storage/control-header.ts'
import { ControlReader } from '../../src/storage/control-reader.ts'
import type { PublishedPartition } from '../../src/storage/control-slot.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { bytesOf, FIRST, keyOf, SECOND, stateOf, topicA, topicB } from './control-file-states.ts'

const OTHER_BOOT: ControlWriter = { writerGeneration: 9, bootId: 'boot-b', pid: 12 }
const KEY = keyOf(topicA, 0)

/** What `seed` was published as. */
function published(seed: number, partition = 0, writer = FIRST): PublishedPartition {
  const { writerGeneration } = writer
  return { ...stateOf(seed), topicId: formatTopicId(topicA), partition, writerGeneration }
}

/** A writer with one published partition, and a reader that has looked. */
function opened(driver: StorageDriver): {
  control: ControlFile
  slot: number
  reader: ControlReader
} {
  const control = ControlFile.open(driver, FIRST)
  const slot = control.slotFor(topicA, 0)
  control.publish(slot, stateOf(1))
  const reader = new ControlReader(driver)
  reader.look()
  return { control, slot, reader }
}

/** Writes bytes over the file, as they are, behind everybody's back. */
function poke(driver: StorageDriver, bytes: Buffer, at = 0): void {
  const file = driver.openFile(CONTROL_FILE, 'write')
  file.write(bytes, 0, bytes.length, at)
  file.close()
}

describe.each([
  ['memory', openMemoryDriver],
  ['disk', () => openDiskDriver(temporaryDirectory())],
])('a control reader over %s', (_name, open) => {
  it('tells which partitions changed since the last look', () => {
    const driver = open()
    const reader = new ControlReader(driver)
    expect([reader.look(), reader.header, reader.published(KEY)]).toEqual([
      [],
      undefined,
      undefined,
    ])
    const control = ControlFile.open(driver, FIRST)
    const slots = [0, 1, 2].map((partition) => control.slotFor(topicA, partition))
    expect(reader.look()).toEqual([])
    expect(reader.header).toEqual({ ...FIRST, clean: false })
    for (const slot of slots) control.publish(slot, stateOf(1))
    expect(reader.look()).toEqual([0, 1, 2].map((partition) => keyOf(topicA, partition)))
    expect(reader.look()).toEqual([])
    const before = reader.published(KEY)
    control.publish(slots[2] ?? 0, stateOf(2))
    expect(reader.look()).toEqual([keyOf(topicA, 2)])
    expect(reader.published(keyOf(topicA, 2))).toEqual(published(2, 2))
    expect(reader.published(KEY)).toBe(before)
    control.freeSlot(slots[1] ?? 0)
    expect(reader.look()).toEqual([keyOf(topicA, 1)])
    expect(reader.published(keyOf(topicA, 1))).toBeUndefined()
    driver.close()
  })

  it('looks at one partition alone, and gives the same object while nothing changed', () => {
    const driver = open()
    const { control, slot, reader } = opened(driver)
    const before = reader.readSlot(KEY)
    expect(before).toEqual(published(1))
    const header = reader.header
    expect([reader.readSlot(KEY), reader.header]).toEqual([before, header])
    expect(reader.readSlot(KEY)).toBe(before)
    expect(reader.header).toBe(header)
    control.publish(slot, stateOf(2))
    expect(reader.readSlot(KEY)).toEqual(published(2))
    expect(reader.look()).toEqual([])
    const another = control.slotFor(topicB, 4)
    control.publish(another, stateOf(3))
    expect(reader.readSlot(keyOf(topicB, 4))).toMatchObject(stateOf(3))
    control.markClean()
    reader.readSlot(KEY)
    expect(reader.header).toEqual({ ...FIRST, clean: true })
    control.freeSlot(slot)
    expect(reader.readSlot(KEY)).toBeUndefined()
    driver.close()
  })

  it('follows a file that grows for thousands of partitions', () => {
    const driver = open()
    const { control, reader } = opened(driver)
    for (let partition = 1; partition < 1500; partition += 1) {
      control.publish(control.slotFor(topicA, partition), stateOf(partition))
    }
    expect(reader.look()).toHaveLength(1499)
    expect(reader.published(keyOf(topicA, 1499))).toEqual(published(1499, 1499))
    expect(reader.look()).toEqual([])
    control.publish(control.slotFor(topicA, 777), stateOf(5))
    expect(reader.look()).toEqual([keyOf(topicA, 777)])
    driver.close()
  })

  it('notices that the file was made, replaced, or taken away', async () => {
    const driver = open()
    const reader = new ControlReader(driver)
    expect(reader.reopenIfReplaced()).toBe(false)
    ControlFile.open(driver, FIRST).close()
    expect([reader.reopenIfReplaced(), reader.reopenIfReplaced()]).toEqual([true, false])
    const control = ControlFile.open(driver, SECOND)
    control.publish(control.slotFor(topicA, 0), stateOf(1))
    reader.look()
    expect(reader.published(KEY)).toBeDefined()
    control.close()
    driver.rename(CONTROL_FILE, 'aside')
    ControlFile.open(driver, OTHER_BOOT).close()
    expect(reader.published(KEY)).toBeDefined()
    expect(reader.reopenIfReplaced()).toBe(true)
    expect([reader.published(KEY), reader.header]).toEqual([undefined, undefined])
    expect(reader.look()).toEqual([])
    expect(reader.header).toMatchObject(OTHER_BOOT)
    await driver.unlink(CONTROL_FILE)
    expect([reader.reopenIfReplaced(), reader.reopenIfReplaced()]).toEqual([true, false])
    expect([reader.look(), reader.header]).toEqual([[], undefined])
    reader.close()
    driver.close()
  })
})

describe('a control file that is being written', () => {
  it('is read as it was before or as it is after, wherever the write stands', () => {
    const driver = openMemoryDriver()
    const { control, slot, reader } = opened(driver)
    for (let seed = 2; seed < 6; seed += 1) {
      const before = bytesOf(driver)
      control.publish(slot, stateOf(seed))
      const after = bytesOf(driver)
      poke(driver, before)
      for (let torn = 0; torn < 256; torn += 1) {
        // From both ends: nobody says in which order the bytes arrive.
        const bytes = Buffer.from(before)
        const [from, to] = seed % 2 === 0 ? [0, 128 + torn] : [128 + torn, after.length]
        after.copy(bytes, from, from, to)
        poke(driver, bytes)
        reader.look()
        const said = reader.published(KEY)
        expect([stateOf(seed - 1), stateOf(seed)]).toContainEqual(
          Object.fromEntries(
            Object.keys(stateOf(0)).map((key) => [key, Reflect.get(said ?? {}, key)]),
          ),
        )
      }
      poke(driver, after)
      expect(reader.readSlot(KEY)).toEqual(published(seed))
    }
  })

  it('says what it said where no copy of a slot can be read, and goes on when one can', () => {
    const driver = openMemoryDriver()
    const { control, slot, reader } = opened(driver)
    const good = bytesOf(driver)
    const bad = Buffer.from(good)
    bad.fill(0x55, 128 + 24, 256)
    poke(driver, bad)
    expect(reader.look()).toEqual([])
    expect(reader.readSlot(KEY)).toEqual(published(1))
    poke(driver, good)
    expect(reader.look()).toEqual([])
    control.publish(slot, stateOf(2))
    expect(reader.look()).toEqual([KEY])
  })

  it('does not go back to the older copy where the newer one went bad', () => {
    const driver = openMemoryDriver()
    const { control, slot, reader } = opened(driver)
    control.publish(slot, stateOf(2))
    expect(reader.readSlot(KEY)).toEqual(published(2))
    const bytes = bytesOf(driver)
    for (let at = 128 + 24; at < 256; at += 1) {
      const bad = Buffer.from(bytes)
      bad[at] = (bad[at] ?? 0) ^ 0xff
      poke(driver, bad)
      expect(reader.look()).toEqual([])
      expect(reader.readSlot(KEY)).toEqual(published(2))
    }
    poke(driver, bytes)
    control.publish(slot, stateOf(3))
    expect(reader.readSlot(KEY)).toEqual(published(3))
  })

  it('has no header while that is damaged, and the same again when it is whole', () => {
    const driver = openMemoryDriver()
    const { reader } = opened(driver)
    const bytes = bytesOf(driver)
    for (let at = 0; at < 128; at += 1) {
      const bad = Buffer.from(bytes.subarray(0, 128))
      bad[at] = (bad[at] ?? 0) ^ 1
      poke(driver, bad)
      if (at % 2 === 0) reader.look()
      else reader.readSlot(KEY)
      expect(reader.header).toBeUndefined()
      expect(reader.published(KEY)).toEqual(published(1))
      poke(driver, bytes.subarray(0, 128))
      reader.readSlot(KEY)
      expect(reader.header).toEqual({ ...FIRST, clean: false })
    }
  })

  it('forgets everything of another boot, though the same partitions have the same slots', () => {
    const driver = openMemoryDriver()
    const { control, reader } = opened(driver)
    control.close()
    const next = ControlFile.open(driver, OTHER_BOOT)
    next.slotFor(topicA, 0)
    expect(reader.look()).toEqual([KEY])
    expect(reader.published(KEY)).toBeUndefined()
    next.publish(next.slotFor(topicA, 0), stateOf(8))
    expect(reader.look()).toEqual([KEY])
    expect(reader.published(KEY)).toEqual(published(8, 0, OTHER_BOOT))
  })

  it.each(['EIO', 'EMFILE'] as const)('is none where it cannot be read: %s', (fault) => {
    const driver = new FaultDriver()
    const { reader } = opened(driver)
    const fresh = new ControlReader(driver)
    driver.machine.faults.inject({ fault, path: CONTROL_FILE, count: 9 })
    if (fault === 'EIO') {
      reader.look()
      expect([reader.header, reader.published(KEY)]).toEqual([undefined, published(1)])
    }
    expect([fresh.look(), fresh.header]).toEqual([[], undefined])
    driver.machine.faults.clear()
    expect(fresh.look()).toEqual([KEY])
    expect(reader.readSlot(KEY)).toEqual(published(1))
    expect(reader.header).toEqual({ ...FIRST, clean: false })
  })

  it('reads nothing but what it has to, and one file stays open', () => {
    const driver = new FaultDriver()
    const { control, reader } = opened(driver)
    driver.machine.calls = []
    reader.readSlot(KEY)
    expect(driver.machine.calls.map(({ action }) => action)).toEqual(['read', 'read'])
    driver.machine.calls = []
    reader.look()
    expect(driver.machine.calls.map(({ action }) => action)).toEqual(['read', 'read'])
    expect(driver.files.size).toBe(2)
    reader.close()
    control.close()
    expect(driver.files.size).toBe(0)
  })
})

describe('any history of writers', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('publish' as const), fc.nat(40)) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('free' as const), fc.nat(40)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('writer' as const), fc.nat(2)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('clean' as const), fc.nat(1)) },
    { weight: 4, arbitrary: fc.tuple(fc.constant('look' as const), fc.nat(1)) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('slot' as const), fc.nat(40)) },
  )

  it('is told as reading the file anew tells it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const driver = openMemoryDriver()
        const reader = new ControlReader(driver)
        let writer = FIRST
        let control = ControlFile.open(driver, writer)
        const slots = new Map<number, number>()
        const known = new Map<string, PublishedPartition | undefined>()
        /** How often each was freed: a topic that was deleted never comes again, its like may. */
        const lives = new Map<number, number>()
        for (const [seed, [kind, chosen]] of steps.entries()) {
          const n = chosen + 100 * (lives.get(chosen) ?? 0)
          const slot = slots.get(n)
          if (kind === 'publish') {
            const own = slot ?? control.slotFor(topicA, n)
            slots.set(n, own)
            control.publish(own, stateOf(seed))
          } else if (kind === 'free' && slot !== undefined) {
            control.freeSlot(slot)
            slots.delete(n)
            lives.set(chosen, (lives.get(chosen) ?? 0) + 1)
          } else if (kind === 'writer') {
            control.close()
            const bootId = chosen === 0 ? `boot-${seed}` : writer.bootId
            writer = { writerGeneration: writer.writerGeneration + 1, bootId, pid: chosen }
            control = ControlFile.open(driver, writer)
            slots.clear()
          } else if (kind === 'clean') control.markClean()
          const now = readControlFile(driver)
          if (kind === 'look') {
            const changed = reader.look()
            for (const key of changed) known.set(key, reader.published(key))
            expect(reader.header).toEqual({ ...writer, clean: now?.clean })
            const told = new Map([...known].filter(([, value]) => value !== undefined))
            expect(told).toEqual(now?.slots)
          } else if (kind === 'slot') {
            const key = keyOf(topicA, n)
            const told = reader.readSlot(key)
            expect(told).toEqual(now?.slots.get(key))
            for (const other of now?.slots.keys() ?? []) known.set(other, reader.published(other))
            for (const other of known.keys()) known.set(other, reader.published(other))
          }
        }
      }),
    )
  })
})
