/**
 * Mutants of recovery and of clean stops (mutants.ts has the others and says what a mutant is).
 */
import type { FaultGroup } from './fault-plan.ts'
import type { Mutant } from './mutants.ts'

const CRASH: readonly FaultGroup[] = ['crash']
const IO: readonly FaultGroup[] = ['crash', 'io']
const ROT: readonly FaultGroup[] = ['crash', 'rot']

/** Builds that lack a rule of section 6. */
export const RECOVERY_MUTANTS: readonly Mutant[] = [
  {
    rule: 'the clean marker is removed before anything is written',
    section: 6,
    file: 'src/log/directory-open.ts',
    find: 'if (found.marker !== undefined) yield* removeCleanMarker(driver)',
    replace: '',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'data is synced before the clean marker vouches for it',
    section: 6,
    file: 'src/log/partition-durability.ts',
    find:
      'await this.makeDurable(log.logEndOffset)\n' +
      '    if (this.#failure !== undefined) throw this.#failure',
    replace: 'void this.unsynced.takeSteps(active)',
    faults: IO,
    seed: 3,
  },
  {
    rule: 'what recovery cuts is on stable storage elsewhere before',
    section: 6,
    file: 'src/log/log-cut.ts',
    find: 'yield () => file.flush()',
    replace: '',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a cut removes the index entries above it',
    section: 6,
    file: 'src/storage/segment.ts',
    find: 'else this.#files.indexes.truncateToOffset(to.nextOffset)',
    replace: '',
    faults: CRASH,
    seed: 3,
  },
  {
    rule: 'what recovery accepts is written again',
    section: 6,
    file: 'src/log/recovery.ts',
    find: 'segment.rewrite(bytes, read, position)',
    replace: 'void read',
    faults: IO,
    seed: 1,
  },
  {
    rule: 'what recovery accepts is synced before open counts it as durable',
    section: 6,
    file: 'src/log/recovery.ts',
    find: 'yield () => segment.flushLog()',
    replace: '',
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'indexes count as synced up to the checkpoint, not up to what was published',
    section: 6,
    file: 'src/log/recovery.ts',
    find: 'startOfCheck(segment, fileBytes, checkpointedPoint)',
    replace: 'startOfCheck(segment, fileBytes, recoveryPoint)',
    seed: null,
  },
  {
    rule: 'the recovery point passes a segment only with its closing index entry',
    section: 6,
    file: 'src/log/recovery.ts',
    find: 'nextBase < checkpointedPoint',
    replace: 'nextBase <= checkpointedPoint',
    faults: CRASH,
    seed: 5,
  },
  {
    rule: 'the start of the log is synced before a reader notices it',
    section: 6,
    file: 'src/log/log-directory.ts',
    find: 'if (!this.#environment.driver.volatile) {\n      yield* this.#checkpoints.writeLogStarts',
    replace: 'if (false as boolean) {\n      yield* this.#checkpoints.writeLogStarts',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'nothing below the recovery point is cut: what is bad there is damage',
    section: 6,
    file: 'src/log/recovery.ts',
    find: 'return offset < this.#leastEnd(0)',
    replace: 'return offset < -this.#leastEnd(0)',
    faults: ROT,
    seed: 41,
  },
]
