/**
 * Simulation: the whole library in one process that is started, used, stopped and started again over
 * one disk, in a history that a seed decides to the last detail, beside a model of what it promised.
 *
 *   actors/           who uses it (actor.ts says how a feature joins); begin things, await nothing
 *   scheduler.ts      decides which of all that is under way comes next; owns time
 *   fault-plan.ts     decides what fails; knows afterwards what an error may be blamed on
 *   scheduled-driver  the disk as one process has it
 *   *-model.ts        what was promised; record-book.ts: every record that anybody tried to write
 *   this file         the process: opening, closing, kill, power cut, and what must hold around it
 *
 * A step is a name and a number, and depends on nothing that steps before it drew: so steps can be
 * left out of a failing history while it fails (shrink.ts), and a history that was shrunk can be
 * kept as a test. What is not here: the writer's lock, which is the kernel's.
 */
import type { Clock } from '../../src/index.ts'
import { DiskMachine } from '../../src/testing/disk-machine.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { Actor, Scale, Stage } from './actor.ts'
import { allActors } from './actors/all.ts'
import { type FaultCounts, type FaultGroup, FaultPlan } from './fault-plan.ts'
import { openOver } from './open-over.ts'
import type { PartitionModel, Stop } from './partition-model.ts'
import { ProcessLife } from './process-life.ts'
import { RecordBook, type WrittenRecord } from './record-book.ts'
import { ScheduledDriver } from './scheduled-driver.ts'
import { heldCount, Scheduler, takeOverTurns, Trace } from './scheduler.ts'
import { must } from './simulation-failure.ts'
import { takeOverTopics, type TopicModel } from './topic-model.ts'

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

/** Steps that are not an actor's, and how often each comes. */
export const LIFE_STEPS: Readonly<Record<string, number>> = {
  rest: 2,
  wait: 2,
  close: 1.5,
  'close, power cut': 0.5,
}
/** As above, where a run has crashes. */
export const CRASH_STEPS: Readonly<Record<string, number>> = {
  kill: 1,
  'power cut': 2,
  'stop in a call': 2,
  'stop at open': 1,
}
/** As above, once, where a run has damaged bytes. */
export const ROT_STEP = 'rot'

