/**
 * OwnTopics: makes the topics that the log keeps for itself, when the first who needs one comes:
 * committed offsets and the states of transactions.
 *
 *   I1  each is made once, however many ask for it at the same time: procedures run one at a time
 *   I2  of a log in memory it is there when the call returns
 */
import {
  OFFSETS_TOPIC,
  OFFSETS_TOPIC_CONFIG,
  TRANSACTIONS_TOPIC,
  TRANSACTIONS_TOPIC_CONFIG,
} from '../log/internal-topics.ts'
import type { TopicConfig } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { completeProcedure, type Procedure, type ProcedureQueue } from '../storage/procedure.ts'
import type { CheckedLogOptions } from './log-options.ts'

/** The topics that one open log keeps for itself. */
export class OwnTopics {
  readonly #directory: LogDirectory
  readonly #procedures: ProcedureQueue
  readonly #offsetsPartitions: number
  readonly #transactionsPartitions: number

  constructor(directory: LogDirectory, procedures: ProcedureQueue, options: CheckedLogOptions) {
    this.#directory = directory
    this.#procedures = procedures
    this.#offsetsPartitions = options.offsetsTopicNumPartitions
    this.#transactionsPartitions = options.transactionsTopicNumPartitions
  }

  /** Makes the topic of committed offsets where it is missing. @throws What `checkOpen` does. */
  async prepareOffsets(checkOpen: () => void = nothing): Promise<void> {
    const config = { ...OFFSETS_TOPIC_CONFIG, partitions: this.#offsetsPartitions }
    await this.#prepare(OFFSETS_TOPIC, config, checkOpen)
  }

  /**
   * Makes the topic of transactions where it is missing; also while the log closes: what is being
   * committed then is finished.
   */
  async prepareTransactions(): Promise<void> {
    const config = { ...TRANSACTIONS_TOPIC_CONFIG, partitions: this.#transactionsPartitions }
    await this.#prepare(TRANSACTIONS_TOPIC, config, nothing)
  }

  async #prepare(name: string, config: TopicConfig, checkOpen: () => void): Promise<void> {
    const isThere = (): boolean => this.#directory.topic(name) !== undefined
    if (isThere()) return
    if (this.#directory.driver.volatile) completeProcedure(this.#making(name, config))
    else {
      await this.#procedures.run(() => {
        checkOpen()
        return this.#making(name, config)
      })
    }
  }

  *#making(name: string, config: TopicConfig): Procedure<void> {
    if (this.#directory.topic(name) === undefined) yield* this.#directory.createTopic(name, config)
  }
}

function nothing(): void {
  // Who has begun finishes.
}
