/**
 * OffsetsReading: rebuilds the positions of all groups from the topic of committed offsets, when a
 * log opens with it, and takes in what comes to it where another process writes it.
 *
 * Reads every record once, oldest first; the last one of a key counts. An application may have
 * written a batch for each of very many commits, so a record that was met before costs neither an
 * object nor a string: its key is found by its bytes.
 *   I1  what a transaction committed counts from its commit marker on, and not where a later record
 *       says otherwise; what it aborted never did (KIP-98)
 *   I2  what cannot be read is left out, so that the group goes on at the commit before: it reads
 *       records again, and misses none
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import type { LogError } from '../errors/log-error.ts'
import { controlTypeOf } from '../format/control-record.ts'
import { MAX_OFFSET_STRING_BYTES, OffsetCommitReader } from '../format/offset-commit.ts'
import { RecordBatchReader } from '../format/record-batch-reader.ts'
import { isTransactionalBatch, producerEpochOf, producerIdOf } from '../format/record-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { Damage } from './damage.ts'
import type { GroupPosition, GroupPositions } from './group-positions.ts'
import { damageOf, type InternalTopicReader, readInternalTopic } from './internal-topic-read.ts'
import type { PartitionLog } from './partition-log.ts'
import type { ReadablePartition } from './readable-partition.ts'
import type { OnDamage } from './timestamp-lookup.ts'

/** What a record says of a position. */
interface Said {
  readonly position: GroupPosition
  readonly producerEpoch: number
  readonly writtenAt: number
  /** -1: nothing any more. */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

/** Whether a transaction is committed although its marker in `log` could not be written yet. */
export type IsCommitted = (log: PartitionLog, producerId: number, producerEpoch: number) => boolean

/**
 * Reads what `log`, a partition of the topic, says into `positions`; what of it is damaged. Of a
 * transaction that has no marker, `isCommitted` says what became of it.
 */
export function* loadOffsets(
  log: PartitionLog,
  positions: GroupPositions,
  isCommitted: IsCommitted,
): Procedure<readonly Damage[]> {
  const damage: Damage[] = []
  const reading = new OffsetsReading(log, positions, (error, resumesAt) => {
    damage.push(damageOf(log, error, resumesAt))
  })
  yield* readInternalTopic(log, reading)
  reading.decide((producerId, producerEpoch) => isCommitted(log, producerId, producerEpoch))
  return damage
}

/** What one partition of the topic says, shown batch by batch, oldest first. */
export class OffsetsReading implements InternalTopicReader {
  readonly #log: ReadablePartition
  readonly #positions: GroupPositions
  readonly #byKey = new KeyIndex()
  readonly #batch = new RecordBatchReader()
  readonly #commit = new OffsetCommitReader()
  readonly #onDamage: OnDamage
  /** What open transactions say, by producer id. */
  readonly #pending = new Map<number, Said[]>()
  /** Of the transactional batch that is being read. */
  #producerEpoch = -1

  /** Into `positions`, which nothing of must be forgotten while this is in use. */
  constructor(log: ReadablePartition, positions: GroupPositions, onDamage: OnDamage) {
    this.#log = log
    this.#positions = positions
    this.#onDamage = onDamage
  }

  /** Everything was shown: takes what is committed of transactions that have no marker. */
  decide(isCommitted: (producerId: number, producerEpoch: number) => boolean): void {
    for (const [producerId, said] of this.#pending) {
      for (const one of said) if (isCommitted(producerId, one.producerEpoch)) applyLater(one)
    }
  }

  takeBatch(buffer: Buffer, at: number): void {
    const batch = this.#batch
    batch.reset(buffer, at, this.#log.config.maxDecompressedBytes)
    const isTransactional = isTransactionalBatch(batch.attributes)
    const producerId = isTransactional ? producerIdOf(buffer, at) : -1
    if (isTransactional) this.#producerEpoch = producerEpochOf(buffer, at)
    while (batch.next()) {
      if (batch.isControl) this.#takeMarker(producerId)
      else if (batch.offset >= this.#log.logStartOffset) this.#takeRecord(producerId)
    }
  }

  #takeMarker(producerId: number): void {
    const { buffer, keyStart, keyLength } = this.#batch
    const type = controlTypeOf(buffer, keyStart, keyLength)
    if (type === 'other') return
    const said = this.#pending.get(producerId) ?? []
    this.#pending.delete(producerId)
    if (type === 'abort') return
    for (const one of said) applyLater(one)
  }

  #takeRecord(producerId: number): void {
    const { buffer, keyStart, keyLength, valueStart, valueLength, offset } = this.#batch
    const position = this.#positionOf(buffer, keyStart, keyLength)
    if (position === undefined) return
    const commit = this.#commit
    const isTakenBack = valueLength < 0
    if (!isTakenBack && !this.#isReadable(buffer, valueStart, valueLength)) return // I2
    if (producerId >= 0) {
      this.#pend(producerId, position, isTakenBack)
      return
    }
    position.writtenAt = offset
    if (isTakenBack) {
      position.clear()
      return
    }
    position.offset = commit.offset
    position.leaderEpoch = commit.leaderEpoch
    position.metadata = this.#metadata(buffer)
    position.commitTimestampMs = commit.commitTimestampMs
  }

  #pend(producerId: number, position: GroupPosition, isTakenBack: boolean): void {
    const commit = this.#commit
    const said: Said = {
      position,
      producerEpoch: this.#producerEpoch,
      writtenAt: this.#batch.offset,
      offset: isTakenBack ? -1 : commit.offset,
      leaderEpoch: commit.leaderEpoch,
      metadata: isTakenBack ? '' : this.#metadata(this.#batch.buffer),
      commitTimestampMs: commit.commitTimestampMs,
    }
    const pending = this.#pending.get(producerId)
    if (pending === undefined) this.#pending.set(producerId, [said])
    else pending.push(said)
  }

