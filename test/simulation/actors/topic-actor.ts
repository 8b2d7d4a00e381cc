/** TopicActor creates, alters, grows and deletes topics; one such call a topic at a time. */
import type { TopicConfig } from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Scale, Stage } from '../actor.ts'
import { must } from '../simulation-failure.ts'
import { TopicModel } from '../topic-model.ts'

const MAX_PARTITIONS = 4

/** See the file's header. */
export class TopicActor implements Actor {
  readonly name = 'topics'
  readonly steps: Readonly<Record<string, number>> = {
    create: 4,
    ensure: 1,
    delete: 1,
    recreate: 1,
    alter: 1,
    grow: 1,
    'list topics': 1,
  }
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  step(kind: string, random: SeededRandom): void {
    switch (kind) {
      case 'create':
        return this.#create(random, false)
      case 'ensure':
        return this.#create(random, true)
      case 'delete':
        return this.#delete(random, () => undefined)
      case 'recreate':
        return this.#delete(random, (name) =>
          this.#make(name, topicConfig(random, this.#stage.scale), false),
        )
      case 'alter':
        return this.#alter(random)
      case 'grow':
        return this.#grow(random)
      default:
        return this.#list()
    }
  }

  #create(random: SeededRandom, ensures: boolean): void {
    const { topics, life, scale } = this.#stage
    const name = `t${random.below(scale.topics)}`
    const ofName = topics.filter((topic) => topic.name === name && topic.state !== 'gone')
    if (ofName.some((topic) => topic.isBusy)) return
    const known = ofName.find((topic) => topic.state !== 'coming')
    const config = topicConfig(random, scale)
    const what = `${ensures ? 'ensure' : 'create'} ${name}`
    this.#stage.say(`${what} ${JSON.stringify(config)}`)
    if (known !== undefined) {
      if (!known.isLive || ensures) return
      life.track(life.log.createTopic(name, config), {
        what,
        mayFailWith: ['TOPIC_EXISTS'],
        done: () => must(!known.isLive, () => `${name} was created twice`),
      })
      return
    }
    this.#make(name, config, ensures)
  }

  /** Creates a topic that is not there. */
  #make(name: string, config: TopicConfig, ensures: boolean): void {
    const { topics, life, book } = this.#stage
    const model = new TopicModel(name, config, book)
    model.isBusy = true
    topics.push(model)
    const made = ensures ? life.log.ensureTopic(name, config) : life.log.createTopic(name, config)
    life.track(made, {
      what: `${ensures ? 'ensure' : 'create'} ${name}`,
      done: (handle) => {
        model.isBusy = false
        model.created(handle)
        must(
          handle.partitions.length === (config.partitions ?? 1),
          () => `${name} has ${handle.partitions.length} partitions`,
        )
      },
      failed: () => void (model.isBusy = false),
    })
  }

  /** Deletes a topic; `then` hears when it is gone for sure, with an error or without. */
  #delete(random: SeededRandom, then: (name: string) => void): void {
    const topic = this.#idleTopic(random)
    if (topic === undefined) return
    const { life } = this.#stage
    this.#stage.say(`delete ${topic.name}`)
    topic.isBusy = true
    topic.state = 'going'
    life.track(life.log.deleteTopic(topic.name), {
      what: `delete ${topic.name}`,
      done: () => {
        topic.isBusy = false
        topic.state = 'gone'
        if (!life.isClosing) then(topic.name)
      },
      failed: () => {
        topic.isBusy = false
        if (life.isClosing) return
        const isThere = life.log.topics().some((one) => one.id === topic.id)
        if (isThere) topic.state = 'live'
        else then(topic.name)
      },
    })
  }

  #alter(random: SeededRandom): void {
    const topic = this.#idleTopic(random)
    if (topic === undefined) return
    const { life } = this.#stage
    const { partitions: _partitions, ...all } = topicConfig(random, this.#stage.scale)
    const changes: TopicConfig =
      random.below(2) === 0 ? all : { segmentBytes: all.segmentBytes, flushMs: all.flushMs }
    this.#stage.say(`alter ${topic.name} ${JSON.stringify(changes)}`)
    topic.isBusy = true
    topic.noteConfig(changes)
    const after = { ...topic.config, ...changes }
    topic.configs.push(after)
    life.track(topic.handle.alterConfig(changes), {
      what: `alter ${topic.name}`,
      done: () => {
        topic.isBusy = false
        topic.config = after
        topic.configs = [after]
      },
      failed: () => void (topic.isBusy = false),
    })
  }

  #grow(random: SeededRandom): void {
    const topic = this.#idleTopic(random)
    if (topic === undefined || topic.partitions.length >= MAX_PARTITIONS) return
    const { life } = this.#stage
    const total = topic.partitions.length + 1
    this.#stage.say(`grow ${topic.name} to ${total}`)
    topic.isBusy = true
    topic.pendingTotals.push(total)
    life.track(topic.handle.addPartitions(total), {
      what: `grow ${topic.name}`,
      done: () => {
        topic.isBusy = false
        topic.grown()
        must(topic.partitions.length === total, () => `${topic.name} did not grow`)
      },
      failed: () => void (topic.isBusy = false),
    })
  }

  #list(): void {
    const { life, topics } = this.#stage
    const { log } = life
    const listed = new Set(log.topics().map((topic) => topic.id))
    for (const topic of topics) {
      if (topic.isBusy || topic.id === null || topic.state === 'going') continue
      must(
        listed.has(topic.id) === topic.isLive,
        () => `${topic.name} is ${topic.state}, and ${topic.isLive ? 'not ' : ''}listed`,
      )
    }
    life.now(() => log.describe(), { what: 'describe' })
  }

  #idleTopic(random: SeededRandom): TopicModel | undefined {
    const topic = this.#stage.anyTopic(random)
    return topic === undefined || topic.isBusy ? undefined : topic
  }
}

function topicConfig(random: SeededRandom, scale: Scale): TopicConfig {
  return {
    partitions: Math.min(random.oneOf(1, 1, 2, 3), scale.partitions),
    segmentBytes: scale.segmentBytes ?? random.oneOf(1_024, 2_048, 8_192, 65_536),
    indexIntervalBytes: random.oneOf(0, 200, 4_096),
    preallocate: random.oneOf(true, false),
    segmentMs: random.oneOf(50, 604_800_000, 604_800_000),
    flushMessages: random.oneOf(-1, -1, 5),
    flushMs: random.oneOf(-1, -1, 5),
    compressionType: random.oneOf('producer', 'producer', 'producer', 'gzip'),
    messageTimestampType: random.oneOf('CreateTime', 'CreateTime', 'CreateTime', 'LogAppendTime'),
  }
}
