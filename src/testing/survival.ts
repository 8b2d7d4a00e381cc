/**
 * What a crash keeps of what was not synced: the choices a disk has, drawn once per crash.
 *
 * Changes carry numbers in the order in which they were made, over all files and directories. A
 * choice is either a number up to which everything is kept, or a coin for each piece: a piece is a
 * granule of a file (512 bytes or 4 KiB, what a device writes as a whole), the size of a file, or
 * a change of a name.
 */
import type { SeededRandom } from './seeded-random.ts'

/**
 * How much of what was not synced a crash keeps: `'none'`, `'all'`, `'names'` (every change of a
 * name, no byte and no size), `'prefix'` (the changes in the order in which they were made, up to
 * some moment), `'files'` (a prefix of its own for each file and directory: reordered between
 * them), `'some'` (each granule, size and name on its own).
 */
export type Survival = 'none' | 'all' | 'names' | 'prefix' | 'files' | 'some'

const SURVIVALS = ['none', 'all', 'names', 'prefix', 'files', 'some', 'some', 'some'] as const

/** How a device tears what it writes when the power goes. */
export type TearBytes = 512 | 4096

/** The choices of one crash. */
export interface CrashChoices {
  readonly survival: Survival
  readonly tearBytes: TearBytes
  readonly random: SeededRandom
  /** The last change that 'prefix' keeps. */
  readonly lastKept: number
}

/** Draws what is not fixed; `firstChange` to `lastChange` are not synced. */
export function drawCrash(
  random: SeededRandom,
  fixed: { readonly keep?: Survival | undefined; readonly tearBytes?: TearBytes | undefined },
  firstChange: number,
  lastChange: number,
): CrashChoices {
  const survival = fixed.keep ?? random.oneOf<Survival>(...SURVIVALS)
  const tearBytes = fixed.tearBytes ?? random.oneOf<TearBytes>(512, 512, 4096)
  const lastKept = firstChange - 1 + random.below(Math.max(1, lastChange - firstChange + 2))
  return { survival, tearBytes, random, lastKept }
}

/** The last change kept of one file or directory whose unsynced changes are `first` to `last`. */
export function lastKeptOf(choices: CrashChoices, first: number, last: number): number {
  switch (choices.survival) {
    case 'none':
    case 'names':
      return -1
    case 'all':
      return last
    case 'prefix':
      return choices.lastKept
    case 'files':
    case 'some':
      return first - 1 + choices.random.below(last - first + 2)
  }
}
