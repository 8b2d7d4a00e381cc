/**
 * How many descriptors this process may have, and how many of them a log takes at most: the others
 * are the application's, which would fail in places that know nothing of logs.
 */
import { readFileSync } from 'node:fs'

/** Descriptors of files that are not in use and may be closed at any time. */
const IDLE_DESCRIPTORS = 512
/** A log takes one in so many. */
const SHARE = 2

/** Bounds of the descriptors of one disk driver. */
export interface DescriptorBounds {
  /** Kept open, where the bytes of the others are on stable storage. */
  readonly maxOpenFiles: number
  /** Open at all. */
  readonly maxDescriptors: number
}

/** Bounds that leave the application its half. */
export function descriptorBounds(limit: number = descriptorLimit()): DescriptorBounds {
  const maxDescriptors = Math.max(1, Math.floor(limit / SHARE))
  return { maxOpenFiles: Math.min(IDLE_DESCRIPTORS, maxDescriptors), maxDescriptors }
}

/** The limit of this process; Infinity where that cannot be told. */
function descriptorLimit(): number {
  const name = 'Max open files'
  try {
    const lines = readFileSync('/proc/self/limits', 'latin1').split('\n')
    const line = lines.find((one) => one.startsWith(name)) ?? ''
    const limit = Number.parseInt(line.slice(name.length), 10) // The soft one, or 'unlimited'.
    return Number.isNaN(limit) ? Infinity : limit
  } catch {
    return Infinity // No Linux, or not shown.
  }
}
