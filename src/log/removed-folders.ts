/**
 * RemovedFolders: folders of deleted topics, from their renaming until their space is freed. When a
 * topic is gone, and forgotten, is log-directory.ts' business.
 */
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { LogTopic } from './open-topics.ts'
import { setFolderAside } from './topic-directory.ts'

/** What is left of deleted topics. */
export class RemovedFolders {
  readonly #driver: StorageDriver
  readonly #randomBytes: (byteLength: number) => Uint8Array
  /** By topic id. */
  readonly #removals = new Map<string, readonly string[]>()

  constructor(driver: StorageDriver, randomBytes: (byteLength: number) => Uint8Array) {
    this.#driver = driver
    this.#randomBytes = randomBytes
  }

  /**
   * Renames all folders of a topic and adds them to `asides`, or it fails: what has been renamed
   * then is for the next open to remove.
   */
  setAside(
    { id, partitions }: LogTopic,
    asides: Map<string, readonly string[]>,
  ): PromiseSettledResult<void> {
    const uniqueId = Buffer.from(this.#randomBytes(16)).toString('hex')
    try {
      const renamed = partitions.map(({ directory }) =>
        setFolderAside(this.#driver, directory, uniqueId, 'delete'),
      )
      asides.set(id, renamed)
      return { status: 'fulfilled', value: undefined }
    } catch (reason) {
      return { status: 'rejected', reason }
    }
  }

  /** These folders may go. */
  note(topicId: string, directories: readonly string[]): void {
    this.#removals.set(topicId, [...directories])
  }

  /** True while folders are left. */
  get areLeft(): boolean {
    return this.#removals.size > 0
  }

  /** Frees the space of all that were noted before the call; returns the ids of their topics. */
  async free(): Promise<readonly string[]> {
    const removals = [...this.#removals]
    for (const [topicId, directories] of removals) {
      for (const directory of directories) await this.#driver.removeDirectory(directory)
      this.#removals.delete(topicId)
    }
    return removals.map(([topicId]) => topicId)
  }
}
