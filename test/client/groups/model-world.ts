/**
 * The world of the model: a log on a simulated disk, one group in it, its members and partitions as
 * the model knows them, and what must be true of all of them after each step.
 */
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { TopicPartition } from '../../../src/client/group-types.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { TestClock } from '../../../src/testing/manual-clock.ts'
import { keyOf } from './assigning.ts'
import { must } from './membership-harness.ts'
import { ModelMember, type MemberKind } from './model-member.ts'
import { ModelPartition } from './model-partition.ts'
import type { ModelCover } from './model-transactions.ts'

const GROUP = 'group'

/** What the members of the group share. */
export interface WorldOptions {
  readonly seed: number
  readonly assignor: 'cooperative-sticky' | 'range' | 'roundrobin' | 'sticky'
  readonly autoCommit: boolean
  readonly isPattern: boolean
  readonly maxPollIntervalMs: number | null
}

/** What histories were made of, so that one that tests nothing is seen to. */
export interface Tally {
  steps: number
  records: number
  repeated: number
  assigned: number
  revoked: number
  lost: number
  fenced: number
  commits: number
  transactions: number
  aborted: number
  reopened: number
}

/** See the file's header. */
export class ModelWorld {
  readonly options: WorldOptions
  readonly tally: Tally
  readonly clock: TestClock = new TestClock()
  readonly disk: FaultDisk
  readonly partitions: Map<string, ModelPartition> = new Map()
  members: ModelMember[] = []
  /** What nobody expected, of calls that nobody waits for. */
  readonly failures: unknown[] = []
  /** Hooks of members that are alive, that have not answered. */
  runningHooks = 0
  log: EventLog
  group: ConsumerGroup
  /** A transaction that commits positions, and is not over. */
  cover: ModelCover | undefined
  #deleted = new Set<string>()
  #appended = 0

  private constructor(
    options: WorldOptions,
    tally: Tally,
    disk: FaultDisk,
    log: EventLog,
    clock: TestClock,
  ) {
    this.options = options
    this.tally = tally
    this.disk = disk
    this.clock = clock
    this.log = log
    this.group = this.#newGroup()
  }

  static async begin(options: WorldOptions, tally: Tally): Promise<ModelWorld> {
    const clock = new TestClock()
    const disk = new FaultDisk({ seed: options.seed, clock })
    const log = await disk.open({ clock })
    await log.createTopic('a', { partitions: 3 })
    await log.createTopic('b', { partitions: 2 })
    const world = new ModelWorld(options, tally, disk, log, clock)
    world.addPartitions('a', 3)
    world.addPartitions('b', 2)
    return world
  }

  get nowMs(): number {
    return this.clock.monotonicNow()
  }

  /** The topics of the model, by name. */
  get topics(): readonly string[] {
    return [...new Set([...this.partitions.values()].map(({ topic }) => topic))].toSorted()
  }

  /** Members whose hooks and answers count: those of the log that is open. */
  isAlive(member: ModelMember): boolean {
    return this.members.includes(member)
  }

  partition(name: TopicPartition): ModelPartition {
    const partition = this.partitions.get(keyOf(name))
    if (partition === undefined) throw new Error(`${keyOf(name)} is in no topic`)
    return partition
  }

  holderOf(key: string): ModelMember | undefined {
    return this.members.find(({ feeds }) => feeds.has(key))
  }

  addPartitions(topic: string, total: number): void {
    for (let partition = 0; partition < total; partition += 1) {
      const made = new ModelPartition(topic, partition)
      if (!this.partitions.has(made.key)) this.partitions.set(made.key, made)
    }
  }

  deleteTopic(topic: string): void {
    for (const [key, partition] of this.partitions) {
      if (partition.topic !== topic) continue
      this.partitions.delete(key)
      this.#deleted.add(key)
    }
  }

  append({ topic, partition, values }: ModelPartition, count: number): void {
    const records = Array.from({ length: count }, () => {
      this.#appended += 1
      return `record ${this.#appended}`
    })
    this.log
      .topic(topic)
      .partition(partition)
      .append(records.map((value) => ({ value })))
    values.push(...records)
  }

  /** Another member; given back is the one that is fenced by it. */
  join(kind: MemberKind): ModelMember | undefined {
    const { instanceId } = kind
    const older = this.members.find(
      (member) =>
        !member.isOver &&
        !member.isFenced &&
        instanceId !== undefined &&
        member.kind.instanceId === instanceId,
    )
    const member = new ModelMember(this, kind)
    this.members.push(member)
    if (older !== undefined) {
      older.isFenced = true
      this.tally.fenced += 1
    }
    member.join()
    return older
  }

  /** Why a member may lose a partition: it is checked that there is a reason. */
  checkLoss(member: ModelMember, key: string): void {
    const { maxPollIntervalMs } = this.options
    const hasStalled =
      maxPollIntervalMs !== null &&
      this.nowMs - member.lastAskMs >= maxPollIntervalMs &&
      !member.isWaiting
    const hasReason = hasStalled || member.isFenced || this.#deleted.has(key)
    must(hasReason, `${key} is lost for a reason`)
  }

