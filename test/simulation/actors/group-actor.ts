/**
 * GroupActor: consumer groups whose members join, poll, iterate, run handlers, commit, seek, pause
 * and leave. What a group promises is group-model.ts' to say; here is what members hold it with,
 * and that no two of them have a partition at the same time.
 */
import type {
  Batch,
  Consumer,
  ConsumerGroup,
  LogRecord,
  Running,
  TopicPartitionOffset,
} from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { LOOP_BODY } from '../computer.ts'
import { GroupModel, partitionOf } from '../group-model.ts'
import type { PartitionModel, Stop } from '../partition-model.ts'
import { must, SimulationFailure } from '../simulation-failure.ts'

const MAX_MEMBERS = 4
/** Of topics that may come and go. */
const TOPICS = /^t\d$/

/** A record by its number, and whose it is. */
type HandedRecord = readonly [partition: PartitionModel, id: number]

interface Member {
  readonly group: Group
  readonly consumer: Consumer<LogRecord>
  /** A loop has it, or a poll: nothing else may. */
  isBusy: boolean
  hasLeft: boolean
  /** Handed over by the last poll, and not handled before the next one. */
  inHand: readonly HandedRecord[]
}

interface Group {
  readonly model: GroupModel
  handle: ConsumerGroup<LogRecord> | undefined
}

/** See the file's header. */
export class GroupActor implements Actor {
  readonly name = 'groups'
  readonly steps: Readonly<Record<string, number>>
  readonly #stage: Stage
  readonly #groups: readonly Group[]
  #members: Member[] = []
  #runs: Running[] = []

