/** AppendActor appends to partitions by hand, with and without an expected offset, and flushes. */
import type { RecordInput } from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import type { PartitionModel } from '../partition-model.ts'
import { valueOf, type WrittenRecord } from '../record-book.ts'
import { must } from '../simulation-failure.ts'
import type { TopicModel } from '../topic-model.ts'

/** See the file's header. */
export class AppendActor implements Actor {
  readonly name = 'appends'
  readonly steps: Readonly<Record<string, number>> = {
    append: 10,
    'append more': 2,
    'append much': 0.3,
    'append at': 1,
    'append in vain': 1,
    flush: 3,
  }
  readonly #stage: Stage
  #sender = -1

  constructor(stage: Stage) {
    this.#stage = stage
  }

  opened(): void {
    this.#sender = this.#stage.nextSender()
  }

  step(kind: string, random: SeededRandom): void {
    const { life } = this.#stage
    const topic = this.#stage.anyTopic(random)
    const partition = topic?.partitions[random.below(topic.partitions.length)]
    if (topic === undefined || partition === undefined) return
    if (kind !== 'flush') {
      for (let batches = batchCount(kind, random); batches > 0; batches--)
        this.#append(kind, random, topic, partition)
      return
    }
    const end = partition.handle.logEndOffset
    this.#stage.say(`flush ${partition.name} to ${end}`)
    life.track(partition.handle.flush(), {
      what: `flush ${partition.name}`,
      mayFailWith: ['TOPIC_NOT_FOUND'],
      done: (offset) => {
        must(offset >= end, () => `${partition.name}: flushed to ${end}, but durable to ${offset}`)
        must(partition.handle.durableOffset >= offset, () => `${partition.name}: durable fell`)
      },
      failed: (error) => {
        must(!topic.isLive || error.code !== 'TOPIC_NOT_FOUND', () => `${topic.name} is not gone`)
      },
    })
  }

  #append(kind: string, random: SeededRandom, topic: TopicModel, partition: PartitionModel): void {
    const { life, scale } = this.#stage
    const { handle } = partition
    const count = 1 + random.below(random.oneOf(1, 4, scale.recordsPerBatch))
    const records = Array.from({ length: count }, () =>
      this.#stage.plan(random, topic, partition.index, this.#sender),
    )
    const end = handle.logEndOffset
    const durable = handle.durableOffset
    const isVain = kind === 'append in vain'
    const expectOffset = kind === 'append at' ? end : isVain ? end + 1 + random.below(3) : undefined
    const compression = random.oneOf('none', 'none', 'none', 'none', 'gzip', 'snappy')
    const first = records[0]?.id ?? -1
    this.#stage.say(`append ${count} to ${partition.name} at ${end}, from record ${first} on`)
    life.now(() => handle.append(records.map(inputOf), { expectOffset, compression }), {
      what: `append to ${partition.name}`,
      mayFailWith: isVain ? ['OFFSET_CONFLICT'] : topic.isLive ? [] : ['TOPIC_NOT_FOUND'],
      done: ({ baseOffset, lastOffset, leaderEpoch }) => {
        must(!isVain, () => `${partition.name}: appended at an offset that is not its end`)
        must(!partition.isFailed, () => `${partition.name} takes records after a failed sync`)
        must(
          baseOffset === end && lastOffset === end + count - 1,
          () => `${partition.name}: appended at ${baseOffset} to ${lastOffset}, not at ${end}`,
        )
        for (const [index, record] of records.entries())
          partition.acknowledged(record, baseOffset + index)
        partition.appendedIn(leaderEpoch)
        this.#stage.count('appended', count)
      },
      failed: () => {
        for (const record of records) record.state = 'refused'
        must(handle.logEndOffset === end, () => `${partition.name}: a failed append moved the end`)
        must(handle.durableOffset >= durable, () => `${partition.name}: durable fell`)
      },
    })
  }
}

/** 'append much' fills more than a page of an index, where every batch has an entry. */
function batchCount(kind: string, random: SeededRandom): number {
  if (kind === 'append much') return 100 + random.below(600)
  return kind === 'append more' ? 6 + random.below(20) : random.oneOf(1, 1, 2, 6)
}

/** A record as the library takes it. */
export function inputOf(record: WrittenRecord): RecordInput {
  const { key, timestamp, isTimed } = record
  const value = valueOf(record)
  return isTimed ? { key, value, timestamp } : { key, value }
}
