/**
 * Contest: the contestants of one case, and the way that is the same for all of them: open, time
 * the work, check what was written, close. A question says what the work is and how it is timed; a
 * contestant says how it does it.
 *
 *   new Contest(dataset, (write: Write) => timedWrites(plan, write))
 *     .add(OURS, StreambedLog.open, ({ partition }) => (batch) => partition.append(batches(batch)))
 */
import type { PeerPackage } from '../contestants/peer-packages.ts'
import type { Dataset } from './dataset.ts'
import type { Contestant, Measurement, Role, Store } from './question.ts'

/** What a contestant works on. */
export interface Subject {
  /** Throws unless it holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void | Promise<void>
  close(): void | Promise<void>
}

/** What came of the work. */
export interface Timed {
  readonly measurement: Measurement
  /** Records that are there now, with those of the warm-up; absent where nothing was written. */
  readonly writtenCount?: number
}

/** Who takes part. */
export interface Entry {
  readonly name: string
  readonly role: Role
  readonly needs?: PeerPackage
  readonly store?: Store
}

/** The contestants of one case, all timed alike. */
export class Contest<Work> {
  readonly contestants: Contestant[] = []
  readonly #dataset: Dataset
  readonly #time: (work: Work) => Promise<Timed>

  constructor(dataset: Dataset, time: (work: Work) => Promise<Timed>) {
    this.#dataset = dataset
    this.#time = time
  }

  /** One more contestant: `open` gets the directory, `workOf` what that opened. Not timed. */
  add<S extends Subject>(
    entry: Entry,
    open: (directory: string) => S | Promise<S>,
    workOf: (subject: S) => Work,
  ): this {
    const measure = async (directory: string): Promise<Measurement> => {
      const subject = await open(directory)
      const { measurement, writtenCount } = await this.#time(workOf(subject))
      if (writtenCount !== undefined) await subject.check(this.#dataset, writtenCount)
      await subject.close()
      return measurement
    }
    this.contestants.push({ ...entry, measure })
    return this
  }
}
