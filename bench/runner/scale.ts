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
  { name: '1 KiB', valueBytes: 1_024, divisor: 6 },
  { name: '10 KiB', valueBytes: 10_240, divisor: 60 },
]
/** How many times more a full run does. */
const FULL = 2
/** Counts are whole rounds of the record pool, and whole batches. */
const GRAIN = 1_000

/** The sizes of values that are measured. */
export function sizesOf({ quick }: Scale): readonly Size[] {
  return quick ? ALL_SIZES.slice(0, 1) : ALL_SIZES
}

/**
 * Records before the clock starts, where `recordCount` are measured. V8 compiles while the first
 * few hundred thousand run, in threads whose CPU counts: that belongs to nobody's record.
 */
export function warmUpFor(recordCount: number): number {
  return Math.ceil(recordCount / 2 / GRAIN) * GRAIN
}

/** Records of a measurement that takes `base` of the smallest in a quick run. */
export function recordsFor(base: number, { divisor }: Size, { quick }: Scale): number {
  const wanted = (base * (quick ? 1 : FULL)) / divisor
  return Math.max(GRAIN, Math.round(wanted / GRAIN) * GRAIN)
}
