/**
 * The control file: how far each partition is, for recovery and for readers in other processes.
 *
 *   streambed.control    a header (control-header.ts), then a slot per partition (control-slot.ts),
 *                        128 bytes each
 *
 * Owns the file and who has which slot; what is published, and when, is log/'s business.
 *   I1  every slot that can be read was published in the boot that the header names
 *   I2  it grows in place and is never replaced or cut under slots of this boot: others watch it
 * Never synced: after a power cut it says nothing, and the boot id tells that there was one.
 */
import { assert } from '../errors/invariant.ts'
import {
  BOOT_ID_BYTES,
  CONTROL_HEADER_BYTES,
  controlHeaderBytes,
  type ControlHeader,
  type ControlWriter,
  readControlHeader,
} from './control-header.ts'
import {
  CONTROL_SLOT_BYTES,
  readSlot,
  readSlotKey,
  SLOT_COPY_BYTES,
  SLOT_GENERATION_AT,
  SLOT_IMAGE_BYTES,
  SLOT_KEY_BYTES,
  slotCopyAt,
  writeSlotCopy,
  writeSlotKey,
} from './control-slot.ts'
import type { PartitionWatermarks, PublishedPartition, ReadSlot } from './control-slot.ts'
import { isDeviceFailure } from './file-failure.ts'
import type { StorageDriver, StorageFile } from './storage-driver.ts'

/** The file's name in the log's directory. */
export const CONTROL_FILE = 'streambed.control'

/** A control file as it was read. Owned. */
export interface ControlFileContents extends ControlHeader {
  /** By `controlSlotKey`. */
  readonly slots: ReadonlyMap<string, PublishedPartition>
}

/** Of half a million partitions; a larger file would take minutes to read, and is only a hint. */
export const MAX_CONTROL_BYTES = 67_108_864
/** What the file grows by. No slot lies across a boundary of it. */
const PAGE_BYTES = 4096
const READ_BYTES = 16 * PAGE_BYTES

/**
 * What the control file says, or undefined where there is none or its header is damaged. A slot
 * without a good copy is absent.
 *
 * @throws {LogError} `IO` when it cannot be read.
 */
export function readControlFile(driver: StorageDriver): ControlFileContents | undefined {
  if (driver.status(CONTROL_FILE)?.kind !== 'file') return undefined
  const file = driver.openFile(CONTROL_FILE, 'read')
  try {
    const header = readHeader(file)
    if (header === undefined) return undefined
    const slots = new Map<string, PublishedPartition>()
    readSlots(file, (_slot, { key, published }) => {
      if (!slots.has(key)) slots.set(key, published)
    })
    return { ...header, slots }
  } catch (error) {
    if (isDeviceFailure(error)) return undefined // It is a hint: without it more is looked at.
    throw error
  } finally {
    file.close()
  }
}

/** The writer's side: one per log, under the writer lock. */
export class ControlFile {
  readonly #file: StorageFile
  readonly #header: ControlHeader
  readonly #slots = new Map<string, number>()
  /** Slots without a partition; the last one is taken next. */
  readonly #free: number[] = []
  /** By slot: the newest sequence; undefined for a free one. */
  readonly #sequences: (number | undefined)[] = []
  /** By slot: whether the generation on disk is ours. */
  readonly #isOurs: boolean[] = []
  /** By slot, `SLOT_KEY_BYTES` each. */
  #keys: Buffer = Buffer.alloc(0)
  readonly #image: Buffer = Buffer.alloc(SLOT_IMAGE_BYTES)
  readonly #generation: Buffer = Buffer.alloc(4)

  private constructor(file: StorageFile, header: ControlHeader) {
    this.#file = file
    this.#header = header
    this.#generation.writeUInt32BE(header.writerGeneration)
  }

