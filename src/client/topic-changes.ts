/**
 * TopicChanges: the calls that make, change and delete topics of a log that is written here, put
 * into the queue of what changes files. What each does is topic-catalog.ts' business.
 *
 *   I1  what waits for the same thing goes together, with one replacement of metadata.json
 *   I2  the groups hear of it before the caller goes on
 */
import type { TopicConfig } from '../log/log-config.ts'
import { onlyOne } from '../log/open-topics.ts'
import {
  completeProcedure,
  performProcedure,
  type Procedure,
  type ProcedureQueue,
} from '../storage/procedure.ts'
import { SharedProcedure } from '../storage/shared-procedure.ts'
import type { Topic } from './topic.ts'
import type { TopicCatalog, UnwantedTopic, WantedTopic } from './topic-catalog.ts'
import type { TopicState } from './topic-state.ts'

/** What is made, or deleted, with one commit: so many wait for it at most. */
const PARTITIONS_TOGETHER = 1_024

/** The open log whose topics are changed. */
export interface ChangedLog {
  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void
  readonly groups: { topicsChanged(): void }
}

/** See the file's header. */
export class TopicChanges {
  readonly #log: ChangedLog
  readonly #procedures: ProcedureQueue
  readonly #catalog: TopicCatalog
  readonly #makings: SharedProcedure<WantedTopic, Topic>
  readonly #deletions: SharedProcedure<UnwantedTopic, void>

  constructor(log: ChangedLog, procedures: ProcedureQueue, catalog: TopicCatalog) {
    this.#log = log
    this.#procedures = procedures
    this.#catalog = catalog
    this.#makings = new SharedProcedure(procedures, PARTITIONS_TOGETHER, (wanted) => {
      log.checkOpen(wanted[0]?.where ?? 'log.createTopic')
      return catalog.makings(wanted)
    })
    this.#deletions = new SharedProcedure(procedures, PARTITIONS_TOGETHER, (unwanted) => {
      log.checkOpen('log.deleteTopic')
      return catalog.deletions(unwanted)
    })
  }

  /** Makes a topic that does not exist. */
  async create(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return await this.#make(ref, config, { where: 'log.createTopic', isNew: true })
  }

  /** Makes a topic, or takes the one there is. */
  async ensure(ref: unknown, config: TopicConfig | undefined): Promise<Topic> {
    return await this.#make(ref, config, { where: 'log.ensureTopic', isNew: false })
  }

  /** As `ensure`, at once; what is made on volatile storage waits for nothing. */
  ensureNow(ref: unknown, where: string, isVolatile: boolean): Topic {
    const wanted = this.#catalog.wanted(ref, undefined, { where, isNew: false })
    const making = this.#catalog.makings([wanted])
    return onlyOne(isVolatile ? completeProcedure(making) : performProcedure(making))
  }

  /** Deletes a topic; its space is freed later. */
  async remove(ref: unknown): Promise<void> {
    this.#log.checkOpen('log.deleteTopic')
    await this.#deletions.run(this.#catalog.unwanted(ref, 'log.deleteTopic'))
    this.#log.groups.topicsChanged()
  }

  /** Changes settings of a topic. */
  async alter(state: TopicState, changes: TopicConfig): Promise<void> {
    await this.run(() => this.#catalog.alteration(state, changes), 'alterConfig')
  }

  /** Adds partitions up to `total`. */
  async grow(state: TopicState, total: number): Promise<void> {
    await this.run(() => this.#catalog.growth(state, total), 'addPartitions')
    this.#log.groups.topicsChanged()
  }

  /** Runs a procedure for `call` when those before it are over. @throws {LogError} CLOSED. */
  async run<T>(begin: () => Procedure<T>, call: string): Promise<T> {
    return await this.#procedures.run(() => {
      this.#log.checkOpen(call)
      return begin()
    })
  }

  async #make(
    ref: unknown,
    config: TopicConfig | undefined,
    how: Pick<WantedTopic, 'where' | 'isNew'>,
  ): Promise<Topic> {
    this.#log.checkOpen(how.where)
    const topic = await this.#makings.run(this.#catalog.wanted(ref, config, how))
    this.#log.groups.topicsChanged()
    return topic
  }
}
