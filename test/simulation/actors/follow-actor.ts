/**
 * FollowActor is a reader in a process of its own: it follows the log through its files while
 * another process writes them, looks between any two calls of that process, lives on when it is
 * killed, and goes with the power.
 *
 * It takes no steps: it has a stream of random numbers of its own, so that histories are what they
 * were without it. It is there in the runs of some seeds; in some of these it hardly looks away.
 *   I1  a reader changes nothing: neither files nor what its writer does
 *   I2  once its writer has closed the log, it shows what that had; before, never more than that
 * After damage, and after a sync that failed and may have dropped what was written, there is none;
 * nor before what a loss of power left was recovered: a reader of that meets damage. Nothing that
 * happens to it cuts a log: it never hears of a cut.
 */
import { FollowedLog } from '../../../src/log/follow/followed-log.ts'
import { isInternalTopic } from '../../../src/log/internal-topics.ts'
import type { Clock } from '../../../src/log/clock.ts'
import type { ReadablePartition } from '../../../src/log/readable-partition.ts'
import { completeProcedure } from '../../../src/storage/procedure.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { FollowedRead } from '../followed-read.ts'
import type { PartitionModel } from '../partition-model.ts'
import { must } from '../simulation-failure.ts'

/** How closely a reader follows. */
export interface ReaderHabits {
  /** One look in so many calls of the writer. */
  readonly callsPerLook: number
  /** It looks at everything whenever it looks, and at all there is once its writer has died. */
  readonly isThorough: boolean
  /** After one look in so many it is suspended, for many calls of the writer; 0: never. */
  readonly looksPerSleep: number
}

/** Of most readers. */
export const NOW_AND_THEN: ReaderHabits = { callsPerLook: 12, isThorough: false, looksPerSleep: 0 }
/** Of those that miss nothing. */
export const THOROUGH: ReaderHabits = { callsPerLook: 5, isThorough: true, looksPerSleep: 30 }

/** For so many calls of the writer at most a reader is suspended. */
const CALLS_ASLEEP = 400
/** A reader asks once a second whether its writer lives. */
const DEATH_SHOWS_MS = 1_001

/** One reader in so many looks ends, and another one begins. */
const LOOKS_PER_READER = 60

interface Reader {
  readonly log: FollowedLog
  /** Of the machine: it goes with the power. */
  readonly boots: number
  readonly reads: Map<ReadablePartition, FollowedRead>
}

/** See the file's header. */
export class FollowActor implements Actor {
  readonly name = 'readers in other processes'
  readonly steps: Readonly<Record<string, number>> = {}
  readonly #stage: Stage
  readonly #random: SeededRandom
  readonly #habits: ReaderHabits
  #reader: Reader | undefined
  /** A sync failed since the power was on: pages may be gone that were published. */
  #hasLostPages = false
  /** Since the power is on the log was opened once: what the power left was settled. */
  #isRecovered = false
  /** The process that writes has opened the log, and is there. */
  #isWritten = false
  /** Calls of the writer that it does not see, suspended as it is. */
  #asleep = 0
  /** What its clock is ahead by. */
  #aheadMs = 0
  #boots = 0
  #isLooking = false

  constructor(stage: Stage, seed: number, habits: ReaderHabits) {
    this.#stage = stage
    this.#habits = habits
    this.#random = new SeededRandom(seed ^ 0x2f1d_0b65)
  }

  step(): void {
    // It takes none: what it does, its own random numbers decide.
  }