  constructor(stage: Stage) {
    this.#stage = stage
    this.#groups = Array.from({ length: stage.scale.groups }, (_, index) => {
      return { model: new GroupModel(`group ${index}`), handle: undefined }
    })
    this.steps = stage.scale.groups === 0 ? {} : STEPS
  }

  opened(how: Stop): void {
    const { life, topics, isTainted } = this.#stage
    life.isRightReset = ({ topic, partition, from, to }) => {
      const start = partitionOf(topics, String(topic), Number(partition))?.handle.logStartOffset
      return start === undefined || (to === start && Number(from) < start)
    }
    for (const group of this.#groups) {
      const options = { topics: TOPICS, autoOffsetReset: 'earliest' } as const
      const handle: ConsumerGroup<LogRecord> = life.log.consumerGroup(group.model.id, options)
      group.handle = handle
      if (!isTainted) group.model.takeOver(topics, handle.offsets(), how)
    }
  }

  ended(): void {
    this.#members = []
    this.#runs = []
  }

  look(): void {
    const { topics, isTainted, life } = this.#stage
    if (life.isClosing) for (const member of this.#members) this.#handled(member)
    const owners = new Map<string, Member>()
    for (const member of this.#members) {
      if (member.hasLeft) continue
      for (const { topic, partition } of member.consumer.assignment) {
        const place = `${member.group.model.id}: ${topic}-${partition}`
        must(!owners.has(place), () => `${place} has two owners`)
        owners.set(place, member)
      }
    }
    if (isTainted || life.isClosing) return
    for (const { model, handle } of this.#groups) {
      if (handle !== undefined) model.look(topics, handle.offsets())
    }
  }

  step(kind: string, random: SeededRandom): void {
    if (kind === 'join' || kind === 'join, loop') return this.#join(kind, random)
    if (kind === 'run') return this.#run(random)
    if (kind === 'stop run') return this.#stopRun()
    if (kind === 'reset' || kind === 'forget group') return this.#administer(kind, random)
    const member = this.#members[random.below(this.#members.length)]
    if (member === undefined || member.hasLeft) return
    switch (kind) {
      case 'poll':
        return this.#poll(member, random)
      case 'commit':
      case 'commit durably':
        return this.#commit(member, kind === 'commit durably')
      case 'seek':
        return this.#seek(member, random)
      case 'pause':
        return this.#now(member, 'pause', () => member.consumer.pause())
      case 'resume':
        return this.#now(member, 'resume', () => member.consumer.resume())
      default:
        return this.#leave(member, random)
    }
  }

  #join(kind: string, random: SeededRandom): void {
    const group = this.#groups[random.below(this.#groups.length)]
    if (group?.handle === undefined || this.#members.length >= MAX_MEMBERS) return
    const { life } = this.#stage
    this.#stage.say(`${group.model.id}: ${kind}`)
    life.track(group.handle.join(), {
      what: `${group.model.id}: join`,
      mayFailWith: ['CLOSED'],
      done: (consumer) => {
        const member = { group, consumer, isBusy: false, hasLeft: false, inHand: [] }
        this.#members.push(member)
        if (kind === 'join, loop') void this.#loop(member, 1 + random.below(20))
      },
    })
  }

  #poll(member: Member, random: SeededRandom): void {
    if (member.isBusy) return
    const { life } = this.#stage
    const { model } = member.group
    const limits = { max: 1 + random.below(50), timeoutMs: random.oneOf(0, 1, 50) }
    this.#stage.say(`${model.id}: poll ${JSON.stringify(limits)}`)
    this.#handled(member)
    member.isBusy = true
    life.track(member.consumer.poll(limits), {
      what: `${model.id}: poll`,
      mayFailWith: ['CLOSED'],
      done: (records) => {
        member.isBusy = false
        member.inHand = this.#see(`${model.id}: poll`, records)
      },
      failed: () => void (member.isBusy = false),
    })
  }

  /** Not tracked: it waits for as long as nobody writes. */
  async #loop(member: Member, max: number): Promise<void> {
    const what = `${member.group.model.id}: loop`
    member.isBusy = true
    await this.#judged(what, async () => {
      for await (const batch of member.consumer.batches({ max })) await this.#take(member, batch)
    })
    member.isBusy = false
    member.hasLeft = true
  }

  async #take({ group }: Member, { records }: Batch<LogRecord>): Promise<void> {
    const places = this.#see(`${group.model.id}: loop`, records)
    await this.#stage.life.scheduler.call(LOOP_BODY)
    for (const [partition, id] of places) group.model.handled(partition, id)
  }

  #run(random: SeededRandom): void {
    const group = this.#groups[random.below(this.#groups.length)]
    if (group?.handle === undefined || this.#runs.length > 0) return
    const { life } = this.#stage
    const what = `${group.model.id}: run`
    const options = { members: 1 + random.below(2), concurrency: random.oneOf(1, 3) }
    this.#stage.say(`${what} ${JSON.stringify(options)}`)
    const running = group.handle.run(async (record) => {
      const places = this.#see(what, [record])
      await life.scheduler.call('handler')
      for (const [partition, id] of places) group.model.handled(partition, id)
    }, options)
    this.#runs.push(running)
    void this.#judged(what, () => running.done)
    running.ready.catch(() => undefined) // It fails with what `done` fails with.
  }

  #stopRun(): void {
    const running = this.#runs.shift()
    if (running === undefined) return
    this.#stage.say('stop run')
    this.#stage.life.track(running.stop(), { what: 'stop of a run', mayFailWith: ['CLOSED'] })
  }

  #commit(member: Member, isDurable: boolean): void {
    if (member.isBusy) return
    const { life, topics } = this.#stage
    const { model } = member.group
    const what = `${model.id}: commit${isDurable ? ', durable' : ''}`
    this.#stage.say(what)
    this.#handled(member)
    const own = new Set(member.consumer.assignment.map(nameOf))
    const committed = member.consumer.commit(undefined, { durable: isDurable })
    const positions = this.#offsetsOf(member).filter((one) => own.has(nameOf(one)))
    const promised = model.durably(topics, isDurable ? positions : [])
    life.track(committed, {
      what,
      mayFailWith: ['CLOSED', 'TOPIC_NOT_FOUND', 'PARTITION_NOT_FOUND', 'REBALANCED'],
      done: () => {
        if (!this.#stage.isTainted) promised()
      },
    })
  }

  #seek(member: Member, random: SeededRandom): void {
    if (member.isBusy) return
    const { consumer, group } = member
    const own = consumer.assignment[random.below(consumer.assignment.length)]
    if (own === undefined) return
    const partition = partitionOf(this.#stage.topics, own.topic, own.partition)
    if (partition === undefined || !this.#stage.catchUp(partition)) return
    const { logStart, written } = partition
    const offset = logStart + random.below(written - logStart + 1)
    this.#now(member, `seek ${offset} of ${partition.name}`, () => {
      // What is in hand of it stays handed over: the next commit takes the new place.
      this.#handled(member)
      group.model.sought(partition, offset)
      consumer.seek(own, offset)
    })
  }

  #administer(kind: string, random: SeededRandom): void {
    const group = this.#groups[random.below(this.#groups.length)]
    if (group?.handle === undefined) return
    const { life, topics } = this.#stage
    const what = `${group.model.id}: ${kind}`
    this.#stage.say(what)
    const mayFailWith = ['GROUP_NOT_EMPTY', 'GROUP_NOT_FOUND', 'CLOSED', 'TOPIC_NOT_FOUND'] as const
    if (kind === 'forget group') {
      life.track(group.handle.delete(), { what, mayFailWith })
      if (group.handle.offsets().length === 0) group.model.forget()
      return
    }
    for (const topic of topics) {
      if (!topic.isLive) continue
      for (const partition of topic.partitions) group.model.sought(partition, partition.logStart)
    }
    group.model.reset()
    life.track(group.handle.resetOffsets('earliest'), { what, mayFailWith })
  }

  #leave(member: Member, random: SeededRandom): void {
    const { life } = this.#stage
    const isLeave = random.below(2) === 0
    const what = `${member.group.model.id}: ${isLeave ? 'leave' : 'dispose'}`
    this.#stage.say(what)
    if (isLeave) this.#handled(member)
    member.hasLeft = true
    this.#members = this.#members.filter((one) => one !== member)
    const left = isLeave ? member.consumer.leave() : member.consumer[Symbol.asyncDispose]()
    life.track(left, { what, mayFailWith: ['CLOSED'] })
  }

  #now(member: Member, what: string, call: () => void): void {
    const { life } = this.#stage
    this.#stage.say(`${member.group.model.id}: ${what}`)
    life.now(call, { what, mayFailWith: ['REBALANCED', 'CLOSED', 'TOPIC_NOT_FOUND'] })
  }

  #offsetsOf(member: Member): readonly TopicPartitionOffset[] {
    return member.group.handle?.offsets() ?? []
  }

  /** Who asks for more, commits or leaves has handled what was handed over. */
  #handled(member: Member): void {
    for (const [partition, id] of member.inHand) member.group.model.handled(partition, id)
    member.inHand = []
  }

  /** Records as members get them, of topics that may be going by now. */
  #see(what: string, records: readonly LogRecord[]): readonly HandedRecord[] {
    const handed: HandedRecord[] = []
    const { topics, life } = this.#stage
    if (life.faults.isStopped) return handed
    for (const record of records) {
      const { topic, partition, offset } = record
      const id = Number.parseInt(String(record.value), 10)
      const going = topics.find((one) => one.state === 'going' && one.name === topic)
      const model = partitionOf(topics, topic, partition) ?? going?.partitions[partition]
      if (model === undefined) continue
      handed.push([model, id])
      if (going !== undefined || !this.#stage.catchUp(model)) continue
      model.check(what, record, id)
      if (!this.#stage.isTainted) this.#stage.book.of(id).transaction?.met(what, true)
      must(offset < model.written, () => `${what}: shows ${offset} of ${model.name}`)
    }
    this.#stage.count('read', records.length)
    return handed
  }

  async #judged(what: string, work: () => Promise<unknown>): Promise<void> {
    const { life } = this.#stage
    try {
      await work()
    } catch (error) {
      if (life.faults.isStopped) return
      try {
        if (error instanceof SimulationFailure) throw error
        life.judge(error, { what, mayFailWith: ['CLOSED'] })
      } catch (unexplained) {
        life.failure ??= unexplained
      }
    }
  }
}

const STEPS: Readonly<Record<string, number>> = {
  join: 2,
  'join, loop': 1,
  poll: 8,
  commit: 2,
  'commit durably': 2,
  seek: 1,
  pause: 0.5,
  resume: 1,
  leave: 1,
  run: 0.5,
  'stop run': 0.5,
  reset: 0.2,
  'forget group': 0.1,
}

function nameOf({
  topic,
  partition,
}: {
  readonly topic: string
  readonly partition: number
}): string {
  return `${topic}-${partition}`
}
