/** States, writers and control files that the tests of the control file are made of. */
import { CONTROL_FILE } from '../../src/storage/control-file.ts'
import type { ControlFileContents } from '../../src/storage/control-file.ts'
import type { ControlWriter } from '../../src/storage/control-header.ts'
import { controlSlotKey } from '../../src/storage/control-slot.ts'
import type { PartitionWatermarks } from '../../src/storage/control-slot.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'

/** Two writers of one boot. */
export const FIRST: ControlWriter = { writerGeneration: 1, bootId: 'boot-a', pid: 10 }
export const SECOND: ControlWriter = { writerGeneration: 2, bootId: 'boot-a', pid: 11 }
/** Topic ids. */
export const topicA: Buffer = Buffer.alloc(16, 0xa1)
export const topicB: Buffer = Buffer.alloc(16, 0xb2)

/** What a partition is found by. */
export function keyOf(topicId: Buffer, partition: number): string {
  return controlSlotKey(formatTopicId(topicId), partition)
}

/** A state that no other `seed` shares a field with. */
export function stateOf(seed: number): PartitionWatermarks {
  const base = seed * 1_000_003
  return {
    layoutEpoch: (seed * 7) >>> 0,
    logStartOffset: base,
    lastStableOffset: base + 1,
    durableOffset: base + 2,
    highWatermark: base + 3,
    logEndOffset: base + 4,
  }
}

/** The bytes of the control file. */
export function bytesOf(driver: StorageDriver): Buffer {
  const file = driver.openFile(CONTROL_FILE, 'read')
  const bytes = Buffer.alloc(file.sizeBytes)
  file.read(bytes, 0, bytes.length, 0)
  file.close()
  return bytes
}

/** A driver with nothing but a control file of these bytes. */
export function driverWith(bytes: Buffer): StorageDriver {
  const driver = openMemoryDriver()
  const file = driver.openFile(CONTROL_FILE, 'create')
  file.write(bytes, 0, bytes.length, 0)
  file.close()
  return driver
}

/** What `readControlFile` gives for one partition, without its key. */
export function watermarksOf(
  contents: ControlFileContents | undefined,
  key: string,
): PartitionWatermarks | undefined {
  const found = contents?.slots.get(key)
  if (found === undefined) return undefined
  const {
    topicId: _topicId,
    partition: _partition,
    writerGeneration: _generation,
    ...state
  } = found
  return state
}
