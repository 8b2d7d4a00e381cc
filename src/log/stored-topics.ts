/**
 * StoredTopics: metadata.json of an open log, and what it says in memory.
 *
 *   I1  what is in memory is what the next process would find, also after a change that failed
 */
import { assert } from '../errors/invariant.ts'
import { LogError } from '../errors/log-error.ts'
import {
  type LogMetadata,
  readMetadata,
  type TopicMetadata,
  writeMetadata,
} from '../storage/metadata-file.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'

/** A change of the lists of topics, to be made in place. */
export type TopicsChange = (
  topics: Map<string, TopicMetadata>,
  deleting: LogMetadata['deleting'][number][],
) => void

/** The list of topics on disk. */
export class StoredTopics {
  readonly #driver: StorageDriver
  #metadata: LogMetadata
  /** Of metadata.json, where this process has written it. */
  #bytes: Buffer | undefined

  /** `metadata` is what the driver holds. */
  constructor(driver: StorageDriver, metadata: LogMetadata) {
    this.#driver = driver
    this.#metadata = metadata
  }

  /** What metadata.json says. */
  get metadata(): LogMetadata {
    return this.#metadata
  }

  /** What it says of a topic that exists. */
  of(name: string): TopicMetadata {
    const metadata = this.#metadata.topics.get(name)
    assert(metadata !== undefined, 'metadata.json names every topic')
    return metadata
  }

  /**
   * Makes a change, durably.
   *
   * @throws {LogError} NO_SPACE or IO: `metadata` tells whether it was made all the same.
   */
  *change(apply: TopicsChange): Procedure<void> {
    const topics = new Map(this.#metadata.topics)
    const deleting = [...this.#metadata.deleting]
    apply(topics, deleting)
    const metadata = { ...this.#metadata, topics, deleting }
    try {
      if (!this.#driver.volatile) {
        this.#bytes = yield* writeMetadata(this.#driver, metadata, this.#bytes)
      }
      this.#metadata = metadata
    } catch (error) {
      this.#bytes = undefined
      this.#metadata = metadataOnDisk(this.#driver) ?? this.#metadata // I1
      throw error
    }
  }
}

/** Undefined where it cannot be read, or was not there before. */
function metadataOnDisk(driver: StorageDriver): LogMetadata | undefined {
  try {
    const found = readMetadata(driver)
    return found.kind === 'found' && found.source === 'current' ? found.metadata : undefined
  } catch (error) {
    if (LogError.is(error)) return undefined
    throw error
  }
}