  /** What the key is about; undefined for another kind of record, or none. */
  #positionOf(buffer: Buffer, at: number, length: number): GroupPosition | undefined {
    if (length < 0) return undefined
    const known = this.#byKey.find(buffer, at, length)
    if (known !== undefined) return known
    const commit = this.#commit
    try {
      if (!commit.readKey(buffer, at, length)) return undefined
    } catch (error) {
      if (error instanceof CorruptBytes) return undefined // I2: of this record alone.
      throw error
    }
    const { groupStart, groupLength, topicStart, topicLength, partition } = commit
    const groupId = buffer.toString('utf8', groupStart, groupStart + groupLength)
    const topic = buffer.toString('utf8', topicStart, topicStart + topicLength)
    // What is no UTF-8 may be longer as text than a key can be.
    if (!isKeyText(groupId) || !isKeyText(topic)) return undefined
    const position = this.#positions.ensure(groupId, topic, partition)
    this.#byKey.add(Buffer.from(buffer.subarray(at, at + length)), position)
    return position
  }

  #isReadable(buffer: Buffer, at: number, length: number): boolean {
    try {
      return this.#commit.readValue(buffer, at, length)
    } catch (error) {
      if (error instanceof CorruptBytes) return false
      throw error
    }
  }

  #metadata(buffer: Buffer): string {
    const { metadataStart, metadataLength } = this.#commit
    if (metadataLength === 0) return ''
    return buffer.toString('utf8', metadataStart, metadataStart + metadataLength)
  }

  damaged(error: LogError<'CORRUPT'>, resumesAt: number): void {
    // I2: a marker that aborted them may be gone, and the next one be of another transaction.
    this.#pending.clear()
    this.#onDamage(error, resumesAt)
  }
}

function isKeyText(text: string): boolean {
  return Buffer.byteLength(text) <= MAX_OFFSET_STRING_BYTES
}

/** I1: a record behind it says what is true. */
function applyLater({ position, ...said }: Said): void {
  if (said.writtenAt <= position.writtenAt) return
  position.offset = said.offset
  position.leaderEpoch = said.leaderEpoch
  position.metadata = said.metadata
  position.commitTimestampMs = said.commitTimestampMs
  position.writtenAt = said.writtenAt
}

/** A key that was met, with others of the same hash behind it. */
interface KnownKey {
  readonly key: Buffer
  readonly position: GroupPosition
  readonly next: KnownKey | undefined
}

/** Positions by the bytes of their keys. Finding one allocates nothing. */
class KeyIndex {
  readonly #known = new Map<number, KnownKey>()

  find(buffer: Buffer, at: number, length: number): GroupPosition | undefined {
    let known = this.#known.get(hashOf(buffer, at, length))
    while (known !== undefined) {
      if (isSame(known.key, buffer, at, length)) return known.position
      known = known.next
    }
    return undefined
  }

  add(key: Buffer, position: GroupPosition): void {
    const hash = hashOf(key, 0, key.length)
    this.#known.set(hash, { key, position, next: this.#known.get(hash) })
  }
}

/** Byte by byte: for so few, a call into the runtime takes longer. */
function isSame(key: Buffer, buffer: Buffer, at: number, length: number): boolean {
  if (key.length !== length) return false
  for (let index = 0; index < length; index++) {
    if (key[index] !== buffer[at + index]) return false
  }
  return true
}

/** FNV-1a, as an int32: small, so that a Map keeps it without an object. */
function hashOf(buffer: Buffer, at: number, length: number): number {
  let hash = -0x7ee3_623b
  for (let index = at; index < at + length; index++) {
    // The caller has the bytes from `at` to `at + length`.
    hash = Math.imul(hash ^ (buffer[index] as number), 0x0100_0193)
  }
  return hash >> 1 // 31 bits: a number that needs no box.
}
