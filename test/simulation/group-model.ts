/**
 * GroupModel: what one consumer group promised so far: which records were handled, and where it has
 * to go on in each partition after each way in which a process may end.
 *
 *   I1  everything below a committed position was handled, as it is there now: no record is passed
 *       over, whatever took the place of lost ones, but those of transactions that were aborted
 *   I2  no position lies above the end of its partition
 *   I3  a position survives a kill, and one that was committed durably survives a power cut
 *   I4  a topic begins without positions
 */
import type { TopicPartitionOffset } from '../../src/index.ts'
import type { PartitionModel, Stop } from './partition-model.ts'
import { must } from './simulation-failure.ts'
import type { TopicModel } from './topic-model.ts'

/** What is known of the group in one partition. */
interface Place {
  /** Numbers of the records that its members have handled. */
  readonly handled: Set<number>
  /** Where it goes on, at the last look; −1: from the start. */
  committed: number
  /** No power cut takes it back below; −1: it may be forgotten. */
  floor: number
  /** How often it was told to go on elsewhere. */
  returns: number
  /** The lowest of these places in this life: closing commits where a member is. */
  sought: number
}

/** See the file's header. */
export class GroupModel {
  readonly id: string
  readonly #places = new Map<PartitionModel, Place>()
  #isReset = false

  constructor(id: string) {
    this.id = id
  }

  /** A member has handled a record. */
  handled(partition: PartitionModel, id: number): void {
    this.#place(partition).handled.add(id)
  }

  /** A member goes on at `offset`: it wants nothing of what is passed over. */
  sought(partition: PartitionModel, offset: number): void {
    const place = this.#place(partition)
    for (const id of partition.ids.slice(partition.logStart, offset)) place.handled.add(id)
    place.floor = Math.min(place.floor, offset)
    place.sought = Math.min(place.sought, offset)
    place.returns += 1
  }

  /** The positions as they are, while the process runs. */
  look(topics: readonly TopicModel[], offsets: readonly TopicPartitionOffset[]): void {
    for (const { topic, partition, offset } of offsets) {
      const model = partitionOf(topics, topic, partition)
      if (model === undefined) continue
      const place = this.#place(model)
      if (offset > place.committed) this.#check(model, place, place.committed, offset)
      place.committed = offset
    }
  }

  /** What a durable commit covers once it resolves: how it stands now. */
  durably(topics: readonly TopicModel[], offsets: readonly TopicPartitionOffset[]): () => void {
    const committed = offsets.flatMap(({ topic, partition, offset }) => {
      const model = partitionOf(topics, topic, partition)
      if (model === undefined) return []
      const place = this.#place(model)
      return [{ topic, partition, model, place, offset, returns: place.returns }]
    })
    return () => {
      for (const { topic, partition, model, place, offset, returns } of committed) {
        // What was not synced of a topic that is gone needs no sync.
        if (partitionOf(topics, topic, partition) !== model) continue
        if (place.returns === returns) place.floor = Math.max(place.floor, offset)
        must(
          model.handle.durableOffset >= Math.min(offset, model.handle.logEndOffset),
          () => `${this.id}: committed ${offset} of ${model.name} durably, which is not durable`,
        )
      }
    }
  }

  /** The log was opened again (I3). */
  takeOver(
    topics: readonly TopicModel[],
    offsets: readonly TopicPartitionOffset[],
    how: Stop,
  ): void {
    const found = new Map<PartitionModel, number>()
    for (const { topic, partition, offset } of offsets) {
      const model = partitionOf(topics, topic, partition)
      if (model !== undefined) found.set(model, offset)
    }
    for (const topic of topics) {
      if (topic.isLive) for (const model of topic.partitions) this.#takeOver(model, found, how)
    }
    this.#isReset = false
  }

  /** Positions go back, in topics too that come while it is waited for. */
  reset(): void {
    this.#isReset = true
  }

  /** Its positions are taken back. */
  forget(): void {
    for (const place of this.#places.values()) {
      place.committed = -1
      place.floor = -1
    }
  }

  #takeOver(model: PartitionModel, found: ReadonlyMap<PartitionModel, number>, how: Stop): void {
    const place = this.#place(model)
    const offset = found.get(model) ?? -1
    // A place that was sought may have been committed by leaving, in the call that was stopped.
    const sought = this.#isReset ? Math.min(place.sought, model.logStart) : place.sought
    const least = how === 'cut' ? place.floor : Math.min(place.committed, sought)
    must(
      offset >= least,
      () => `${this.id}: ${how}, goes on at ${offset} of ${model.name}, not at ${least}`,
    )
    if (offset >= 0) this.#check(model, place, model.logStart, offset)
    place.committed = offset
    place.floor = offset
    place.sought = Infinity
  }

  /** I1 and I2. */
  #check(model: PartitionModel, { handled }: Place, from: number, to: number): void {
    const { ids, logStart, handle } = model
    must(
      to <= handle.logEndOffset,
      () => `${this.id}: committed ${to} of ${model.name}, which ends at ${handle.logEndOffset}`,
    )
    for (let offset = Math.max(from, logStart); offset < to; offset++) {
      const id = ids[offset] ?? -1
      must(
        id < 0 || handled.has(id) || model.isHidden(id),
        () => `${this.id}: committed ${to} of ${model.name}, and never handled ${offset}`,
      )
    }
  }

  #place(partition: PartitionModel): Place {
    const known = this.#places.get(partition)
    if (known !== undefined) return known
    const start = { committed: -1, floor: -1, returns: 0, sought: Infinity }
    const place = { ...start, handled: new Set<number>() }
    this.#places.set(partition, place)
    return place
  }
}

/** A partition that is there; undefined where its topic comes or goes. */
export function partitionOf(
  topics: readonly TopicModel[],
  name: string,
  partition: number,
): PartitionModel | undefined {
  return topics.find((one) => one.isLive && one.name === name)?.partitions[partition]
}
