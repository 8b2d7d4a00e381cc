/**
 * Our and Kafka's small files of fixed layouts, with their checksums as they come and put right.
 *
 *   producer-snapshot      a .snapshot file: what is accepted is written with the same bytes
 *   aborted-transactions   entries of a .txnindex
 *   index-entries          search in entries of both indexes, against a linear one
 *   index-files            a pair of index files beside a log of some size
 *   control-file           streambed.control, read, and taken over by a new writer
 */
import {
  ABORTED_TRANSACTION_BYTES,
  readAbortedTransaction,
  writeAbortedTransaction,
} from '../../src/format/aborted-transaction.ts'
import { crc32c } from '../../src/format/crc32c.ts'
import {
  OFFSET_INDEX_ENTRY_BYTES,
  floorOffsetIndexSlot,
  readIndexRelativeOffset,
} from '../../src/format/offset-index-entry.ts'
import {
  decodeProducerSnapshot,
  encodeProducerSnapshot,
} from '../../src/format/producer-snapshot.ts'
import {
  TIME_INDEX_ENTRY_BYTES,
  floorTimeIndexSlot,
  readTimeIndexTimestamp,
} from '../../src/format/time-index-entry.ts'
import { CONTROL_FILE, ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import { CONTROL_SLOT_BYTES } from '../../src/storage/control-slot.ts'
import { OffsetIndex } from '../../src/storage/offset-index.ts'
import { TimeIndex } from '../../src/storage/time-index.ts'
import { parseTopicId } from '../../src/storage/topic-id.ts'
import { type FuzzTarget, promise, promiseEqual, unlessCorrupt } from '../fuzz-target.ts'
import { withControlChecksums } from './control-checksums.ts'
import { driverWith } from './stored-file.ts'

/** See the file's header. */
export const binaryTargets: readonly FuzzTarget[] = [
  {
    name: 'producer-snapshot',
    maxInputBytes: 1_024,
    allocationLimit: (input) => 16 * input.length,
    run(input) {
      checkSnapshot(input)
      if (input.length < 10) return
      const sealed = Buffer.from(input)
      sealed.writeUInt32BE(crc32c(sealed, 6, sealed.length), 2)
      checkSnapshot(sealed)
    },
  },
  {
    name: 'aborted-transactions',
    maxInputBytes: 512,
    allocationLimit: (input) => 16 * input.length,
    run(input) {
      const size = ABORTED_TRANSACTION_BYTES
      for (let at = 0; at + size <= input.length; at += size) {
        const entry = unlessCorrupt(() => readAbortedTransaction(input, at))
        if (entry === undefined) continue
        const bytes = Buffer.alloc(size)
        writeAbortedTransaction(bytes, 0, entry)
        promise(bytes.equals(input.subarray(at, at + size)), 'written with the same bytes')
      }
    },
  },
  {
    name: 'index-entries',
    maxInputBytes: 512,
    allocationLimit: (input) => 16 * input.length,
    run: checkSearch,
  },
  {
    name: 'index-files',
    maxInputBytes: 1_024,
    allocationLimit: (input) => 64 * input.length + 262_144,
    run: checkIndexFiles,
  },
  {
    name: 'control-file',
    maxInputBytes: 1_024,
    allocationLimit: (input) => 256 * input.length + 1_048_576,
    run(input) {
      checkControlFile(input)
      checkControlFile(withControlChecksums(input))
    },
  },
]

function checkSnapshot(bytes: Buffer): void {
  const entries = unlessCorrupt(() => decodeProducerSnapshot(bytes))
  if (entries === undefined) return
  promise(encodeProducerSnapshot(entries).equals(bytes), 'written with the same bytes')
}

function checkSearch(input: Buffer): void {
  if (input.length < 8) return
  const target = input.readInt32BE(0) * 2 ** 32 + input.readUInt32BE(4)
  const entries = input.subarray(8)
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length)
  checkFloor(Math.floor(entries.length / OFFSET_INDEX_ENTRY_BYTES), target % 2 ** 31, {
    floor: (count, value) => floorOffsetIndexSlot(view, count, value),
    at: (slot) => readIndexRelativeOffset(view, slot),
  })
  checkFloor(Math.floor(entries.length / TIME_INDEX_ENTRY_BYTES), target, {
    floor: (count, value) => floorTimeIndexSlot(view, count, value),
    at: (slot) => readTimeIndexTimestamp(view, slot),
  })
}

