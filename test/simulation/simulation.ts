/**
 * Simulation: the whole library in a process that is started, used, stopped and started again over
 * one disk, in a history that a seed decides to the last detail, beside a model of its promises.
 *
 *   actors/           who uses it (actor.ts says how a feature joins); begin things, await nothing
 *   scheduler.ts      decides which of all that is under way comes next; owns time
 *   fault-plan.ts     decides what fails; knows afterwards what an error may be blamed on
 *   scheduled-driver  the disk as one process has it
 *   *-model.ts        what was promised; record-book.ts: every record that anybody tried to write
 *   computer.ts       the process and its disk: start, stop, what may be left behind
 *   life-steps.ts     steps that are nobody's, and what a seed is like besides them
 *   this file         the steps, and what must hold around a close, a kill and a power cut
 *
 * A step is a name and a number, and depends on nothing that steps before it drew: so steps can be
 * left out of a failing history while it fails (shrink.ts), and a history that was shrunk can be
 * kept as a test. What is not here: the writer's lock, which is the kernel's.
 */
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { Actor, Scale, Stage } from './actor.ts'
import { allActors } from './actors/all.ts'
import { Computer } from './computer.ts'
import type { FaultCounts, FaultGroup, FaultPlan } from './fault-plan.ts'
import { checkIndexes } from './index-watch.ts'
import type { PartitionModel, Stop } from './partition-model.ts'
import type { ProcessLife } from './process-life.ts'
import { ROT_STEP, scaleOf, setUpStop } from './life-steps.ts'
import { RecordBook, type WrittenRecord } from './record-book.ts'
import { SalvageWatch } from './salvage-watch.ts'
import { takeOverTurns, Trace } from './scheduler.ts'
import { must } from './simulation-failure.ts'
import { checkEnds, takeOverTopics, type TopicModel } from './topic-model.ts'

/** One step of a history. */
export interface Step {
  readonly kind: string
  readonly seed: number
}

/** What a history is played with. */
export interface SimulationSettings {
  readonly seed: number
  readonly faults: readonly FaultGroup[]
  /** Hears of every note of the trace and what each step does. */
  readonly listener?: ((note: string) => void) | undefined
  /** Calls of the driver that are passed over, as if the engine left them out. */
  readonly leftOut?: FaultPlan['leftOut']
}

/** What a history came to. */
export interface SimulationResult {
  readonly traceHash: string
  readonly stepCount: number
  readonly appendedCount: number
  readonly readCount: number
  readonly reopenCount: number
  readonly faults: FaultCounts
}

/** See the file's header. */
export class Simulation implements Stage {
  readonly book: RecordBook = new RecordBook()
  readonly topics: TopicModel[] = []
  readonly scale: Scale
  readonly actors: readonly Actor[]
  /** What the last step did. */
  said = ''
  readonly #settings: SimulationSettings
  readonly #trace = new Trace()
  readonly #counts: FaultCounts = new Map()
  readonly #computer: Computer
  readonly #salvage: SalvageWatch
  #senders = 0
  #appended = 0
  #read = 0
  #steps = 0

