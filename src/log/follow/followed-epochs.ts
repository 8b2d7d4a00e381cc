/**
 * FollowedEpochs: which writers wrote what is counted of a followed log, by its leader epochs, and
 * so where a later one has cut it.
 *
 *   epochs on disk   | 1 | 2       | 5          a writer that opens after another one died begins
 *   start offsets    0   15        31           an epoch: what older ones had from there on is void
 *
 *   I1  no epoch newer than `known` is counted in the end of the log: it is met, by a batch or by
 *       what its writer publishes, before anything of it is
 *   I2  an epoch is in its file before the first batch of it is in the log: whoever has seen the
 *       one finds the other
 */
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { LeaderEpochs } from '../leader-epochs.ts'

/** Where the epochs are. */
export interface EpochsPlace {
  readonly driver: StorageDriver
  readonly directory: string
}

/** See the file's header. */
export class FollowedEpochs {
  readonly #place: EpochsPlace
  /** The newest epoch that is counted; undefined before anybody reads. */
  #known: number | undefined
  /** Its writer may have begun an epoch since this was last looked at. */
  #isOneDue = true

  constructor(place: EpochsPlace) {
    this.#place = place
  }

  /** The newest epoch that is counted; Infinity where nobody tells epochs apart. */
  get known(): number {
    return this.#known === undefined || this.#known < 0 ? Infinity : this.#known
  }

  /** Somebody reads: what is there is counted from now on. */
  begin(): void {
    this.#known ??= this.#load().latest
  }

  /**
   * The log ends at `end`, as far as it is counted, and a writer was met. Where it has cut the log,
   * by its epochs; undefined where they show no cut.
   */
  meetWriter(end: number): number | undefined {
    this.#isOneDue = true
    return this.#goOver(end)
  }

  /** As `meetWriter`, for the first time that the log grows under a writer. */
  grown(end: number): number | undefined {
    if (!this.#isOneDue) return undefined
    this.#isOneDue = false
    return this.#goOver(end)
  }

  /** As `meetWriter`, of a batch of the newer epoch `leaderEpoch`, which would begin at `end`. */
  meetBatch(end: number, leaderEpoch: number): number | undefined {
    const cut = this.#goOver(end)
    // Where the file says nothing of it the batch is taken for what it is.
    if (this.#known !== undefined) this.#known = Math.max(this.#known, leaderEpoch)
    return cut
  }

  #goOver(end: number): number | undefined {
    if (this.#known === undefined) return undefined
    const epochs = this.#load()
    const start = this.#known < 0 ? undefined : epochs.startBehind(this.#known)
    this.#known = Math.max(this.#known, epochs.latest)
    return start !== undefined && start < end ? start : undefined
  }

  #load(): LeaderEpochs {
    return LeaderEpochs.load(this.#place.driver, this.#place.directory)
  }
}
