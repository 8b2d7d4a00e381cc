/**
 * Actor: one kind of user of the library in the simulation: somebody who sends, who reads, who
 * creates topics. Each has a file of its own in actors/, and knows nothing of the others; what they
 * share is the stage: the log that is open, the model of what it holds, and the record book.
 *
 * To bring a feature in (groups, transactions, retention), write an actor:
 *   1  name its steps and how often they come; a step begins things, and awaits nothing: promises
 *      go to `stage.life.track`, which sees that they settle and that their errors are explained
 *   2  hold what they resolve with against the model; what must be true when nothing is under way
 *      goes into `atRest`, what must be true after a crash into `opened`
 *   3  forget in `ended` what dies with the process: handles, streams, producers
 *   4  add it to the list in actors/all.ts, and the rules that it shows to mutants.ts
 */
import type { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { PartitionModel, Stop } from './partition-model.ts'
import type { ProcessLife } from './process-life.ts'
import type { RecordBook, WrittenRecord } from './record-book.ts'
import type { TopicModel } from './topic-model.ts'

/** What actors share. */
export interface Stage {
  /** The process that runs now. */
  readonly life: ProcessLife
  readonly book: RecordBook
  /** Every topic that anybody tried to create. */
  readonly topics: TopicModel[]
  /** As the record book says. */
  readonly isTainted: boolean
  /** Sizes of this run. */
  readonly scale: Scale
  /** A number that no other sender has. */
  nextSender(): number
  /** Counts records written or read. */
  count(what: 'appended' | 'read', records: number): void
  /** Tells what the step does, for whoever reads a failing one. */
  say(text: string): void
  /** A topic that exists and that nobody is deleting. */
  anyTopic(random: SeededRandom): TopicModel | undefined
  /** One of its partitions, seen up to now; undefined where there is none or it cannot be read. */
  anyPartition(random: SeededRandom): PartitionModel | undefined
  /** Sees what was appended; false where it cannot be read, as a fault explains. */
  catchUp(partition: PartitionModel): boolean
  /** Notes a record that is about to be sent. */
  plan(random: SeededRandom, topic: TopicModel, partition: number, sender: number): WrittenRecord
}

/** What a run is like: how much of everything it has, and how unlucky it is. */
export interface Scale {
  readonly topics: number
  /** Partitions of a new topic, at most. */
  readonly partitions: number
  /** Segments of a new topic; undefined: of any size. */
  readonly segmentBytes: number | undefined
  /** Consumer groups. */
  readonly groups: number
  /** Producers that send in transactions, at a time. */
  readonly transactional: number
  /** Of ten calls that failed so many are followed by a crash. */
  readonly misfortune: number
  readonly recordsPerBatch: number
  readonly valueBytes: number
}

/** See the file's header. */
export interface Actor {
  readonly name: string
  /** Its steps, and how often each comes. */
  readonly steps: Readonly<Record<string, number>>
  /** Does one step; all that it leaves open depends on `random` alone. */
  step(kind: string, random: SeededRandom): void
  /** A process is there with an open log, which was held against the model, after such a stop. */
  opened?(how: Stop): void
  /** After every step, and before the process goes: what can be seen without a read. */
  look?(): void
  /** Nothing is under way but live reads. */
  atRest?(): void
  /** The process is gone. */
  ended?(): void
  /** Before a call of the process changes the disk: what others do who see it too. */
  between?(): void
  /** It is gone, with whatever went with it, and the next one is not there yet. */
  left?(): void
}
