/**
 * Partitioners: which partition a record without an explicit one goes to.
 *
 * They are functions and values that anybody may share; what they remember is kept per producer, in
 * a `PartitionerInstance`. It takes a short way to built-in ones, with no view of the record. From
 * inside a user's partitioner, they use the memory of the producer that called that one.
 *   I1  a key goes where Kafka's default partitioner puts it: (murmur2 & 0x7fffffff) % count
 *   I2  records without a key: sticky (KIP-794, sticky-partition.ts)
 */
import { LogError, invalidArgument } from '../errors/log-error.ts'
import { murmur2 } from '../format/murmur2.ts'
import { murmur2OfText } from '../format/murmur2-text.ts'
import { describeValue } from './check-options.ts'
import { headersOf, type RecordHeaders } from './record-headers.ts'
import type { PreparedRecord } from './record-input.ts'
import { isBytes, type EncodedValue } from './serde.ts'
import type { Anything } from './standard-schema.ts'
import { StickyPartitions, type RandomBytes } from './sticky-partition.ts'
import type { Bytes } from './topic-ref.ts'

/** Chooses a partition from 0 up to, not including, `partitionCount`. */
export type Partitioner = (
  record: {
    readonly topic: string
    /** Key and value as they were given, before any serde. */
    readonly key: unknown
    readonly keyBytes: Bytes
    readonly value: unknown
    readonly headers: RecordHeaders
  },
  topic: { readonly name: string; readonly partitionCount: number },
) => number

/** What the built-in partitioners look at. */
type Placeable = Pick<PreparedRecord, 'key' | 'valueInput'>

/** A built-in partitioner's inner way. */
type Place = (
  memory: PlacementMemory,
  record: Placeable,
  topic: string,
  partitionCount: number,
) => number

const POSITIVE = 0x7fff_ffff
const DEFAULT_BATCH_BYTES = 65_536

/** What the partitioners of one producer remember. */
class PlacementMemory {
  readonly sticky: StickyPartitions
  readonly #turns = new Map<string, number>()

  constructor(batchBytes: number, random: RandomBytes) {
    this.sticky = new StickyPartitions(batchBytes, random)
  }

  nextTurn(topic: string): number {
    const turn = this.#turns.get(topic) ?? 0
    this.#turns.set(topic, turn + 1)
    return turn
  }
}

const placeOf = new WeakMap<Partitioner, Place>()
const sharedMemory = new PlacementMemory(
  DEFAULT_BATCH_BYTES,
  (byteCount) => new Uint8Array(byteCount),
)
/** The memory of the producer that is calling a user's partitioner now. */
let callersMemory: PlacementMemory | null = null

/** The partition of an encoded key, as Kafka's default partitioner computes it. */
export function partitionOfKey(key: EncodedValue, partitionCount: number): number {
  const hash = typeof key === 'string' ? murmur2OfText(key) : murmur2(key)
  // The sign bit is cleared, as Kafka does; an absolute value would give other partitions.
  return (hash & POSITIVE) % partitionCount
}

/**
 * A partition that exists.
 * @throws {LogError} `PARTITION_NOT_FOUND` for anything else; `chosenBy` says who named it.
 */
export function checkPartition(
  partition: unknown,
  topic: string,
  partitionCount: number,
  chosenBy: string,
): number {
  if (typeof partition === 'number' && partition >= 0 && partition < partitionCount) {
    if (Number.isInteger(partition)) return partition + 0 // No -0: it is shown to users.
  }
  throw new LogError(
    'PARTITION_NOT_FOUND',
    `${topic}: ${chosenBy} names partition ${describeValue(partition)}; there are ` +
      `${partitionCount}, 0 to ${partitionCount - 1}`,
    { topic, partition, partitionCount },
  )
}

/** What a producer with `partitioner` asks; `batchBytes` is where sticky partitions move on. */
export function partitionerFor(
  partitioner: Partitioner,
  batchBytes: number,
  random: RandomBytes,
): PartitionerInstance {
  return new PartitionerInstance(partitioner, batchBytes, random)
}

/** One producer's use of a partitioner. */
export class PartitionerInstance {
  readonly #partitioner: Partitioner
  readonly #place: Place | undefined
  readonly #memory: PlacementMemory

  /** @throws {LogError} `INVALID_ARGUMENT` for a partitioner that is no function. */
  constructor(partitioner: Partitioner, batchBytes: number, random: RandomBytes) {
    if (typeof partitioner !== 'function') {
      throw invalidArgument(
        `partitioner is a function, as partitioners.murmur2, not ${describeValue(partitioner)}`,
        { option: 'partitioner', value: partitioner },
      )
    }
    this.#partitioner = partitioner
    this.#place = placeOf.get(partitioner)
    this.#memory = new PlacementMemory(batchBytes, random)
  }