  /** Everything that can happen without time passing has happened. */
  async settle(ms = 0): Promise<void> {
    await this.clock.advance(ms)
    while (this.runningHooks > 0) await this.clock.advance(0)
    this.#deleted = new Set()
    const [failure] = this.failures
    if (failure !== undefined) throw failure
  }

  /** What is committed now is what may be. */
  observe(): void {
    const committed = new Map(this.group.offsets().map((entry) => [keyOf(entry), entry.offset]))
    for (const partition of this.partitions.values()) {
      if (partition.observe(committed.get(partition.key))) this.tally.commits += 1
    }
    for (const key of committed.keys()) must(this.partitions.has(key), `${key} exists`)
  }

  /** What must be true between steps. */
  check(): void {
    this.observe()
    this.#refreshExpectations()
    this.#checkOwners()
    this.#checkPositions()
    this.#checkRest()
  }

  /** The process ends; `end` says how, and opens nothing yet. */
  async reopen(end: () => Promise<unknown>, keepsAll: boolean): Promise<void> {
    this.observe()
    this.members = []
    this.cover = undefined
    this.runningHooks = 0
    this.tally.reopened += 1
    await end()
    this.log = await this.disk.open({ clock: this.clock })
    this.group = this.#newGroup()
    const committed = new Map(this.group.offsets().map((entry) => [keyOf(entry), entry.offset]))
    for (const partition of this.partitions.values()) {
      const { topic, partition: number, key } = partition
      partition.promised = undefined
      const { logEndOffset } = this.log.topic(topic).partition(number)
      if (!keepsAll) {
        partition.reopened(logEndOffset, committed.get(key))
        continue
      }
      must(logEndOffset === partition.end, `${key} ends where it ended, at ${partition.end}`)
      must(committed.get(key) === partition.committed, `${key} is committed as it was`)
    }
  }

  #newGroup(): ConsumerGroup {
    const { assignor, autoCommit, isPattern, maxPollIntervalMs } = this.options
    return this.log.consumerGroup(GROUP, {
      topics: isPattern ? /^[abc]$/ : ['a', 'b'],
      assignor,
      autoCommit,
      maxPollIntervalMs,
    })
  }

  /** What members have handled may be committed at any time. */
  #refreshExpectations(): void {
    for (const partition of this.partitions.values()) partition.mayBecome.clear()
    if (!this.options.autoCommit) return
    for (const { feeds } of this.members) {
      for (const { partition, handled, isUnwritten } of feeds.values()) {
        if (isUnwritten) partition.mayBecome.add(handled)
      }
    }
  }

  #checkOwners(): void {
    const owners = new Map<string, string>()
    for (const { memberId, assignment } of this.group.describe().members) {
      for (const key of assignment.map(keyOf)) {
        must(!owners.has(key), `${key} has one owner`)
        owners.set(key, memberId)
      }
    }
    for (const { feeds, consumer, isOver } of this.members) {
      if (consumer === undefined || isOver) continue
      const said = consumer.assignment.map(keyOf)
      for (const key of said) must(owners.get(key) === consumer.memberId, `${key} is its own`)
      for (const key of feeds.keys()) must(said.includes(key), `${key} was told and is assigned`)
    }
  }

  #checkPositions(): void {
    for (const { feeds, consumer, isOver } of this.members) {
      if (consumer === undefined || isOver) continue
      let lag = 0
      for (const { partition, position } of feeds.values()) {
        const actual = consumer.position(partition)
        must(actual === position, `${partition.key} is at ${position}, not at ${actual}`)
        lag += partition.end - position
      }
      if (feeds.size === consumer.assignment.length) {
        must(consumer.lag().total === lag, `the lag is ${lag}, not ${consumer.lag().total}`)
      }
    }
    const behind = [...this.partitions.values()].filter(({ topic }) => this.isSubscribed(topic))
    const lag = behind.reduce((sum, { end, start }) => sum + end - start, 0)
    must(this.group.lag().total === lag, `the group's lag is ${lag}, not ${this.group.lag().total}`)
  }

  /** Where nobody has anything in hand, nothing is held up; at rest everything is owned, evenly. */
  #checkRest(): void {
    const { state, members } = this.group.describe()
    if (members.length === 0) return
    const holdsUp = this.members.some(({ inHand, isOver }) => !isOver && inHand.size > 0)
    must(holdsUp || state === 'Stable', `the group is ${state} though nobody holds anything`)
    if (state !== 'Stable') return
    const owned = members.map(({ assignment }) => assignment.length)
    const all = [...this.partitions.values()].filter(({ topic }) => this.isSubscribed(topic)).length
    const sum = owned.reduce((total, load) => total + load, 0)
    must(sum === all, `${sum} of ${all} partitions are owned`)
    if (this.options.assignor === 'range') return
    must(Math.max(...owned) - Math.min(...owned) <= 1, `the loads are ${owned.join()}`)
  }

  isSubscribed(topic: string): boolean {
    return topic !== 'c' || this.options.isPattern
  }
}
