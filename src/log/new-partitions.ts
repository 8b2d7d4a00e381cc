/**
 * NewPartitions: the folders of partitions that are to be made, of one topic or of many together.
 *
 * Many share what takes longest: their folders are synced side by side, and the log's directory
 * once. Which topics exist is not decided here: metadata.json names them later (log-directory.ts).
 *   I1  what is laid is on stable storage when it is returned: every file and every name in its
 *       folder, and the folder's own name
 *   I2  a plan that fails takes no other with it; folders that it made are removed, as far as the
 *       device lets us, and nothing names them
 *   I3  a crash at any call leaves folders that no metadata names and that hold no data, besides
 *       what was there before
 */
import type { Procedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { nextTurn } from './clock.ts'
import type { ResolvedTopicConfig } from './log-config.ts'
import type { PartitionState } from './partition-log.ts'
import { noProducers } from './producer-replay.ts'
import {
  flushFolder,
  FOLDERS_AT_ONCE,
  layPartition,
  partitionDirectory,
  removeFolders,
} from './topic-directory.ts'

/** Partitions of one topic that are to be made. */
export interface PartitionsPlan {
  readonly topic: string
  readonly topicId: string
  readonly config: ResolvedTopicConfig
  /** Number of the first one. */
  readonly first: number
  /** One past the number of the last one. */
  readonly end: number
}

/** How it is going with one plan. */
interface Laying {
  readonly plan: PartitionsPlan
  readonly states: PartitionState[]
  /** Folders that were not there before. */
  readonly made: string[]
  failure: { readonly error: unknown } | undefined
}

/** Makes the folders of all `plans`; what became of each, in their order. */
export function* layTogether(
  driver: StorageDriver,
  plans: readonly PartitionsPlan[],
): Procedure<readonly PromiseSettledResult<readonly PartitionState[]>[]> {
  const layings = plans.map((plan): Laying => ({ plan, states: [], made: [], failure: undefined }))
  let sinceTurn = 0
  for (const laying of layings) {
    for (let partition = laying.plan.first; partition < laying.plan.end; partition++) {
      if (!lay(driver, laying, partition)) break
      sinceTurn += 1
      if (sinceTurn % FOLDERS_AT_ONCE === 0) yield nextTurn
    }
  }
  yield* flushLaid(driver, layings)
  const results: PromiseSettledResult<readonly PartitionState[]>[] = []
  for (const { states, made, failure } of layings) {
    if (failure === undefined) {
      results.push({ status: 'fulfilled', value: states })
      continue
    }
    releaseLaid(states)
    yield* removeFolders(driver, made)
    results.push({ status: 'rejected', reason: failure.error })
  }
  return results
}

/** Closes the files of partitions that will not be there after all. */
export function releaseLaid(states: readonly PartitionState[]): void {
  for (const { segments } of states) for (const segment of segments) segment.close()
}

/** False where it failed, which is noted. */
function lay(driver: StorageDriver, laying: Laying, partition: number): boolean {
  const { topic, topicId, config } = laying.plan
  const directory = partitionDirectory(topic, partition)
  try {
    if (driver.status(directory) === undefined) laying.made.push(directory)
    const known = { topic, topicId, partition, config, isOwn: true, isGapless: true }
    const files = layPartition({ ...known, driver, startOffset: 0, leaderEpoch: 0 })
    const producers = noProducers({ ...known, ...files, driver })
    const isSettled = true // By `flushLaid`, before anybody has it.
    const offsets = { logStartOffset: 0, durableOffset: 0 }
    laying.states.push({ ...known, ...files, ...producers, ...offsets, isSettled })
    return true
  } catch (error) {
    laying.failure = { error }
    return false
  }
}

/** I1: the folders with their files, several side by side, and then their names, once. */
function* flushLaid(driver: StorageDriver, layings: readonly Laying[]): Procedure<void> {
  const folders = layings.flatMap((laying) =>
    laying.failure === undefined ? laying.states.map((state) => ({ laying, state })) : [],
  )
  for (let start = 0; start < folders.length; start += FOLDERS_AT_ONCE) {
    const some = folders.slice(start, start + FOLDERS_AT_ONCE)
    yield () =>
      Promise.all(
        some.map(({ laying, state }) =>
          flushFolder(driver, state.directory).catch((error: unknown) => {
            laying.failure ??= { error }
          }),
        ),
      )
  }
  const sound = layings.filter(({ failure }) => failure === undefined)
  if (sound.length === 0) return
  try {
    yield () => driver.flushDirectory('')
  } catch (error) {
    for (const laying of sound) laying.failure = { error }
  }
}
