/**
 * What a soaked process holds of the machine's, round by round, and whether that grows.
 *
 * Memory is judged by medians, of the second quarter of the rounds against the last: the first
 * quarter loads and warms up, and one round that collects late must not decide. Descriptors and
 * mappings are counted exactly, with no log open.
 */

/** What a process holds after a round, its garbage collected and its log closed. */
export interface SoakSample {
  readonly heapBytes: number
  /** Buffers and what else lies outside of the heap. */
  readonly externalBytes: number
  readonly residentBytes: number
  readonly descriptors: number
  /** Of files of the log. */
  readonly mappings: number
}

/** Most that a median may grow; the rest is noise of the allocators. */
const MOST_GROWTH = {
  heapBytes: 2_097_152,
  externalBytes: 4_194_304,
  residentBytes: 67_108_864,
  descriptors: 0,
  mappings: 0,
} as const satisfies Readonly<Record<keyof SoakSample, number>>

/** Rounds without which nothing can be told. */
const FEWEST_ROUNDS = 12

/** What grows, by how much; nothing where nothing leaks. */
export function leaksIn(samples: readonly SoakSample[]): Readonly<Record<string, number>> {
  if (samples.length < FEWEST_ROUNDS) throw new Error(`${samples.length} rounds are too few`)
  const quarter = Math.floor(samples.length / 4)
  const early = samples.slice(quarter, 2 * quarter)
  const late = samples.slice(-quarter)
  const names = Object.keys(MOST_GROWTH) as (keyof SoakSample)[] // The keys of that very object.
  const growth = names.map((name) => [name, medianOf(late, name) - medianOf(early, name)] as const)
  return Object.fromEntries(growth.filter(([name, bytes]) => bytes > MOST_GROWTH[name]))
}

/** The middle one of the values of all samples. */
export function medianOf(samples: readonly SoakSample[], name: keyof SoakSample): number {
  const values = samples.map((sample) => sample[name]).toSorted((one, other) => one - other)
  return values[Math.floor(values.length / 2)] ?? 0
}
