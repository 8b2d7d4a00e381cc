/**
 * Every rule of order that keeps the promises of the log, and how a build lacks it: one place in
 * the sources, changed. mutants.test.ts shows that the simulation finds each; docs/simulation.md
 * has the table, with the rules that it cannot find. A rule that joins gets its mutant here.
 */
import type { FaultGroup } from './fault-plan.ts'
import { FOLLOW_MUTANTS } from './follow-mutants.ts'
import { GROUP_MUTANTS } from './group-mutants.ts'
import { RECOVERY_MUTANTS } from './recovery-mutants.ts'
import { TRANSACTION_MUTANTS } from './transaction-mutants.ts'

/** Steps of the histories that look for mutants. */
export const MUTANT_STEPS = 300

/** One place in the sources, changed. */
export interface MutatedPlace {
  readonly file: string
  /** Occurs once in the file. */
  readonly find: string
  readonly replace: string
}

/** A build without one rule. */
export interface Mutant extends MutatedPlace {
  /** The rule that is left out. */
  readonly rule: string
  /** Where the design has it. */
  readonly section: 3 | 4 | 5 | 6 | 8
  /** Places that cover for it, left out as well. */
  readonly also?: readonly MutatedPlace[]
  /** Faults under which it shows; all but rot where nothing is said. */
  readonly faults?: readonly FaultGroup[]
  /** A seed that finds it; null where it takes more seeds than a run has (docs/simulation.md). */
  readonly seed: number | null
}

const CRASH: readonly FaultGroup[] = ['crash']
const IO: readonly FaultGroup[] = ['crash', 'io']
const FULL: readonly FaultGroup[] = ['crash', 'full']