  /**
   * The partition for `record`, whatever `record.partition` says.
   * @throws {LogError} `PARTITION_NOT_FOUND` when a user's partitioner gives none that exists. What
   * the partitioner itself throws goes through.
   */
  partition(record: PreparedRecord, topic: string, partitionCount: number): number {
    const chosen =
      this.#place === undefined
        ? this.#ask(record, topic, partitionCount)
        : this.#place(this.#memory, record, topic, partitionCount)
    return checkPartition(chosen, topic, partitionCount, 'the partitioner')
  }

  /**
   * Tells that a record which this placed was produced; `batchClosed` when no batch is left open in
   * its partition, so that the next record there starts one.
   */
  recorded(topic: string, partition: number, byteCount: number, batchClosed: boolean): void {
    this.#memory.sticky.recorded(topic, partition, byteCount, batchClosed)
  }

  #ask(record: PreparedRecord, topic: string, partitionCount: number): unknown {
    const outer = callersMemory
    callersMemory = this.#memory
    try {
      const { key, keyInput, valueInput, headers } = record
      return this.#partitioner(
        {
          topic,
          key: keyInput ?? null,
          keyBytes: key === null ? null : bufferOf(key),
          value: valueInput ?? null,
          headers: headersOf(headers),
        },
        { name: topic, partitionCount },
      )
    } finally {
      callersMemory = outer
    }
  }
}

const stickyPlace: Place = (memory, _record, topic, partitionCount) =>
  memory.sticky.partitionOf(topic, partitionCount)

const murmur2Place: Place = (memory, record, topic, partitionCount) => {
  if (record.key === null) return memory.sticky.partitionOf(topic, partitionCount)
  return partitionCount === 1 ? 0 : partitionOfKey(record.key, partitionCount)
}

const roundRobinPlace: Place = (memory, _record, topic, partitionCount) =>
  memory.nextTurn(topic) % partitionCount

function consistent(hash: (keyBytes: Buffer) => number): Partitioner {
  checkFunction(hash, 'partitioners.consistent', 'the hash of a key')
  return builtIn((memory, record, topic, partitionCount) => {
    if (record.key === null) return memory.sticky.partitionOf(topic, partitionCount)
    const hashed: unknown = hash(bufferOf(record.key))
    if (typeof hashed !== 'number') {
      throw invalidArgument(
        `partitioners.consistent: the hash is a number, not ${describeValue(hashed)}`,
        { value: hashed },
      )
    }
    const remainder = hashed % partitionCount
    return remainder < 0 ? remainder + partitionCount : remainder
  })
}

function byField(field: (value: Anything) => string | Uint8Array): Partitioner {
  checkFunction(field, 'partitioners.byField', 'the field of a value to go by')
  return builtIn((_memory, record, _topic, partitionCount) => {
    const part: unknown = field(record.valueInput)
    if (typeof part === 'string' || isBytes(part)) return partitionOfKey(part, partitionCount)
    throw invalidArgument(
      `partitioners.byField: the field is a string or a Uint8Array, not ${describeValue(part)}`,
      { value: part },
    )
  })
}

/** A public partitioner with an inner way. */
function builtIn(place: Place): Partitioner {
  const partitioner: Partitioner = (record, topic) =>
    place(
      callersMemory ?? sharedMemory,
      { key: record.keyBytes, valueInput: record.value },
      topic.name,
      topic.partitionCount,
    )
  placeOf.set(partitioner, place)
  return partitioner
}

function checkFunction(given: unknown, where: string, what: string): void {
  if (typeof given === 'function') return
  throw invalidArgument(
    `${where} takes a function that gives ${what}, not ${describeValue(given)}`,
    {
      value: given,
    },
  )
}

/** A Buffer of its own: a partitioner may do with it what it likes. */
function bufferOf(key: EncodedValue): Buffer {
  return typeof key === 'string' ? Buffer.from(key) : Buffer.from(key)
}

/** The built-in partitioners. What they remember is kept per producer. */
export const partitioners: {
  /** The default: Kafka's hash of the key; without a key, sticky. */
  readonly murmur2: Partitioner
  /** One partition after the other, from 0 on, whatever the key. */
  readonly roundRobin: Partitioner
  /** Stays on a partition until a batch is full, then draws another, whatever the key (KIP-794). */
  readonly sticky: Partitioner
  /** By a hash of your own: its remainder by the partition count. Without a key, sticky. */
  consistent(hash: (keyBytes: Buffer) => number): Partitioner
  /** As `murmur2`, but of a part of the value: all of one customer together, say. */
  byField(field: (value: Anything) => string | Uint8Array): Partitioner
} = Object.freeze({
  murmur2: builtIn(murmur2Place),
  roundRobin: builtIn(roundRobinPlace),
  sticky: builtIn(stickyPlace),
  consistent,
  byField,
})
