/**
 * TopicModel: what is known of one topic, which may have been created or deleted by a call that
 * nobody heard the end of.
 *
 *   coming   a creation is under way, or failed, or was cut off: it may be there, empty
 *   live     it is there
 *   going    a deletion is under way, or failed: it may be there, with all it had
 *   gone     it is not there and never will be
 */
import type { EventLog, Topic, TopicConfig } from '../../src/index.ts'
import { PartitionModel, type Stop } from './partition-model.ts'
import type { RecordBook } from './record-book.ts'
import { must } from './simulation-failure.ts'

/** See the file's header. */
export class TopicModel {
  readonly name: string
  /** Null until somebody saw it. */
  id: string | null = null
  state: 'coming' | 'live' | 'going' | 'gone' = 'coming'
  /** A call that changes the topic itself is under way. */
  isBusy = false
  /** Settings in force. */
  config: TopicConfig
  /** Settings that it may come back with. */
  configs: TopicConfig[]
  /** Numbers of partitions that it may have besides those it has. */
  readonly pendingTotals: number[] = []
  readonly partitions: PartitionModel[] = []
  /** Records ever got the time of their append. */
  hadAppendTimes = false
  readonly #book: RecordBook
  #handle: Topic | undefined

  constructor(name: string, config: TopicConfig, book: RecordBook) {
    this.name = name
    this.config = config
    this.configs = [config]
    this.pendingTotals.push(config.partitions ?? 1)
    this.#book = book
    this.noteConfig(config)
  }

  get handle(): Topic {
    must(this.#handle !== undefined, () => `${this.name} has no handle`)
    return this.#handle
  }

  /** Usable now. */
  get isLive(): boolean {
    return this.state === 'live'
  }

  noteConfig(config: Pick<TopicConfig, 'messageTimestampType'>): void {
    if (config.messageTimestampType === 'LogAppendTime') this.hadAppendTimes = true
    for (const partition of this.partitions) partition.hasAppendTimes = this.hadAppendTimes
  }

  /** It was created by this process. */
  created(handle: Topic): void {
    this.pendingTotals.length = 0
    this.id = handle.id
    this.state = 'live'
    this.#handle = handle
    this.grown()
  }

  /** It has partitions that nobody saw yet. */
  grown(): void {
    const { partitions } = this.handle
    for (let index = this.partitions.length; index < partitions.length; index++) {
      const model = new PartitionModel(this.name, index, this.#book)
      model.handle = this.handle.partition(index)
      model.hasAppendTimes = this.hadAppendTimes
      this.partitions.push(model)
    }
  }

  /** The log was closed, with all it had; `wasUndisturbed` where nothing failed on the way. */
  closedCleanly(wasUndisturbed: boolean): void {
    for (const partition of this.partitions) {
      partition.durable = partition.written
      partition.wasUndisturbed = wasUndisturbed
    }
  }

  /** A new process has it. Returns how many records were read. */
  takeOver(handle: Topic, how: Stop, isTainted: boolean): number {
    const { name } = this
    this.#handle = handle
    this.id = handle.id
    this.state = 'live'
    this.isBusy = false
    const { length } = handle.partitions
    const known = this.partitions.length
    must(
      length === known || this.pendingTotals.includes(length) || isTainted,
      () => `${name}: came back with ${length} partitions, not ${known}`,
    )
    this.pendingTotals.length = 0
    this.#takeConfig(handle, isTainted)
    let records = 0
    for (const model of this.partitions) {
      const found = handle.partitions[model.index]
      must(found !== undefined || isTainted, () => `${model.name} is gone`)
      if (found !== undefined) records += model.takeOver(found, how)
    }
    if (length < known) this.partitions.length = length
    this.grown()
    return records
  }

  /** Whether it is this one that was being created. */
  mayBe(handle: Topic): boolean {
    const isSize = this.pendingTotals.includes(handle.partitions.length)
    return isSize && this.#configOf(handle) !== undefined
  }

  /** Which of its settings the topic has. */
  #configOf(handle: Topic): TopicConfig | undefined {
    const inForce = new Map<string, unknown>(Object.entries(handle.config))
    return this.configs.findLast((config) =>
      Object.entries(config).every(([name, value]) => {
        return name === 'partitions' || inForce.get(name) === value
      }),
    )
  }

  #takeConfig(handle: Topic, isTainted: boolean): void {
    const found = this.#configOf(handle)
    must(found !== undefined || isTainted, () => `${this.name}: came back with other settings`)
    // Of several topics of that name, damage may have left the settings of another one.
    if (found === undefined) return this.noteConfig(handle.config)
    this.config = found
    this.configs = [found]
  }
}

/** Matches what a log holds with what it may hold; returns how many records were read. */
export function takeOverTopics(
  log: EventLog,
  models: readonly TopicModel[],
  how: Stop,
  isTainted: boolean,
): number {
  let records = 0
  const found = new Set<TopicModel>()
  for (const handle of log.topics()) {
    const model =
      models.find((one) => one.id === handle.id && one.state !== 'gone') ??
      comingTopic(handle, models) ??
      // Where its id was damaged it has another one now.
      models.findLast((one) => isTainted && one.name === handle.name && one.state !== 'gone')
    must(model !== undefined || isTainted, () => `${handle.name} was never created, or deleted`)
    if (model === undefined) continue
    found.add(model)
    records += model.takeOver(handle, how, isTainted)
  }
  for (const model of models) {
    if (found.has(model)) continue
    must(model.state !== 'live' || isTainted, () => `${model.name} is gone`)
    model.state = 'gone'
  }
  return records
}

/** Of several creations whose end nobody heard, any may have come about: the last that fits. */
function comingTopic(handle: Topic, models: readonly TopicModel[]): TopicModel | undefined {
  const coming = models.filter((one) => {
    return one.id === null && one.name === handle.name && one.state === 'coming'
  })
  return coming.findLast((one) => one.mayBe(handle)) ?? coming.at(-1)
}

/** What was synced once is missing at worst: its offsets are never used again. */
export function checkEnds(
  topics: readonly TopicModel[],
  points: ReadonlyMap<string, number>,
): void {
  for (const { partitions } of topics.filter(({ isLive }) => isLive)) {
    for (const { name, handle } of partitions) {
      const point = points.get(name) ?? 0
      must(
        handle.logEndOffset >= point,
        () => `${name}: was synced up to ${point}, and ends at ${handle.logEndOffset}`,
      )
    }
  }
}