/** Entries that ascend have one floor; in others the search still ends, at one of the slots. */
function checkFloor(
  slotCount: number,
  target: number,
  index: {
    readonly floor: (slotCount: number, target: number) => number
    readonly at: (slot: number) => number
  },
): void {
  const found = index.floor(slotCount, target)
  promise(Number.isInteger(found) && found >= -1 && found < slotCount, 'a slot, or none')
  const keys = Array.from({ length: slotCount }, (_, slot) => index.at(slot))
  if (keys.some((key, slot) => slot > 0 && key <= (keys[slot - 1] ?? 0))) return
  promise(found === keys.findLastIndex((key) => key <= target), 'the floor of a linear search')
}

function checkIndexFiles(input: Buffer): void {
  if (input.length < 6) return
  const logBytes = input.readUInt32BE(0)
  const split = Math.min(input.readUInt16BE(4), input.length - 6)
  const driver = driverWith([
    ['t-0/00000000000000000100.index', input.subarray(6, 6 + split)],
    ['t-0/00000000000000000100.timeindex', input.subarray(6 + split)],
  ])
  const offsets = OffsetIndex.load(driver, 't-0/00000000000000000100.index', 100)
  const times = TimeIndex.load(driver, 't-0/00000000000000000100.timeindex', 100)
  if (offsets.isSound(logBytes, Infinity)) {
    for (let slot = 0; slot < offsets.slotCount; slot++) {
      const position = offsets.positionOfSlot(slot)
      promise(position < logBytes && position >= 0, 'a sound entry lies in the log')
      promise(offsets.slotForOffset(offsets.offsetOfSlot(slot)) === slot, 'found by its offset')
      promise(offsets.slotForPosition(position) === slot, 'found by its position')
      offsets.markVerified(slot)
    }
    const last = offsets.slotCount - 1
    if (last >= 0) offsets.truncateToOffset(offsets.offsetOfSlot(last))
    promise(offsets.slotCount === Math.max(last, 0), 'a cut takes the entries from there on')
  }
  if (times.isSound(1_000)) {
    const last = times.last
    promise(last === undefined || last.offset < 1_000, 'a sound entry names an offset of the log')
    if (last !== undefined) promiseEqual(times.floor(last.timestamp), last, 'found by its time')
    times.truncateToOffset(150)
    promise((times.last?.offset ?? 0) < 150, 'a cut takes the entries from there on')
  }
  offsets.close()
  times.close()
}

function checkControlFile(bytes: Buffer): void {
  const driver = driverWith([[CONTROL_FILE, bytes]])
  const before = readControlFile(driver)
  promise((before?.slots.size ?? 0) * CONTROL_SLOT_BYTES <= bytes.length, 'no slot from nowhere')
  const writer = { writerGeneration: 8, bootId: before?.bootId ?? 'boot', pid: 1 }
  const control = ControlFile.open(driver, writer)
  const after = readControlFile(driver)
  promise(after !== undefined && !after.clean, 'a new writer has a good header')
  if (before !== undefined && before.bootId !== null) {
    promiseEqual([...after.slots], [...before.slots], 'slots of this boot are kept')
  } else {
    promise(after.slots.size === 0, 'slots of another boot are not')
  }
  for (const { topicId, partition } of [...after.slots.values()].slice(0, 2)) {
    const id = parseTopicId(topicId)
    promise(id !== undefined, 'a slot has a topic id')
    const state = {
      layoutEpoch: 1,
      logStartOffset: 2,
      logEndOffset: 6,
      highWatermark: 5,
      lastStableOffset: 4,
      durableOffset: 3,
    }
    control.publish(control.slotFor(id, partition), state)
    const published = readControlFile(driver)?.slots.get(`${topicId}-${partition}`)
    promiseEqual(published?.durableOffset, 3, 'what is published is read')
  }
  control.close()
}