  constructor(settings: SimulationSettings) {
    const { seed, leftOut, listener, faults } = settings
    this.#settings = settings
    this.scale = scaleOf(seed)
    this.#trace.listener = listener
    this.#computer = new Computer({
      seed,
      leftOut,
      trace: this.#trace,
      counts: this.#counts,
      isTainted: () => this.isTainted,
      beforeCall: () => {
        for (const actor of this.actors) actor.between?.()
      },
      onReadOnly: (details) => this.#turnedReadOnly(details),
    })
    this.#salvage = new SalvageWatch(this.#computer, this.topics)
    this.actors = allActors(this, seed, new Set(faults))
  }

  get life(): ProcessLife {
    return this.#computer.life
  }

  /** Plays a history to its end; throws where the library broke a promise. */
  async run(
    steps: Iterable<Step>,
    told: (text: string) => void = () => undefined,
  ): Promise<SimulationResult> {
    const giveBack = takeOverTurns(() => this.life.scheduler)
    try {
      await this.#start('clean')
      for (const step of steps) {
        this.#steps += 1
        await this.#step(step)
        told(this.said)
      }
      await this.#end()
    } finally {
      giveBack()
    }
    return this.result
  }

  get result(): SimulationResult {
    return {
      traceHash: this.#trace.hash,
      stepCount: this.#steps,
      appendedCount: this.#appended,
      readCount: this.#read,
      reopenCount: this.#computer.openedCount,
      faults: this.#counts,
    }
  }

  // ------------------------------------------------------------- for actors

  get isTainted(): boolean {
    return this.book.isTainted
  }

  nextSender(): number {
    return this.#senders++
  }

  count(what: 'appended' | 'read', records: number): void {
    if (what === 'appended') this.#appended += records
    else this.#read += records
  }

  say(text: string): void {
    this.said = text
    this.#trace.text(text)
  }

  anyTopic(random: SeededRandom): TopicModel | undefined {
    const live = this.topics.filter((topic) => topic.isLive)
    return live[random.below(live.length)]
  }

  anyPartition(random: SeededRandom): PartitionModel | undefined {
    const topic = this.anyTopic(random)
    const partition = topic?.partitions[random.below(topic.partitions.length)]
    return partition !== undefined && this.catchUp(partition) ? partition : undefined
  }

  catchUp(partition: PartitionModel): boolean {
    const what = `read of what was appended to ${partition.name}`
    const records = this.life.now(() => partition.catchUp(), { what })
    this.#read += records ?? 0
    return records !== undefined
  }

  plan(random: SeededRandom, topic: TopicModel, partition: number, sender: number): WrittenRecord {
    const key = random.below(2) === 0 ? null : `key ${random.below(9)}`
    const isTimed = random.below(3) > 0
    const now = this.life.scheduler.clock.now()
    const timestamp = isTimed ? now + random.oneOf(0, 0, 0, -500, 500) : now
    const placed =
      partition === -1 && key !== null ? topic.handle.partitionFor(key).index : partition
    const valueBytes = random.below(
      random.oneOf(1, this.scale.valueBytes, this.scale.valueBytes * 4),
    )
    return this.book.add({
      topic: topic.name,
      partition: placed,
      key,
      valueBytes,
      timestamp,
      isTimed,
      sender,
    })
  }

  // ----------------------------------------------------------------- steps

  async #step({ kind, seed }: Step): Promise<void> {
    const random = new SeededRandom(seed)
    const { life } = this
    life.scheduler.random = new SeededRandom(seed ^ 0x5bd1e995)
    this.said = kind
    const { struck } = life.faults
    const actor = this.actors.find((one) => kind in one.steps)
    if (actor === undefined) await this.#ownStep(kind, random)
    else actor.step(kind, random)
    await this.life.scheduler.events(random.oneOf(0, 0, 1, 4, 15))
    await this.#afterEvents(random)
    const isStruck = life === this.life && life.faults.struck > struck
    if (isStruck && random.below(10) < this.scale.misfortune) {
      this.said += ', and then a crash'
      await this.#crash(random.below(2) === 0, random)
    }
    this.#trace.number(this.book.count)
  }

  async #afterEvents(random: SeededRandom): Promise<void> {
    this.life.throwFailure()
    if (this.life.faults.isStopped) await this.#crash(this.#computer.stopsWithPower, random)
    this.#look()
  }

  async #ownStep(kind: string, random: SeededRandom): Promise<void> {
    switch (kind) {
      case 'rest':
        return await this.#rest()
      case 'wait': {
        const ms = random.oneOf(1, 10, 100, 1_100, 61_000)
        this.say(`wait ${ms} ms`)
        return await this.life.scheduler.wait(ms)
      }
      case 'checkpoint':
        return await this.life.scheduler.wait(60_001)
      case 'time passes': {
        const ms = random.oneOf(1_001, 60_001)
        this.say(`${ms} ms pass at once`)
        return this.life.scheduler.pass(ms)
      }
      case 'close':
        return await this.#close(false, random)
      case 'close, power cut':
        return await this.#close(true, random)
      case 'kill':
        return await this.#crash(false, random)
      case 'power cut':
        return await this.#crash(true, random)
      case 'stop in a call':
      case 'stop at a call':
        return this.say(setUpStop(kind, this.#computer, random))
      case 'stop at open':
        this.#computer.stopsWithPower = random.below(2) === 0
        this.#computer.stopAtOpen = random.below(random.oneOf(10, 40, 100))
        return await this.#crash(random.below(2) === 0, random)
      case ROT_STEP:
        return await this.#damage(random)
      default:
        throw new Error(`there is no step ${kind}`)
    }
  }

  /**
   * What no engine can survive: from here on records may be missing, but none may be wrong. Bits
   * rot while no process runs: one checks a batch when it reads it for the first time.
   */
  async #damage(random: SeededRandom): Promise<void> {
    this.#seeAll()
    this.book.isTainted = true
    const { faults } = this.life
    const suffix = random.oneOf('.log', '.log', '.log', '.index', '.timeindex', '')
    const fault = random.oneOf('lost', 'misdirected', 'dropUnreadable', 'rot', 'rot', 'rot')
    this.say(`${fault} in a ${suffix} file`)
    this.book.isMisdirected ||= fault === 'misdirected'
    if (fault !== 'rot') {
      const left = 1 + random.below(3)
      const action = fault === 'dropUnreadable' ? 'flush' : 'write'
      return faults.add({ action, suffix, fault, after: random.below(3), left })
    }
    this.#stop(random.below(2) === 0, random)
    for (let bits = random.oneOf(1, 1, 5); bits > 0; bits--) this.#computer.rot(suffix, random)
    const points = suffix === '' ? new Map<string, number>() : this.#computer.recoveryPoints()
    await this.#start('killed')
    checkEnds(this.topics, points)
  }

  /** Until nothing is under way but live reads. */
  async #rest(): Promise<void> {
    const { life } = this
    const { scheduler, faults } = life
    await scheduler.until(() => life.pendingCount === 0 || faults.isStopped, life.waiting)
    if (faults.isStopped) return
    await scheduler.events(200) // What nobody waits for: deletions, the publisher.
    if (faults.isStopped) return
    life.throwFailure()
    for (const actor of this.actors) actor.atRest?.()
    if (faults.seen.has('IO') || this.isTainted || !faults.isCalm) return
    this.#computer.checkFreeSpace()
  }

  #look(): void {
    for (const topic of this.topics)
      if (topic.isLive) for (const partition of topic.partitions) partition.look()
    for (const actor of this.actors) actor.look?.()
  }

  /** What is not seen before the process goes cannot be held against what comes back. */
  #seeAll(): void {
    for (const topic of this.topics)
      if (topic.isLive) for (const partition of topic.partitions) this.catchUp(partition)
  }

  // --------------------------------------------------------- the process

  async #close(cutsPower: boolean, random: SeededRandom): Promise<void> {
    const { life } = this
    const { scheduler, faults } = life
    this.#seeAll()
    this.say(cutsPower ? 'close, then cut the power' : 'close')
    life.isClosing = true
    const outcomes: ('clean' | 'failed')[] = []
    life.track(life.log.close(), {
      what: 'close',
      done: () => void outcomes.push('clean'),
      failed: () => void outcomes.push('failed'),
    })
    const isOver = (): boolean => life.pendingCount === 0 || faults.isStopped
    await scheduler.until(isOver, life.waiting)
    life.throwFailure()
    if (faults.isStopped) return
    this.#look()
    this.#computer.checkNothingIsLeft()
    const isClean = outcomes[0] === 'clean'
    if (isClean) for (const topic of this.topics) topic.closedCleanly(faults.seen.size === 0)
    this.#stop(cutsPower, random)
    await this.#start(isClean ? 'clean' : cutsPower ? 'cut' : 'killed')
  }

  async #crash(cutsPower: boolean, random: SeededRandom): Promise<void> {
    const { faults } = this.life
    const { isStopped } = faults
    if (!isStopped) {
      this.#seeAll()
      faults.count(cutsPower ? 'power cut' : 'kill')
    }
    this.#look()
    // What a failed write has left stays where it could not be cut off.
    const isWhole = !faults.seen.has('IO') && !faults.seen.has('resize')
    const isPlain = !isStopped && !cutsPower && isWhole && !this.isTainted
    const opened = this.#computer.openedCount
    this.#stop(cutsPower, random)
    await this.#start(cutsPower ? 'cut' : 'killed')
    if (!isPlain || this.#computer.openedCount > opened + 1) return
    for (const { topic, partition, cutBytes } of this.life.log.recovery.partitions)
      must(cutBytes === 0, () => `${topic}-${partition}: killed between calls, but was cut`)
  }

  #stop(cutsPower: boolean, random: SeededRandom): void {
    for (const actor of this.actors) actor.ended?.()
    for (const topic of this.topics) topic.isBusy = false
    this.#computer.stop(cutsPower, random)
    for (const actor of this.actors) actor.left?.()
  }

  async #start(how: Stop): Promise<void> {
    const stop = await this.#computer.start(how)
    const { log } = this.life
    const { clean, partitions } = log.recovery
    must(clean || stop !== 'clean', () => 'a log that was closed is not clean')
    for (const { damage, topic, partition } of partitions) {
      must(
        damage.length === 0 || this.isTainted,
        () => `${topic}-${partition}: damage that nobody did: ${JSON.stringify(damage)}`,
      )
    }
    this.#read += takeOverTopics(log, this.topics, clean ? 'clean' : stop, this.isTainted)
    this.book.closeChapter()
    this.#salvage.look(this.isTainted)
    if (!this.isTainted) checkIndexes(this.#computer.disk, this.topics)
    for (const actor of this.actors) actor.opened?.(clean ? 'clean' : stop)
    this.life.throwFailure()
  }

  #turnedReadOnly({ topic, partition }: Readonly<Record<string, unknown>>): void {
    const model = this.topics.find((one) => one.isLive && one.name === topic)
    const failed = typeof partition === 'number' ? model?.partitions[partition] : undefined
    if (failed !== undefined) failed.isFailed = true
  }

  async #end(): Promise<void> {
    const random = new SeededRandom(this.#settings.seed)
    this.life.faults.calm()
    await this.#rest()
    await this.#afterEvents(random)
    await this.#close(random.below(2) === 0, random)
    await this.#afterEvents(random)
    await this.#rest()
    await this.#close(false, random)
  }
}
