/**
 * What this process holds of the machine's, as Linux says it in /proc: for tests that nothing
 * leaks. Elsewhere there is no such thing, and `canCountResources` is false.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Whether the functions below work here. */
export const canCountResources: boolean = process.platform === 'linux'

/** Mappings of files whose path contains `part`; neighbours that the kernel merged count once. */
export function mappingCount(part: string): number {
  const lines = readFileSync('/proc/self/maps', 'latin1').split('\n')
  return lines.filter((line) => line.includes(part)).length
}

/** Open descriptors of this process. */
export function descriptorCount(): number {
  return readdirSync('/proc/self/fd').length
}

/** Collects garbage, now and completely, and lets finalizers run. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  // The flag counts for contexts made after it.
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 3; round++) {
    collect()
    await new Promise((resolve) => void setImmediate(resolve))
  }
}