/** Holds of a process that was killed stay: the count says nothing any more. */
let holdsWereLost = false

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
  readonly #random: SeededRandom
  readonly #counts: FaultCounts = new Map()
  #disk: FaultDriver
  #boot = 0
  #nowMs = 1_700_000_000_000
  #life: ProcessLife | undefined
  #stopWithPower = false
  #stopAtOpen: number | undefined
  #senders = 0
  #appended = 0
  #read = 0
  #reopened = 0
  #steps = 0

  constructor(settings: SimulationSettings) {
    this.#settings = settings
    this.#random = new SeededRandom(settings.seed)
    const random = this.#random
    this.scale = {
      topics: random.oneOf(1, 2, 3),
      recordsPerBatch: random.oneOf(4, 10, 40),
      valueBytes: random.oneOf(20, 100, 600),
    }
    this.#trace.listener = settings.listener
    this.#disk = new FaultDriver(new DiskMachine(settings.seed, this.#diskClock))
    this.actors = allActors(this, new Set(settings.faults))
  }

  /** Of the disk: that of the process that runs. */
  readonly #diskClock: Clock = {
    now: () => this.#life?.scheduler.clock.now() ?? this.#nowMs,
    monotonicNow: () => 0,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  }

  get life(): ProcessLife {
    must(this.#life !== undefined, () => 'no process runs')
    return this.#life
  }

  /** Plays a history to its end; throws where the library broke a promise. */
  async run(
    steps: Iterable<Step>,
    told: (text: string) => void = () => undefined,
  ): Promise<SimulationResult> {
    const giveBack = takeOverTurns(() => this.life.scheduler)
    try {
      await this.#reopen('clean')
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
      reopenCount: this.#reopened,
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
    const actor = this.actors.find((one) => kind in one.steps)
    if (actor === undefined) await this.#ownStep(kind, random)
    else actor.step(kind, random)
    await this.life.scheduler.events(random.oneOf(0, 0, 1, 4, 15))
    await this.#afterEvents(random)
    this.#trace.number(this.book.count)
  }

  async #afterEvents(random: SeededRandom): Promise<void> {
    this.life.throwFailure()
    if (this.life.faults.isStopped) await this.#crash(this.#stopWithPower, random)
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
      case 'close':
        return await this.#close(false, random)
      case 'close, power cut':
        return await this.#close(true, random)
      case 'kill':
        return await this.#crash(false, random)
      case 'power cut':
        return await this.#crash(true, random)
      case 'stop in a call': {
        this.#stopWithPower = random.below(2) === 0
        const after = random.below(random.oneOf(4, 30))
        this.life.faults.stopAfter = after
        this.say(`stop after ${after} calls${this.#stopWithPower ? ', with the power' : ''}`)
        return
      }
      case 'stop at open':
        this.#stopWithPower = random.below(2) === 0
        this.#stopAtOpen = random.below(40)
        return await this.#crash(random.below(2) === 0, random)
      case ROT_STEP:
        return await this.#damage(random)
      default:
        throw new Error(`there is no step ${kind}`)
    }
  }

  /**
   * What no engine can survive: from here on records may be missing, but none may be wrong. Bits rot
   * while no process has them open: one checks a batch when it reads it for the first time.
   */
  async #damage(random: SeededRandom): Promise<void> {
    this.#seeAll()
    this.book.isTainted = true
    const { faults } = this.life
    const suffix = random.oneOf('.log', '.log', '.log', '.index', '.timeindex', '')
    const fault = random.oneOf('lost', 'misdirected', 'dropUnreadable', 'rot', 'rot', 'rot')
    this.say(`${fault} in a ${suffix} file`)
    if (fault !== 'rot') {
      const left = 1 + random.below(3)
      const action = fault === 'dropUnreadable' ? 'flush' : 'write'
      return faults.add({ action, suffix, fault, after: random.below(3), left })
    }
    this.#stopProcess(random.below(2) === 0, random)
    const files = [...this.#disk.machine.tree.files()].filter(
      ({ bytes, name }) => bytes.sizeBytes > 0 && name.endsWith(suffix),
    )
    for (let bits = random.oneOf(1, 1, 5); bits > 0; bits--) {
      const bytes = files[random.below(files.length)]?.bytes
      if (bytes === undefined) break
      bytes.flipBit(random.below(bytes.sizeBytes), random.below(8))
      bytes.evict()
      faults.count('rotten bit')
    }
    await this.#reopen('killed')
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
  }

  #look(): void {
    for (const topic of this.topics)
      if (topic.isLive) for (const partition of topic.partitions) partition.look()
  }

  // --------------------------------------------------------- the process

  async #close(cutsPower: boolean, random: SeededRandom): Promise<void> {
    const { life } = this
    const { scheduler, faults, driver } = life
    this.#seeAll()
    this.say(cutsPower ? 'close, then cut the power' : 'close')
    life.isClosing = true
    let outcome: 'open' | 'clean' | 'failed' = 'open'
    life.track(life.log.close(), {
      what: 'close',
      done: () => void (outcome = 'clean'),
      failed: () => void (outcome = 'failed'),
    })
    const isOver = (): boolean =>
      (outcome !== 'open' && life.pendingCount === 0) || faults.isStopped
    await scheduler.until(isOver, life.waiting)
    life.throwFailure()
    if (faults.isStopped) return
    this.#look()
    must(scheduler.timerCount === 0, () => `${scheduler.timerCount} timers are left after close`)
    must(scheduler.callCount === 0, () => 'driver calls are under way after close')
    must(driver.isClosed, () => 'the driver is open after close')
    const leftOpen = driver.leftOpen.filter((path) => path !== 'streambed.control')
    must(leftOpen.length === 0, () => `left open: ${leftOpen.join(', ')}`)
    must(holdsWereLost || heldCount() === 0, () => 'the process is held after close')
    const isClean = this.outcomeOf(outcome) === 'clean'
    if (isClean) for (const topic of this.topics) settleDurable(topic)
    this.#stopProcess(cutsPower, random)
    await this.#reopen(isClean ? 'clean' : cutsPower ? 'cut' : 'killed')
  }

  /** A value that callbacks change, as it is now. */
  outcomeOf(outcome: string): string {
    return outcome
  }

  async #crash(cutsPower: boolean, random: SeededRandom): Promise<void> {
    const { faults } = this.life
    if (!faults.isStopped) {
      this.#seeAll()
      faults.count(cutsPower ? 'power cut' : 'kill')
    }
    this.#look()
    this.#stopProcess(cutsPower, random)
    await this.#reopen(cutsPower ? 'cut' : 'killed')
  }

  /** What is not seen before the process goes cannot be held against what comes back. */
  #seeAll(): void {
    for (const topic of this.topics)
      if (topic.isLive) for (const partition of topic.partitions) this.catchUp(partition)
  }

  #stopProcess(cutsPower: boolean, random: SeededRandom): void {
    if (heldCount() > 0) holdsWereLost = true
    this.#nowMs = this.life.scheduler.clock.now() + random.below(1_000)
    for (const actor of this.actors) actor.ended?.()
    for (const topic of this.topics) topic.isBusy = false
    if (cutsPower) this.#boot += 1
    this.#disk = cutsPower ? this.#disk.powerCut(random) : this.#disk.processKill()
  }

  #newLife(): ProcessLife {
    const random = new SeededRandom(this.#random.below(2 ** 31))
    const scheduler = new Scheduler(random, this.#nowMs, this.#trace)
    const faults = new FaultPlan(
      this.#disk.machine,
      new SeededRandom(this.#random.below(2 ** 31)),
      this.#counts,
    )
    faults.leftOut = this.#settings.leftOut
    const life = new ProcessLife(
      scheduler,
      new ScheduledDriver(this.#disk, scheduler, faults),
      faults,
    )
    life.isTainted = () => this.isTainted
    life.onReadOnly = (details) => this.#turnedReadOnly(details)
    this.#life = life
    return life
  }

  async #reopen(how: Stop): Promise<void> {
    let stop = how
    for (;;) {
      const life = this.#newLife()
      life.faults.stopAfter = this.#stopAtOpen
      this.#stopAtOpen = undefined
      const outcome = await this.#open(life)
      this.#reopened += 1
      if (outcome === 'open') break
      const cutsPower = outcome === 'stopped' && this.#stopWithPower
      stop = stop === 'cut' || cutsPower ? 'cut' : 'killed'
      life.faults.calm()
      this.#stopProcess(cutsPower, new SeededRandom(this.#random.below(2 ** 31)))
    }
    this.life.faults.stopAfter = undefined
    this.#takeOver(stop)
  }

  async #open(life: ProcessLife): Promise<'open' | 'refused' | 'stopped'> {
    const { scheduler, faults, driver } = life
    const randomBytes = new SeededRandom(this.#random.below(2 ** 31))
    const opened = openOver(driver, `boot ${this.#boot}`, {
      clock: scheduler.clock,
      random: (count) => Uint8Array.from({ length: count }, () => randomBytes.below(256)),
      onWarning: life.warned,
    })
    let wasRefused = false
    life.track(opened, {
      what: 'open',
      done: (log) => void (life.log = log),
      failed: () => void (wasRefused = true),
    })
    await scheduler.until(
      () => life.pendingCount === 0 || faults.isStopped,
      () => 'open',
    )
    life.throwFailure()
    if (faults.isStopped) return 'stopped'
    if (!wasRefused) return 'open'
    must(scheduler.timerCount === 0, () => 'timers are left after an open that failed')
    must(driver.isClosed, () => 'the driver is open after an open that failed')
    return 'refused'
  }

  #takeOver(stop: Stop): void {
    const { log } = this.life
    const { clean, partitions } = log.recovery
    must(clean || stop !== 'clean', () => 'a log that was closed is not clean')
    for (const { damage, topic, partition } of partitions) {
      must(
        damage.length === 0 || this.isTainted,
        () => `${topic}-${partition}: damage that nobody did: ${JSON.stringify(damage)}`,
      )
    }
    const how = clean ? 'clean' : stop
    this.#read += takeOverTopics(log, this.topics, how, this.isTainted)
    this.book.closeChapter()
    for (const actor of this.actors) actor.opened?.()
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

function settleDurable(topic: TopicModel): void {
  for (const partition of topic.partitions) partition.durable = partition.written
}
