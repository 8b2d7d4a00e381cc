/**
 * CommittedReadActor reads what is committed, and follows it: each reader shows the records of
 * every transaction that was committed, once, in order, and nothing of any other.
 */
import type { LogRecord, RecordStream } from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { nextCommitted, pass, readCommitted } from '../committed-reads.ts'
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
export class CommittedReadActor implements Actor {
  readonly name = 'committed reads'
  readonly steps: Readonly<Record<string, number>>
  readonly #stage: Stage
  #followers: Follower[] = []

  constructor(stage: Stage) {
    this.#stage = stage
    this.steps = stage.scale.transactional === 0 ? {} : STEPS
  }

  ended(): void {
    this.#followers = []
  }

  step(kind: string, random: SeededRandom): void {
    if (kind === 'unfollow committed') return this.#unfollow()
    const topic = this.#stage.anyTopic(random)
    const partition = topic?.partitions[random.below(topic.partitions.length)]
    if (topic === undefined || partition === undefined || !this.#stage.catchUp(partition)) return
    const from = partition.logStart + random.below(partition.written - partition.logStart + 1)
    this.#stage.say(`${kind} of ${partition.name} from ${from} on`)
    if (kind === 'follow committed') return this.#follow(random, topic, partition, from)
    if (!this.#stage.isTainted) readCommitted(this.#stage, kind, partition, from)
  }

  atRest(): void {
    if (this.#stage.isTainted) return
    for (const { topic, partition, next, isDurable, isOver } of this.#followers) {
      if (isOver || !topic.isLive || !this.#stage.catchUp(partition)) continue
      const { lastStableOffset, durableOffset } = partition.handle
      const end = isDurable ? Math.min(lastStableOffset, durableOffset) : lastStableOffset
      const waiting = nextCommitted(this.#stage, partition, next)
      must(waiting >= end, () => `${partition.name}: a reader waits at ${next} for ${waiting}`)
    }
  }

  #follow(random: SeededRandom, topic: TopicModel, partition: PartitionModel, from: number): void {
    if (this.#followers.length >= MAX_STREAMS) return
    const isDurable = random.below(2) === 0
    const stream = partition.handle.read({
      from,
      live: true,
      isolation: 'read_committed',
      visibility: isDurable ? 'durable' : 'written',
    })
    const follower = { topic, partition, stream, isDurable, next: from, isOver: false }
    this.#followers.push(follower)
    void this.#read(follower)
  }

  #unfollow(): void {
    const follower = this.#followers.shift()
    if (follower === undefined) return
    this.#stage.say(`unfollow what is committed of ${follower.partition.name}`)
    follower.isOver = true
    const end = async (): Promise<void> => void (await follower.stream.return?.())
    this.#stage.life.track(end(), { what: 'end of a live read' })
  }

  async #read(follower: Follower): Promise<void> {
    const { life } = this.#stage
    const what = `live read of what is committed of ${follower.partition.name}`
    try {
      for await (const record of follower.stream) {
        if (life.faults.isStopped) return
        this.#take(what, follower, record)
      }
    } catch (error) {
      if (life.faults.isStopped) return
      const mayFailWith = follower.topic.isLive ? [] : (['TOPIC_NOT_FOUND'] as const)
      try {
        if (error instanceof SimulationFailure) throw error
        life.judge(error, { what, mayFailWith })
      } catch (unexplained) {
        life.failure ??= unexplained
      }
    }
    follower.isOver = true
  }

  #take(what: string, follower: Follower, { offset }: LogRecord): void {
    const { partition, isDurable, next } = follower
    const { lastStableOffset, durableOffset, logStartOffset } = partition.handle
    must(offset >= next, () => `${what}: shows ${offset} instead of ${next}`)
    must(offset < lastStableOffset, () => `${what}: shows ${offset}, which is not stable`)
    must(!isDurable || offset < durableOffset, () => `${what}: shows ${offset}, not durable`)
    follower.next = offset + 1
    if (this.#stage.isTainted || !this.#stage.catchUp(partition)) return
    const from = Math.max(next, logStartOffset)
    const shown = new Set([offset])
    pass(this.#stage, what, partition, { from, to: offset + 1, shown, isDurable })
    this.#stage.count('read', 1)
  }
}

const STEPS: Readonly<Record<string, number>> = {
  'read committed': 3,
  'follow committed': 2,
  'unfollow committed': 1,
}