  /**
   * Opens the file for a new writer and creates it where there is none. What an earlier writer of
   * this boot published stays until it is published anew or freed. What is of another boot is gone
   * (I1): who needs it reads it before.
   *
   * @throws {LogError} `READ_ONLY`, `NO_SPACE` or `IO`: what was published is as it was, or absent.
   */
  static open(driver: StorageDriver, writer: ControlWriter): ControlFile {
    const exists = driver.status(CONTROL_FILE) !== undefined
    const file = driver.openFile(CONTROL_FILE, exists ? 'write' : 'create')
    try {
      const bootId = writer.bootId?.slice(0, BOOT_ID_BYTES) ?? null
      const writerGeneration = writer.writerGeneration >>> 0
      const control = new ControlFile(file, { ...writer, writerGeneration, bootId, clean: false })
      // Before the header is written: no crash may leave old slots under the boot of today.
      if (bootId === null || !control.#inherit(bootId)) file.resize(CONTROL_HEADER_BYTES)
      control.#writeHeader(false)
      return control
    } catch (error) {
      file.close()
      throw error
    }
  }

  /**
   * The slot of a partition: the one it has, or a free one that is its own from now on. Nothing is
   * published by that.
   *
   * @throws {LogError} `NO_SPACE` or `IO`: the partition has no slot.
   */
  slotFor(topicId: Buffer, partition: number): number {
    const bytes = Buffer.alloc(CONTROL_SLOT_BYTES)
    writeSlotKey(bytes, 0, topicId, partition)
    const known = this.#slots.get(readSlotKey(bytes, 0))
    if (known !== undefined) return known
    if (this.#free.length === 0) this.#grow()
    const slot = this.#free.at(-1)
    assert(slot !== undefined, 'a file that has grown has free slots')
    this.#generation.copy(bytes, SLOT_GENERATION_AT)
    this.#file.write(bytes, 0, CONTROL_SLOT_BYTES, controlSlotPosition(slot))
    this.#free.pop()
    this.#occupy(slot, bytes, 0, true)
    return slot
  }

  /**
   * Publishes the state of a slot's partition: other processes see it at once, whole or not at all.
   * Allocates nothing, and `state` may be reused.
   *
   * @throws {LogError} `NO_SPACE` or `IO`: what was published before stays.
   */
  publish(slot: number, state: PartitionWatermarks): void {
    const newest = this.#sequences[slot]
    assert(newest !== undefined, 'publish: a slot from slotFor')
    const sequence = (newest + 1) >>> 0
    const keyAt = slot * SLOT_KEY_BYTES
    this.#keys.copy(this.#image, 0, keyAt, keyAt + SLOT_KEY_BYTES)
    writeSlotCopy(this.#image, sequence, state)
    const position = controlSlotPosition(slot) + slotCopyAt(sequence)
    this.#file.write(this.#image, SLOT_KEY_BYTES, SLOT_COPY_BYTES, position)
    this.#sequences[slot] = sequence
    if (this.#isOurs[slot] === true) return
    // After the copy: a slot that says it is of our generation holds what we have published.
    this.#file.write(this.#generation, 0, 4, controlSlotPosition(slot) + SLOT_GENERATION_AT)
    this.#isOurs[slot] = true
  }

  /**
   * Forgets what is published of a slot's partition; another one may get the slot.
   *
   * @throws {LogError} `IO`: the partition keeps it.
   */
  freeSlot(slot: number): void {
    assert(this.#sequences[slot] !== undefined, 'freeSlot: a slot from slotFor')
    this.#file.write(
      Buffer.alloc(CONTROL_SLOT_BYTES),
      0,
      CONTROL_SLOT_BYTES,
      controlSlotPosition(slot),
    )
    this.#slots.delete(readSlotKey(this.#keys, slot * SLOT_KEY_BYTES))
    this.#sequences[slot] = undefined
    this.#free.push(slot)
  }

  /** Says that the writer has closed the log: the last thing it writes. */
  markClean(): void {
    this.#writeHeader(true)
  }

  /** Forces what was written to stable storage; of a hint that is seldom worth a wait. */
  flush(): Promise<void> {
    return this.#file.flush()
  }

  /** Releases the file. May be called twice. */
  close(): void {
    this.#file.close()
  }

  /** Takes over what was published in this boot; false where there is nothing that can be read. */
  #inherit(bootId: string): boolean {
    const read: (ReadSlot | undefined)[] = []
    try {
      if (readHeader(this.#file)?.bootId !== bootId) return false
      readSlots(this.#file, (slot, found) => {
        read[slot] = found
      })
    } catch (error) {
      if (isDeviceFailure(error)) return false
      throw error
    }
    const slotCount = controlSlotsIn(this.#file.sizeBytes)
    this.#reserve(slotCount)
    const key = Buffer.alloc(CONTROL_SLOT_BYTES)
    // Downwards, so that low slots are given out first.
    for (let slot = slotCount - 1; slot >= 0; slot -= 1) {
      const found = read[slot]
      if (found === undefined) {
        this.#free.push(slot)
        continue
      }
      this.#file.read(key, 0, SLOT_KEY_BYTES, controlSlotPosition(slot))
      this.#occupy(slot, key, found.sequence, false)
    }
    return true
  }

  #occupy(slot: number, key: Buffer, sequence: number, isOurs: boolean): void {
    key.copy(this.#keys, slot * SLOT_KEY_BYTES, 0, SLOT_KEY_BYTES)
    this.#slots.set(readSlotKey(key, 0), slot)
    this.#sequences[slot] = sequence
    this.#isOurs[slot] = isOurs
  }

  #grow(): void {
    const { sizeBytes } = this.#file
    const before = controlSlotsIn(sizeBytes)
    this.#file.resize((Math.floor(sizeBytes / PAGE_BYTES) + 1) * PAGE_BYTES)
    const after = controlSlotsIn(this.#file.sizeBytes)
    this.#reserve(after)
    for (let slot = after - 1; slot >= before; slot -= 1) this.#free.push(slot)
  }

  #reserve(slotCount: number): void {
    if (this.#keys.length >= slotCount * SLOT_KEY_BYTES) return
    const keys = Buffer.alloc(slotCount * 2 * SLOT_KEY_BYTES)
    this.#keys.copy(keys)
    this.#keys = keys
  }

  #writeHeader(clean: boolean): void {
    const bytes = controlHeaderBytes({ ...this.#header, clean })
    this.#file.write(bytes, 0, CONTROL_HEADER_BYTES, 0)
  }
}

/** Where a slot starts in the file. */
export function controlSlotPosition(slot: number): number {
  return CONTROL_HEADER_BYTES + slot * CONTROL_SLOT_BYTES
}

/** How many slots are whole in that many bytes: the number of the one that starts there. */
export function controlSlotsIn(sizeBytes: number): number {
  return Math.max(0, Math.floor((sizeBytes - CONTROL_HEADER_BYTES) / CONTROL_SLOT_BYTES))
}

function readHeader(file: StorageFile): ControlHeader | undefined {
  if (file.sizeBytes > MAX_CONTROL_BYTES) return undefined
  const bytes = Buffer.alloc(CONTROL_HEADER_BYTES)
  const byteLength = file.read(bytes, 0, CONTROL_HEADER_BYTES, 0)
  return readControlHeader(bytes.subarray(0, byteLength))
}

/** Shows every slot that can be read, in ascending order. */
function readSlots(file: StorageFile, show: (slot: number, found: ReadSlot) => void): void {
  const chunk = Buffer.alloc(READ_BYTES)
  for (let position = CONTROL_HEADER_BYTES; ; position += READ_BYTES) {
    const byteLength = file.read(chunk, 0, READ_BYTES, position)
    for (let at = 0; at + CONTROL_SLOT_BYTES <= byteLength; at += CONTROL_SLOT_BYTES) {
      const found = readSlot(chunk, at)
      if (found !== undefined) show(controlSlotsIn(position + at), found)
    }
    if (byteLength < READ_BYTES) return
  }
}
