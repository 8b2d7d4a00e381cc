/**
 * LiveReadActor follows partitions: each stream shows every record once, in order, and nothing that
 * is not visible yet; at rest it has shown all there is.
 */
import type { LogRecord, RecordStream } from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import type { PartitionModel } from '../partition-model.ts'
import { must, SimulationFailure } from '../simulation-failure.ts'
import type { TopicModel } from '../topic-model.ts'

const MAX_STREAMS = 3

interface Follower {
  readonly topic: TopicModel
  readonly partition: PartitionModel
  readonly stream: RecordStream<LogRecord>
  readonly isDurable: boolean
  next: number
  isOver: boolean
}

/** See the file's header. */
export class LiveReadActor implements Actor {
  readonly name = 'live reads'
  readonly steps: Readonly<Record<string, number>> = { follow: 2, unfollow: 1 }
  readonly #stage: Stage
  #followers: Follower[] = []

  constructor(stage: Stage) {
    this.#stage = stage
  }

  ended(): void {
    this.#followers = []
  }

  step(kind: string, random: SeededRandom): void {
    if (kind === 'follow') return this.#follow(random)
    const follower = this.#followers.shift()
    if (follower === undefined) return
    this.#stage.say(`unfollow ${follower.partition.name}`)
    follower.isOver = true
    const end = async (): Promise<void> => void (await follower.stream.return?.())
    this.#stage.life.track(end(), { what: 'end of a live read' })
  }

  atRest(): void {
    for (const { topic, partition, isDurable, next, isOver } of this.#followers) {
      if (isOver || !topic.isLive || this.#stage.isTainted) continue
      const { durableOffset, highWatermark, logStartOffset } = partition.handle
      const visible = isDurable ? Math.min(durableOffset, highWatermark) : highWatermark
      if (!this.#stage.catchUp(partition)) continue
      must(
        partition.pastMarkers(next) >= visible || next < logStartOffset,
        () => `${partition.name}: a live read waits at ${next}, but ${visible} is there`,
      )
    }
  }

  #follow(random: SeededRandom): void {
    if (this.#followers.length >= MAX_STREAMS) return
    const topic = this.#stage.anyTopic(random)
    const partition = topic?.partitions[random.below(topic.partitions.length)]
    if (topic === undefined || partition === undefined) return
    const isDurable = random.below(2) === 0
    const { logStartOffset, logEndOffset } = partition.handle
    const next = logStartOffset + random.below(logEndOffset - logStartOffset + 1)
    this.#stage.say(`follow ${partition.name} from ${next}${isDurable ? ', durable' : ''}`)
    const stream = partition.handle.read({
      from: next,
      live: true,
      visibility: isDurable ? 'durable' : 'written',
    })
    const follower = { topic, partition, stream, isDurable, next, isOver: false }
    this.#followers.push(follower)
    void this.#run(follower)
  }

  /** Not tracked: it waits for as long as nobody writes. What it meets is judged all the same. */
  async #run(follower: Follower): Promise<void> {
    const { life } = this.#stage
    const { topic, partition, stream } = follower
    const what = `live read of ${partition.name}`
    try {
      for await (const record of stream) this.#take(follower, record)
      must(
        follower.isOver || life.isClosing || life.faults.isStopped,
        () => `${what} ended by itself`,
      )
    } catch (error) {
      if (life.faults.isStopped) return
      const mayFailWith = topic.isLive ? [] : (['TOPIC_NOT_FOUND'] as const)
      try {
        if (error instanceof SimulationFailure) throw error
        life.judge(error, { what, mayFailWith })
      } catch (unexplained) {
        life.failure ??= unexplained
      }
    }
    follower.isOver = true
  }

  #take(follower: Follower, record: LogRecord): void {
    const { partition, isDurable } = follower
    const what = `live read of ${partition.name}`
    const { offset } = record
    const { durableOffset, highWatermark, logStartOffset } = partition.handle
    const isSeen = this.#stage.catchUp(partition)
    const next = isSeen ? partition.pastMarkers(follower.next) : follower.next
    const isNext = offset === next || (offset > next && (offset <= logStartOffset || !isSeen))
    must(
      isNext || (this.#stage.isTainted && offset > next),
      () => `${what}: shows ${offset} instead of ${follower.next}`,
    )
    must(
      offset < (isDurable ? durableOffset : highWatermark),
      () => `${what}: shows ${offset}, which is not visible yet`,
    )
    follower.next = offset + 1
    if (!isSeen) return
    partition.check(what, record, Number.parseInt(String(record.value), 10))
    this.#stage.count('read', 1)
  }
}