/** See the file's header. */
export const MUTANTS: readonly Mutant[] = [
  {
    rule: 'the folders of a new topic are synced before metadata.json names it',
    section: 3,
    file: 'src/log/new-partitions.ts',
    find: 'flushFolder(driver, state.directory).catch',
    replace: 'Promise.resolve().catch',
    faults: CRASH,
    seed: 1,
  },
  {
    rule: 'the names of new folders are synced before metadata.json names the topic',
    section: 3,
    file: 'src/log/new-partitions.ts',
    find: "yield () => driver.flushDirectory('')",
    replace: '',
    faults: CRASH,
    seed: 100,
  },
  {
    rule: 'a small file is synced before it takes the place of the old one',
    section: 3,
    file: 'src/storage/checkpoint-file.ts',
    find: 'yield () => file.flush()',
    replace: '',
    faults: CRASH,
    seed: 1,
  },
  {
    rule: 'the name of a small file is synced before it counts',
    section: 3,
    file: 'src/storage/checkpoint-file.ts',
    find: 'yield () => driver.flushDirectory(parentOf(path))',
    replace: '',
    faults: CRASH,
    seed: 1,
  },
  {
    rule: 'the name of metadata.json is synced before a change of topics counts',
    section: 3,
    file: 'src/storage/metadata-file.ts',
    find: "yield () => driver.flushDirectory('') // 5",
    replace: '',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'metadata.json lists a topic as deleting before its folders are touched',
    section: 3,
    file: 'src/log/log-directory.ts',
    find: 'deleting.push({ id, name, partitions: partitions.length })',
    replace: '',
    faults: CRASH,
    seed: 3,
  },
  {
    rule: 'a name is used again only when the checkpoints have forgotten its topic',
    section: 3,
    file: 'src/log/log-directory.ts',
    find: "yield () => driver.flushDirectory('')\n    yield* this.writeCheckpoints()",
    replace: "yield () => driver.flushDirectory('')\n    this.#remembersDeleted = false",
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a checkpoint that failed after a deletion is written before a name is used again',
    section: 3,
    file: 'src/log/log-directory.ts',
    find: 'if (this.#remembersDeleted) yield* this.writeCheckpoints()',
    replace: '',
    seed: 8,
  },
  {
    rule: 'what the control file publishes as durable is durable',
    section: 3,
    file: 'src/log/watermark-publisher.ts',
    find: 'Math.min(durableOffset, undecided.lowestOffset)',
    replace: 'Math.min(partition.logEndOffset, undecided.lowestOffset)',
    seed: 3,
  },
  {
    rule: 'the control file of another boot says nothing',
    section: 3,
    file: 'src/log/directory-evidence.ts',
    find: 'this.control?.bootId === this.#bootId',
    replace: 'this.control !== undefined',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'sealed files are synced before what follows them counts as durable',
    section: 4,
    file: 'src/log/unsynced-files.ts',
    find: 'const steps = this.#sealed.map((segment) => () => this.#flush(segment, flushLog))',
    replace: 'const steps: (() => Promise<void>)[] = []',
    faults: CRASH,
    seed: 1,
  },
  {
    rule: 'names of new segments are synced before what they hold counts as durable',
    section: 4,
    file: 'src/log/unsynced-files.ts',
    find: 'if (this.#names) steps.push',
    replace: 'if (false as boolean) steps.push',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'the newest file is synced before what it holds counts as durable',
    section: 4,
    file: 'src/log/unsynced-files.ts',
    find: 'steps.push(() => this.#flush(active, flushLog))',
    replace: '',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'older files are synced before newer ones',
    section: 4,
    file: 'src/log/commit-barrier.ts',
    find: 'for (const step of steps)',
    replace: 'this.#durableOffset = targetOffset; for (const step of steps)',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a round makes durable what was appended before it began, and no more',
    section: 4,
    file: 'src/log/commit-barrier.ts',
    find: 'this.#durableOffset = targetOffset',
    replace: 'this.#durableOffset = this.#partition.logEndOffset',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a sealed file whose successor could not be made is synced all the same',
    section: 4,
    file: 'src/log/active-segment.ts',
    find: 'unsynced.sealed(active)\n    return this.#add(config, baseOffset)',
    replace:
      '{ const next = this.#add(config, baseOffset); unsynced.sealed(active); return next }\n' +
      '    return this.#add(config, baseOffset)',
    faults: FULL,
    seed: 25,
  },
  {
    rule: 'acks all waits for its sync',
    section: 4,
    file: 'src/client/batcher.ts',
    find: "this.#settings.acks !== 'all' || batch.endOffset",
    replace: "this.#settings.acks === 'all' || batch.endOffset",
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a failed sync is final for its partition',
    section: 4,
    file: 'src/log/partition-durability.ts',
    find: 'this.#failure = error\n',
    replace: '',
    faults: IO,
    seed: 6,
  },
  {
    rule: 'a sync that failed is not tried again',
    section: 4,
    file: 'src/log/commit-barrier.ts',
    find: 'this.#failure = this.#partition.roundFailed(cause)',
    replace:
      'const failure = this.#partition.roundFailed(cause); this.#rejectWaiters(failure); return',
    faults: IO,
    seed: 6,
  },
  {
    rule: 'indexes are synced before the recovery point passes them',
    section: 4,
    file: 'src/log/partition-durability.ts',
    find:
      'await this.unsynced.flushIndexes(log.segments, () => log.end !== undefined)\n' +
      '    await snapshots.write(offset, log)',
    replace: 'await snapshots.write(offset, log)',
    seed: 4,
  },
  {
    rule: 'no checkpoint counts on an index that another one is syncing',
    section: 4,
    file: 'src/log/unsynced-files.ts',
    find: 'this.#indexesFlushed.then(async () => {',
    replace: 'Promise.resolve().then(async () => {',
    seed: null,
  },
  {
    rule: 'a close ends after the last sync',
    section: 4,
    file: 'src/log/log-directory.ts',
    find: 'if (!driver.volatile) yield () => this.barrier.idle()',
    replace: '',
    seed: 59,
  },
  {
    rule: 'an index whose sync failed is written again as a whole',
    section: 4,
    file: 'src/storage/index-file.ts',
    find: 'this.#writtenSlots = 0\n      this.#unflushed = true\n      throw error',
    replace: 'throw error',
    faults: IO,
    seed: 6,
  },
  {
    rule: 'data is synced before the recovery point passes it',
    section: 4,
    file: 'src/log/partition-durability.ts',
    find: 'await this.makeDurable(offset)',
    replace: '',
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'what a failed write has left is cut off',
    section: 4,
    file: 'src/storage/space-ahead.ts',
    find: 'this.#cutBack(sizeBytes, Math.max(heldBefore, sizeBytes))',
    replace: 'void heldBefore',
    faults: FULL,
    seed: 25,
  },
  {
    rule: 'a leader epoch rises at every open after an unclean stop',
    section: 4,
    file: 'src/log/partition-open.ts',
    find: 'Math.min(usedEpoch + 1, INT32_MAX)',
    replace: 'Math.max(usedEpoch, 0)',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a leader epoch is on stable storage before the first batch of it',
    section: 4,
    file: 'src/log/partition-open.ts',
    find: 'yield* epochs.save()',
    replace: '',
    faults: CRASH,
    seed: 3,
  },
  {
    rule: 'a batch is in the kernel before its offsets are visible',
    section: 4,
    file: 'src/storage/space-ahead.ts',
    find: 'this.#log.write(batch.buffer, batch.start, batch.sizeBytes, sizeBytes)\n',
    replace:
      'queueMicrotask(() => { try { this.#log.write(batch.buffer, batch.start, ' +
      'batch.sizeBytes, sizeBytes) } catch {} })\n',
    seed: 3,
  },
  {
    rule: 'where indexes cannot be rebuilt the segment stays what it was',
    section: 5,
    file: 'src/log/index-rebuild.ts',
    find: 'segment.undoRewind(contents)',
    replace: '',
    faults: IO,
    seed: null,
  },
  {
    rule: 'a read of what is durable ends at the durable offset',
    section: 5,
    file: 'src/client/record-source.ts',
    find: 'return Math.min(end, log.durableOffset, decided)',
    replace: 'return Math.min(end, decided)',
    faults: CRASH,
    seed: 2,
  },
  ...FOLLOW_MUTANTS,
  ...RECOVERY_MUTANTS,
  ...GROUP_MUTANTS,
  ...TRANSACTION_MUTANTS,
]
