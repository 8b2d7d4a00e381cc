/**
 * The control file as followers look at it (control-reader.ts), whatever is in it, and while
 * writers come, publish, tear and go.
 *
 *   control-reader         any bytes, replaced in place by any others: a look says what is there
 *   control-lives          a script of writers, tears and looks: three bytes a step
 *
 * What a look promises: it fails nobody; it tells of what changed and of nothing else; a write that
 * is under way shows what was there before or what comes; and at rest it says what was published
 * last, whatever was seen on the way. Within one life of a writer nothing goes back.
 */
import { CONTROL_FILE, ControlFile, readControlFile } from '../../src/storage/control-file.ts'
import { ControlReader } from '../../src/storage/control-reader.ts'
import { controlSlotKey, type PublishedPartition } from '../../src/storage/control-slot.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { type FuzzTarget, promise, promiseEqual } from '../fuzz-target.ts'
import { withControlChecksums } from './control-checksums.ts'
import { driverWith } from './stored-file.ts'

/** See the file's header. */
export const controlReaderTargets: readonly FuzzTarget[] = [
  {
    name: 'control-reader',
    maxInputBytes: 1_024,
    allocationLimit: (input) => 512 * input.length + 1_048_576,
    run(input) {
      const middle = input.length >> 1
      for (const split of [input.length, middle - (middle % 128)]) {
        const [first, second] = [input.subarray(0, split), input.subarray(split)]
        checkLooks(first, second)
        checkLooks(withControlChecksums(first), withControlChecksums(second))
      }
    },
  },
  {
    name: 'control-lives',
    maxInputBytes: 192,
    allocationLimit: (input) => 65_536 * input.length + 1_048_576,
    run(input) {
      const lives = new Lives()
      for (let at = 0; at + 3 <= input.length; at += 3) {
        lives.step(input[at] ?? 0, input[at + 1] ?? 0, input[at + 2] ?? 0)
      }
      lives.end()
    },
  },
]

/** A fresh look at `first`, and another one once `second` is written over it. */
function checkLooks(first: Buffer, second: Buffer): void {
  const driver = driverWith([[CONTROL_FILE, first]])
  const reader = new ControlReader(driver)
  const keys = reader.look()
  checkSame(driver, reader)
  promise(new Set(keys).size === keys.length, 'a fresh look tells of each partition once')
  promiseEqual(reader.look(), [], 'where nothing changed, nothing is told')
  const before = new Map(keys.map((key) => [key, reader.published(key)]))
  for (const [key, said] of before) {
    promise(reader.readSlot(key) === said, 'one slot says what all of them did')
  }
  const file = driver.openFile(CONTROL_FILE, 'write')
  file.write(second, 0, second.length, 0)
  file.close()
  const changed = new Set(reader.look())
  for (const [key, said] of before) {
    promise(changed.has(key) || reader.published(key) === said, 'what is not told did not change')
  }
  if (changed.size === 0) promiseEqual(reader.look(), [], 'and comes to rest')
  reader.close()
  promise(reader.header === undefined, 'what is closed says nothing')
  reader.look()
  checkSame(driver, reader)
  reader.close()
}

/** A reader that knew nothing says what whoever opens the log reads. */
function checkSame(driver: StorageDriver, reader: ControlReader): void {
  const contents = readControlFile(driver)
  const { header } = reader
  promise((contents === undefined) === (header === undefined), 'both read a header, or none does')
  if (contents === undefined) return
  const { slots, ...rest } = contents
  promiseEqual(header, rest, 'the header')
  for (const [key, published] of slots) {
    promiseEqual(reader.published(key), published, `what is published of ${key}`)
  }
}

const STEPS = 8
const PARTITIONS = 48
const BOOTS = ['boot-a', 'boot-a', 'boot-a', 'boot-b', null] as const

/** Writers of one log, one after the other, and a reader that outlives them. */
class Lives {
  readonly #driver: StorageDriver = driverWith([])
  readonly #reader = new ControlReader(this.#driver)
  /** What was published last, by key. */
  readonly #truth = new Map<string, PublishedPartition>()
  /** What was said last, by key, of the writer that is there. */
  readonly #said = new Map<string, PublishedPartition>()
  /** How often each partition was freed: a topic id never comes again. */
  readonly #freed = new Map<number, number>()
  #control: ControlFile | undefined
  #generation = 0
  #boot: string | null = null
  #serial = 0

