/**
 * How much each measurement does: enough that starting the clock does not count, little enough that
 * a whole run with its rounds stays within minutes. `--quick` measures the smallest size alone.
 */
import type { Scale } from './question.ts'

/** Records of one size, and how many fewer of them there are than of the smallest. */
export interface Size {
  readonly name: string
  readonly valueBytes: number
  readonly divisor: number
}

const ALL_SIZES: readonly Size[] = [
  { name: '100 B', valueBytes: 100, divisor: 1 },
  { name: '1 KiB', valueBytes: 1_024, divisor: 4 },
  { name: '10 KiB', valueBytes: 10_240, divisor: 20 },
]
/** How many times more a full run does. */
const FULL = 3
/** Counts are whole rounds of the record pool, and whole batches. */
const GRAIN = 1_000

/** The sizes of values that are measured. */
export function sizesOf({ quick }: Scale): readonly Size[] {
  return quick ? ALL_SIZES.slice(0, 1) : ALL_SIZES
}

/** Records of a measurement that takes `base` of the smallest in a quick run. */
export function recordsFor(base: number, { divisor }: Size, { quick }: Scale): number {
  const wanted = (base * (quick ? 1 : FULL)) / divisor
  return Math.max(GRAIN, Math.round(wanted / GRAIN) * GRAIN)
}
