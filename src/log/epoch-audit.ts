/**
 * EpochAudit: holds the leader epochs of a partition's batches against its leader-epoch-checkpoint.
 * No CRC covers the epoch of a batch, so the two are all there is to tell a wrong one by: where the
 * batches ascend by themselves, it is the file that is wrong; else those batches are that disagree
 * with it.
 */
import { readWholeFile } from '../storage/checkpoint-file.ts'
import { parseEpochCheckpoint, type EpochCheckpointEntry } from '../storage/epoch-checkpoint.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { LEADER_EPOCH_FILE } from './leader-epochs.ts'

/** Runs that are kept at most: more differ from each other only where everything is garbage. */
const MAX_RUNS = 10_000
/** Why a batch is damaged of which only the epoch is wrong. */
export const WRONG_EPOCH = 'another leader epoch'

/** Batches in a row that name one epoch. */
export interface EpochRun {
  readonly leaderEpoch: number
  readonly startOffset: number
  readonly file: string
  readonly position: number
  /** One past the last offset of the run. */
  nextOffset: number
  end: number
}

/** What is wrong with the epochs of a partition. */
export interface EpochFlaw {
  readonly file: string
  readonly position: number
  readonly bytes: number
  readonly reason: string
}

/** The epochs of one partition, seen batch by batch. */
export class EpochAudit {
  readonly #path: string
  readonly #fileBytes: number
  readonly #isFound: boolean
  readonly #isRequired: boolean
  readonly #entries: readonly EpochCheckpointEntry[] | undefined
  readonly #runs: EpochRun[] = []
  #isWrong = false

  /** `isRequired`: a partition of ours has the file from its beginning on. */
  constructor(driver: StorageDriver, directory: string, isRequired: boolean) {
    this.#path = `${directory}/${LEADER_EPOCH_FILE}`
    this.#isRequired = isRequired
    const bytes = readWholeFile(driver, this.#path)
    this.#isFound = bytes !== undefined
    this.#fileBytes = bytes?.length ?? 0
    this.#entries = bytes === undefined ? undefined : parseEpochCheckpoint(bytes)
  }

  /** The epochs as the batches have them, for a file that has to be made anew. */
  get runs(): readonly EpochRun[] {
    return this.#runs
  }

  /** What the file says; nothing where it is missing or wrong. */
  get stored(): readonly EpochCheckpointEntry[] {
    return this.#isWrong ? [] : (this.#entries ?? [])
  }

  /** The next whole batch; `run` says where it lies. */
  see(run: EpochRun): void {
    const last = this.#runs.at(-1)
    if (run.leaderEpoch < 0) return // Older formats had none.
    if (last?.leaderEpoch === run.leaderEpoch) {
      last.nextOffset = run.nextOffset
      if (last.file === run.file) last.end = run.end
    } else if (this.#runs.length < MAX_RUNS) {
      this.#runs.push(run)
    }
  }

  /** Every batch was seen. */
  *finish(): Generator<EpochFlaw, void, undefined> {
    const whole = { file: this.#path, position: 0, bytes: this.#fileBytes }
    if (!this.#isFound) {
      if (this.#isRequired) yield { ...whole, reason: 'missing' }
      return
    }
    if (this.#entries === undefined) return yield { ...whole, reason: 'it cannot be read' }
    const wrong = this.#runs.filter((run, index) => !this.#agrees(run, index))
    if (wrong.length === 0) return
    if (this.#runs.every((run, index) => isAbove(run, this.#runs[index - 1]))) {
      this.#isWrong = true
      return yield { ...whole, reason: 'its epochs are not those of the batches' }
    }
    for (const { file, position, end } of wrong) {
      yield { file, position, bytes: end - position, reason: WRONG_EPOCH }
    }
  }

  #agrees(run: EpochRun, number: number): boolean {
    const entries = this.#entries ?? []
    const index = entries.findLastIndex((entry) => entry.startOffset <= run.startOffset)
    const [entry, next] = [entries[index], entries[index + 1]]
    if (next !== undefined && entry !== undefined && next.startOffset < run.nextOffset) return false
    if (entry?.leaderEpoch === run.leaderEpoch) return true
    return !this.#isRequired && this.#mayBeForgotten(run, number, entry)
  }

  /**
   * A broker forgets the epochs of what deletion removed, and, where it comes back to lead in an
   * older epoch than ours before its cluster makes a newer one, all from that one on.
   */
  #mayBeForgotten(run: EpochRun, number: number, entry: EpochCheckpointEntry | undefined): boolean {
    if (entry === undefined) return true
    const after = this.#runs[number + 1]
    return (
      entry.leaderEpoch < run.leaderEpoch &&
      isAbove(run, this.#runs[number - 1]) &&
      (after === undefined || isAbove(after, run))
    )
  }
}

function isAbove(run: EpochRun, before: EpochRun | undefined): boolean {
  return before === undefined || before.leaderEpoch < run.leaderEpoch
}