  /** Between two calls of the writer. */
  between(): void {
    if (this.#asleep > 0) this.#asleep -= 1
    if (this.#isLooking || this.#random.below(this.#habits.callsPerLook) > 0) return
    this.#look()
  }

  opened(): void {
    this.#usable()
    this.#isRecovered = true
    this.#isWritten = true
    this.#look()
  }

  look(): void {
    this.#check()
    if (this.#habits.isThorough && this.#asleep === 0) this.#checkTopics()
    if (this.#random.below(4) === 0) this.#look()
  }

  left(): void {
    this.#look()
    if (!this.#habits.isThorough || this.#asleep > 0) return
    this.#aheadMs += DEATH_SHOWS_MS
    for (const [log, read] of this.#usable()?.reads ?? []) if (log.end === undefined) read.readAll()
  }

  atRest(): void {
    this.#compare(false)
  }

  ended(): void {
    const { driver, faults } = this.#stage.life
    this.#isWritten = false
    // It was closed, and nothing that it published last has failed.
    if (driver.isClosed && driver.isAlive && faults.seen.size === 0) this.#compare(true)
  }

  #compare(isAll: boolean): void {
    const reader = this.#usable()
    if (reader === undefined) return
    reader.log.refresh()
    this.#checkTopics()
    this.#reads(reader)
    for (const [log, read] of reader.reads) {
      const model = this.#modelOf(log)
      if (model !== undefined && log.end === undefined) read.atRest(model, isAll)
    }
    this.#check()
  }

  /** What was created is there, under its id, as soon as its creation was told to be over. */
  #checkTopics(): void {
    const followed = this.#usable()?.log.topics()
    for (const { name, id, isLive, isBusy } of this.#stage.topics) {
      must(
        followed === undefined || !isLive || isBusy || followed.some((one) => one.id === id),
        () => `a reader does not see topic ${name}`,
      )
    }
  }

  /** Nothing that it does may reach the writer (I1): its failures are thrown by the next step. */
  #look(): void {
    if (this.#asleep > 0) return
    this.#isLooking = true
    try {
      this.#lookNow()
    } catch (error) {
      this.#stage.life.failure ??= error
    }
    this.#isLooking = false
  }

  #lookNow(): void {
    const random = this.#random
    if (this.#reader !== undefined && random.below(LOOKS_PER_READER) === 0) this.#end()
    const reader = this.#usable() ?? this.#begin()
    if (reader === undefined) return
    const { isThorough } = this.#habits
    if (isThorough || random.below(4) === 0) reader.log.refresh()
    this.#reads(reader)
    for (const [log, read] of reader.reads) {
      if (log.end !== undefined) reader.reads.delete(log)
      else if (isThorough || random.below(3) > 0) read.look(random)
      const model = isThorough && this.#isWritten ? this.#modelOf(log) : undefined
      if (model !== undefined && log.end === undefined) read.notAhead(model)
    }
    const { looksPerSleep } = this.#habits
    if (looksPerSleep > 0 && random.below(looksPerSleep) === 0)
      this.#asleep = random.below(CALLS_ASLEEP)
  }

  /** The reader, unless it is gone. */
  #usable(): Reader | undefined {
    const { life, isTainted } = this.#stage
    const { boots } = life.driver.machine
    if (boots !== this.#boots) {
      this.#boots = boots
      this.#hasLostPages = false
      this.#isRecovered = false
      this.#reader = undefined
    }
    this.#hasLostPages ||= life.faults.seen.has('sync')
    if (isTainted || this.#hasLostPages) this.#end()
    return this.#reader
  }

  #begin(): Reader | undefined {
    const { life, isTainted } = this.#stage
    const { machine } = life.driver
    if (isTainted || this.#hasLostPages || !this.#isRecovered) return undefined
    if (machine.tree.find('metadata.json') === undefined) return undefined
    const opening = FollowedLog.open({
      driver: new FaultDriver(machine),
      bootId: life.bootId,
      clock: this.#clock,
      wake: { start: () => undefined, stop: () => undefined },
      hasLiveWriter: () => this.#hasWriter,
      onFallback: () => undefined,
    })
    const log = completeProcedure(opening)
    this.#reader = { log, boots: machine.boots, reads: new Map() }
    return this.#reader
  }

  #end(): void {
    this.#reader?.log.close()
    this.#reader = undefined
  }

  get #hasWriter(): boolean {
    const { driver } = this.#stage.life
    return driver.isAlive && !driver.isClosed
  }

  /** Every partition of users' topics is read. */
  #reads({ log, reads }: Reader): void {
    for (const { name, partitions } of log.topics()) {
      if (isInternalTopic(name)) continue
      for (const partition of partitions) {
        if (!reads.has(partition) && partition.end === undefined)
          reads.set(partition, new FollowedRead(this.#stage, partition))
      }
    }
  }

  #check(): void {
    for (const [log, read] of this.#usable()?.reads ?? []) {
      const model = this.#modelOf(log)
      if (model !== undefined) read.check(model)
    }
  }

  #modelOf({ topicId, partition }: ReadablePartition): PartitionModel | undefined {
    const topic = this.#stage.topics.find(({ id }) => id === topicId)
    return topic?.isLive === true ? topic.partitions[partition] : undefined
  }

  /** That of the machine, or ahead of it; nothing is waited for by it. */
  readonly #clock: Clock = {
    now: () => this.#stage.life.scheduler.clock.now(),
    monotonicNow: () => this.#stage.life.scheduler.clock.now() + this.#aheadMs,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  }
}
