/**
 * Random histories of a whole log beside a model of it: what was appended, how much of it was
 * durable, where it starts. Every reopening is compared with what the model allows; nothing in a
 * history damages files, so no report may speak of damage.
 */
import { LogError } from '../../src/errors/log-error.ts'
import type { Codec } from '../../src/format/compression.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultDriver, PowerGone } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { appendBatch, openLog, type OpenLog, readFromFiles, readRecords } from './open-log.ts'
import {
  newTopicModel,
  type PartitionModel,
  same,
  takeOver,
  type Stop,
  type TopicModel,
} from './history-model.ts'
import type { Step } from './history-steps.ts'

/** Runs a history; throws where log and model differ. */
export class LogHistory {
  #driver = new FaultDriver()
  #clock = new FakeClock()
  #boot = 0
  #open: OpenLog | undefined
  readonly #topics = new Map<string, TopicModel>()
  /** Topics that may or may not exist, since making or deleting them was interrupted. */
  readonly #uncertain = new Map<string, TopicModel>()
  #values = 0

  async run(steps: readonly Step[]): Promise<void> {
    await this.#reopen('clean')
    for (const step of steps) await this.#step(step)
    await this.#close()
    await this.#reopen('clean')
    for (const name of this.#topics.keys()) this.#compareAll(name)
  }

  async #step(step: Step): Promise<void> {
    switch (step.kind) {
      case 'create':
        return await this.#create(`t${step.topic}`, step.seed)
      case 'delete':
        return await this.#delete(`t${step.topic}`)
      case 'append':
        return this.#append(`t${step.topic}`, step.seed)
      case 'sync':
        return await this.#sync(`t${step.topic}`, step.seed)
      case 'sync soon':
        return this.#syncSoon(`t${step.topic}`)
      case 'read':
        return this.#lookUp(`t${step.topic}`, step.seed)
      case 'trim':
        return await this.#trim(`t${step.topic}`, step.seed)
      case 'checkpoint':
        return await this.#checkpointMeanwhile()
      case 'tick':
        return await this.#tick()
      case 'full':
        return this.#fillUp(step.seed)
      case 'close':
        await this.#close()
        return await this.#reopen('clean')
      case 'kill':
        await this.#kill()
        return await this.#reopen('killed')
      case 'power cut':
        await this.#cut(new SeededRandom(step.seed))
        return await this.#reopen('cut')
      case 'stop':
        return await this.#stop(step)
    }
  }

  get #log(): OpenLog['log'] {
    if (this.#open === undefined) throw new Error('not open')
    return this.#open.log
  }

  /** A checkpoint that batches are appended under. */
  async #checkpointMeanwhile(): Promise<void> {
    const isDone = runProcedure(this.#log.checkpoint())
    for (let turns = 0; turns < 4; turns++) {
      this.#append(`t${turns % 2}`, this.#values)
      await Promise.resolve()
    }
    await isDone
  }

