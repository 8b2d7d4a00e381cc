/**
 * Life steps: those of a process that no actor takes: waiting, closing, crashing; and what a seed
 * is like besides its steps. Swarm testing: what every run had a little of, some runs have much of.
 */
import type { DiskAction } from '../../src/testing/disk-faults.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { Scale } from './actor.ts'
import type { Computer } from './computer.ts'

/** Steps that are not an actor's, and how often each comes. */
export const LIFE_STEPS: Readonly<Record<string, number>> = {
  rest: 2,
  wait: 1,
  checkpoint: 1.5,
  'time passes': 1,
  close: 1.5,
  'close, power cut': 1.5,
}
/** As above, where a run has crashes. */
export const CRASH_STEPS: Readonly<Record<string, number>> = {
  kill: 1,
  'power cut': 2,
  'stop in a call': 2,
  'stop at a call': 1,
  'stop at open': 1,
}
/** As above, once, where a run has damaged bytes. */
export const ROT_STEP = 'rot'
/** Calls behind which most depends on what the disk kept of those before. */
const STOPPING_CALLS: readonly [
  readonly [DiskAction, string],
  ...(readonly [DiskAction, string])[],
] = [
  ['flushDirectory', '/'],
  ['flushDirectory', '/'],
  ['flushDirectory', ''],
  ['rename', ''],
  ['rename', 'metadata.json'],
  ['rename', '-checkpoint'],
  ['flush', '.tmp'],
  ['flush', '.log'],
  ['flush', 'index'],
  ['mkdir', ''],
  ['create', '.log'],
  ['unlink', ''],
  ['write', '.log'],
]

/** What the run of a seed is like. */
export function scaleOf(seed: number): Scale {
  const random = new SeededRandom(seed)
  return {
    topics: random.oneOf(1, 1, 2, 3),
    partitions: random.oneOf(1, 3, 3),
    segmentBytes: random.oneOf(1_024, 8_192, undefined, undefined),
    groups: random.oneOf(0, 1, 2),
    misfortune: random.oneOf(0, 0, 3, 9),
    recordsPerBatch: random.oneOf(4, 10, 40),
    valueBytes: random.oneOf(20, 100, 600),
    transactional: random.oneOf(0, 0, 1, 3),
  }
}

/** Has the process stop in a call to come; tells in which. */
export function setUpStop(kind: string, computer: Computer, random: SeededRandom): string {
  const { faults } = computer.life
  if (kind === 'stop in a call') {
    computer.stopsWithPower = random.below(2) === 0
    faults.stopAfter = random.below(random.oneOf(4, 30))
    const what = computer.stopsWithPower ? ', with the power' : ''
    return `stop after ${faults.stopAfter} calls${what}`
  }
  const [action, suffix] = random.oneOf(...STOPPING_CALLS)
  computer.stopsWithPower = random.below(4) > 0
  faults.stopAt = { action, suffix }
  faults.stopAfter = random.below(random.oneOf(1, 1, 4))
  return `stop at ${action} of ${suffix}, after ${faults.stopAfter} others`
}