  step(kind: number, a: number, b: number): void {
    switch (kind % STEPS) {
      case 0:
        return this.#atOnce(() => this.#publish(a % PARTITIONS))
      case 1:
        return this.#torn(a, b, () => this.#publish(b % PARTITIONS))
      case 2:
        return this.#atOnce(() => this.#free(a % PARTITIONS))
      case 3:
        return this.#torn(a, b, () => this.#free(b % PARTITIONS))
      case 4:
        return this.#atOnce(() => this.#writer(a))
      case 5:
        return this.#torn(a, b, () => this.#control?.markClean())
      case 6:
        return void this.#reader.readSlot(this.#keyOf(a % PARTITIONS).key)
      default:
        return this.#look()
    }
  }

  /** At rest the reader says what was published last. */
  end(): void {
    this.#look()
    this.#reader.close()
    this.#control?.close()
  }

  #look(): void {
    this.#reader.reopenIfReplaced()
    this.#reader.look()
    // Two writers whose boot is unknown look like one: a slot that moved is found by the next look.
    if (this.#boot === null) this.#reader.look()
    for (const [key, published] of this.#truth) {
      promiseEqual(this.#reader.published(key), published, `at rest, ${key}`)
    }
    for (const key of this.#said.keys()) {
      if (this.#truth.has(key)) continue
      promise(this.#reader.published(key) === undefined, 'what was freed is gone')
    }
    this.#hear()
  }

  /** Nothing that one writer says goes back. */
  #hear(): void {
    for (const key of [...this.#truth.keys(), ...this.#said.keys()]) {
      const said = this.#reader.published(key)
      const before = this.#said.get(key)
      if (said === undefined) continue
      const isBack = before !== undefined && said.logEndOffset < before.logEndOffset
      promise(!isBack, `${key} goes back`)
      const { logEndOffset: end } = said
      const isWhole = said.logStartOffset === end && said.durableOffset === end
      promise(isWhole, 'what is said was published together')
      this.#said.set(key, said)
    }
  }

  #atOnce(write: () => void): void {
    write()
    this.#reader.readSlot(this.#keyOf(0).key)
  }

  /** The reader looks while a part of what `write` changes is there, from `from` on. */
  #torn(from: number, count: number, write: () => void): void {
    const before = this.#bytes()
    write()
    const after = this.#bytes()
    const first = after.findIndex((byte, at) => byte !== before[at])
    if (before.length !== after.length || first < 0) return
    const torn = Buffer.from(before)
    const start = Math.min(first + (from & 127), after.length)
    after.copy(torn, start, start, start + 1 + (count & 127))
    this.#put(torn)
    this.#reader.look()
    this.#hear()
    this.#put(after)
  }

  #writer(choice: number): void {
    this.#control?.close()
    const boot = BOOTS[choice % BOOTS.length] ?? null
    if (boot === null || boot !== this.#boot) this.#truth.clear()
    this.#said.clear()
    this.#boot = boot
    this.#generation += 1
    const writer = { writerGeneration: this.#generation, bootId: boot, pid: 7 }
    this.#control = ControlFile.open(this.#driver, writer)
  }

  #publish(partition: number): void {
    if (this.#control === undefined) this.#writer(0)
    const { key, topicId } = this.#keyOf(partition)
    const end = (this.#serial += 1)
    const state = {
      layoutEpoch: end,
      logStartOffset: end,
      logEndOffset: end,
      highWatermark: end,
      lastStableOffset: end,
      durableOffset: end,
    }
    const slot = this.#control?.slotFor(topicId, partition) ?? 0
    this.#control?.publish(slot, state)
    const writerGeneration = this.#generation
    const identity = { topicId: formatTopicId(topicId), partition, writerGeneration }
    this.#truth.set(key, { ...identity, ...state })
  }

  #free(partition: number): void {
    const { key, topicId } = this.#keyOf(partition)
    if (this.#control === undefined || !this.#truth.delete(key)) return
    this.#control.freeSlot(this.#control.slotFor(topicId, partition))
    this.#freed.set(partition, (this.#freed.get(partition) ?? 0) + 1)
  }

  #keyOf(partition: number): { readonly key: string; readonly topicId: Buffer } {
    const topicId = Buffer.alloc(16, 1 + (this.#freed.get(partition) ?? 0))
    return { key: controlSlotKey(formatTopicId(topicId), partition), topicId }
  }

  #bytes(): Buffer {
    if (this.#driver.status(CONTROL_FILE) === undefined) return Buffer.alloc(0)
    const file = this.#driver.openFile(CONTROL_FILE, 'read')
    const bytes = Buffer.alloc(file.sizeBytes)
    file.read(bytes, 0, bytes.length, 0)
    file.close()
    return bytes
  }

  /** Over what is there: the file stays the one that it is. */
  #put(bytes: Buffer): void {
    const file = this.#driver.openFile(CONTROL_FILE, 'write')
    file.write(bytes, 0, bytes.length, 0)
    file.close()
  }
}