  async #tick(): Promise<void> {
    this.#clock.advance(1)
    await nextTurn()
  }

  async #kill(): Promise<void> {
    await nextTurn() // The publisher's turn, which must not find the driver gone.
    this.#noteDurable()
    this.#driver = this.#driver.processKill()
  }

  async #cut(random: SeededRandom): Promise<void> {
    await nextTurn()
    this.#noteDurable()
    this.#boot += 1
    this.#driver = this.#driver.powerCut(random)
  }

  #noteDurable(): void {
    for (const [name, model] of this.#topics) {
      for (const [index, partition] of model.partitions.entries()) {
        const log = this.#log.topic(name)?.partitions[index]
        if (log !== undefined) partition.durable = log.durableOffset
      }
    }
  }

  async #create(name: string, choice: number): Promise<void> {
    if (this.#topics.has(name)) return
    const random = new SeededRandom(choice)
    const partitions = random.oneOf(1, 1, 2)
    await runProcedure(
      this.#log.createTopic(name, {
        partitions,
        segmentBytes: random.oneOf(1024, 4096, 65_536),
        indexIntervalBytes: random.oneOf(0, 200, 4096),
        preallocate: random.oneOf(true, false),
        segmentMs: random.oneOf(50, 604_800_000),
        flushMessages: random.oneOf(-1, -1, 3),
        flushMs: random.oneOf(-1, 5),
      }),
    )
    this.#topics.set(name, newTopicModel(partitions))
  }

  async #delete(name: string): Promise<void> {
    if (!this.#topics.has(name)) return
    this.#topics.delete(name)
    await runProcedure(this.#log.deleteTopic(name))
    const freed = await this.#log.freeSpace()
    await runProcedure(this.#log.forgetDeleted(freed))
  }

  #append(name: string, choice: number): void {
    const random = new SeededRandom(choice)
    for (let batches = random.oneOf(1, 1, 5); batches > 0; batches--) this.#appendOne(name, random)
  }

  #appendOne(name: string, random: SeededRandom): void {
    const found = this.#pick(name, random)
    if (found === undefined) return
    const { log, model } = found
    const codec = random.oneOf<Codec>('none', 'none', 'gzip')
    const padding = random.oneOf(0, 20, 200, 2000)
    const records = Array.from({ length: random.oneOf(1, 1, 3, 20) }, () => ({
      timestamp: random.oneOf(0, 1, 100, 100) === 0 ? random.below(500) : 1000 + this.#values,
      value: `${this.#values++}`.padEnd(random.below(padding + 1), 'x'),
    }))
    const end = log.logEndOffset
    if (end !== model.logEnd) throw new Error(`${name}: ends at ${end}, model at ${model.logEnd}`)
    try {
      const { baseOffset, leaderEpoch } = appendBatch(log, records, codec)
      if (baseOffset !== end) throw new Error(`appended at ${baseOffset}, not at ${end}`)
      for (const [index, record] of records.entries()) {
        const { timestamp, value } = record
        model.records.push({ offset: baseOffset + index, timestamp, leaderEpoch, value })
      }
      model.logEnd = log.logEndOffset
      model.highestEpoch = Math.max(model.highestEpoch, leaderEpoch)
    } catch (error) {
      if (!LogError.is(error, 'NO_SPACE')) throw error
      if (log.logEndOffset !== end)
        throw new Error('an append that failed moved the end', { cause: error })
    }
  }

  async #sync(name: string, choice: number): Promise<void> {
    const found = this.#pick(name, new SeededRandom(choice))
    if (found === undefined) return
    const end = found.log.logEndOffset
    await found.log.makeDurable(end)
    if (found.log.durableOffset < end) throw new Error('makeDurable resolved too early')
  }

  #syncSoon(name: string): void {
    const log = this.#log.topic(name)?.partitions[0]
    log?.makeDurable(log.logEndOffset).catch(() => undefined)
  }

  #lookUp(name: string, choice: number): void {
    const random = new SeededRandom(choice)
    const found = this.#pick(name, random)
    if (found === undefined) return
    const { log, model } = found
    if (random.below(2) === 0) log.tail.clear()
    const visible = model.records.filter((record) => record.offset >= model.logStart)
    for (let count = 0; count < 4; count++) {
      const offset = model.logStart + random.below(model.logEnd - model.logStart + 1)
      const limit = offset + random.below(model.logEnd - offset + 1)
      same(
        `${name}: from ${offset} to ${limit}`,
        readRecords(log, offset, limit),
        visible.filter((record) => record.offset >= offset && record.offset < limit),
      )
      const timestamp =
        random.below(2) === 0 ? random.below(600) : 1000 + random.below(this.#values + 2)
      same(
        `${name}: at time ${timestamp}`,
        offsetForTimestamp(log, timestamp),
        visible.find((record) => record.timestamp >= timestamp)?.offset ?? null,
      )
    }
  }

  async #trim(name: string, choice: number): Promise<void> {
    const random = new SeededRandom(choice)
    const found = this.#pick(name, random)
    if (found === undefined) return
    const { log, model } = found
    const offset = model.logStart + random.below(model.logEnd - model.logStart + 1)
    model.pendingStart = offset
    await runProcedure(this.#log.deleteRecordsBefore(log, offset))
    model.logStart = offset
  }

  /** The next writes of one kind find no room; then there is room again. */
  #fillUp(choice: number): void {
    const random = new SeededRandom(choice)
    const action = random.oneOf('write', 'resize', 'create')
    const suffix = random.oneOf('.log', '.log', '.index', '.timeindex')
    let left = 1 + random.below(2)
    this.#driver.onCall = (call) => {
      if (call.action !== action || !call.path.endsWith(suffix) || left === 0) return undefined
      left -= 1
      return 'ENOSPC'
    }
    for (let count = 0; count < 6; count++)
      this.#append(`t${random.below(2)}`, random.below(2 ** 31))
    this.#driver.onCall = undefined
  }

  async #close(): Promise<void> {
    await nextTurn()
    await runProcedure(this.#log.close())
    this.#driver = this.#driver.processKill()
  }

  /** Stops the process in the middle of something. */
  async #stop(step: Extract<Step, { kind: 'stop' }>): Promise<void> {
    await nextTurn()
    const random = new SeededRandom(step.seed)
    if (step.during === 'open') await this.#kill()
    this.#noteDurable()
    let left = step.calls
    this.#driver.onCall = () => (left-- > 0 ? undefined : 'stop')
    try {
      await this.#during(step.during, random)
    } catch (error) {
      if (!isStop(error)) throw error
    }
    await nextTurn()
    this.#driver.onCall = undefined
    if (step.power) this.#boot += 1
    this.#driver = step.power ? this.#driver.powerCut(random) : this.#driver.processKill()
    await this.#reopen(step.power ? 'cut' : step.during === 'append' ? 'cut' : 'killed')
  }

  async #during(
    what: Extract<Step, { kind: 'stop' }>['during'],
    random: SeededRandom,
  ): Promise<void> {
    const name = `t${random.below(2)}`
    switch (what) {
      case 'open':
        await openLog(this.#driver, { bootId: `boot ${this.#boot}`, clock: this.#clock })
        return
      case 'create':
        if (this.#topics.has(name)) return
        this.#uncertain.set(name, newTopicModel(2))
        await runProcedure(this.#log.createTopic(name, { partitions: 2 }))
        return
      case 'delete': {
        const model = this.#topics.get(name)
        if (model === undefined) return
        this.#uncertain.set(name, model)
        this.#topics.delete(name)
        return await this.#deleteAgain(name)
      }
      case 'checkpoint':
        return await runProcedure(this.#log.checkpoint())
      case 'close':
        return await runProcedure(this.#log.close())
      case 'trim':
        return await this.#trim(name, random.below(2 ** 31))
      case 'append':
        return this.#append(name, random.below(2 ** 31))
    }
  }

  async #deleteAgain(name: string): Promise<void> {
    await runProcedure(this.#log.deleteTopic(name))
    const freed = await this.#log.freeSpace()
    await runProcedure(this.#log.forgetDeleted(freed))
  }

  #pick(
    name: string,
    random: SeededRandom,
  ): { log: PartitionLog; model: PartitionModel } | undefined {
    const partitions = this.#topics.get(name)?.partitions ?? []
    const index = random.below(partitions.length)
    const model = partitions[index]
    if (model === undefined) return undefined
    const log = this.#log.topic(name)?.partitions[index]
    if (log === undefined) throw new Error(`${name}-${index} is gone`)
    return { log, model }
  }

  async #reopen(how: Stop): Promise<void> {
    this.#clock = new FakeClock(this.#clock.now()) // Timers end with their process.
    this.#open = await openLog(this.#driver, { bootId: `boot ${this.#boot}`, clock: this.#clock })
    const { log, report } = this.#open
    for (const { damage, topic: name, partition } of report.partitions) {
      if (damage.length > 0)
        throw new Error(`${name}-${partition}: damage that nobody did: ${JSON.stringify(damage)}`)
    }
    if (report.adopted.length > 0) throw new Error(`adopted ${report.adopted.join()}`)
    for (const [name, model] of this.#uncertain) {
      this.#uncertain.delete(name)
      if (log.topic(name) !== undefined) this.#topics.set(name, model)
    }
    same(
      'topics',
      log.topics().map((found) => found.name),
      [...this.#topics.keys()].sort(),
    )
    for (const [name, model] of this.#topics) {
      for (const [index, partition] of model.partitions.entries()) {
        const found = log.topic(name)?.partitions[index]
        if (found === undefined) throw new Error(`${name}-${index} is gone`)
        takeOver(`${name}-${index} ${how}`, found, partition, report.clean ? 'clean' : how)
      }
      this.#compareAll(name)
    }
  }

  #compareAll(name: string): void {
    for (const [index, model] of (this.#topics.get(name)?.partitions ?? []).entries()) {
      const log = this.#log.topic(name)?.partitions[index]
      if (log === undefined) throw new Error(`${name}-${index} is gone`)
      const expected = model.records.filter((record) => record.offset >= model.logStart)
      same(`${name}-${index} from memory`, readRecords(log), expected)
      same(`${name}-${index} from files`, readFromFiles(log), expected)
    }
  }
}

function isStop(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof PowerGone) return true
  return false
}
