/** History: which steps a seed plays, and with which faults. Each seed likes other steps. */
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { FaultGroup } from './fault-plan.ts'
import { CRASH_STEPS, LIFE_STEPS, ROT_STEP } from './life-steps.ts'
import { Simulation, type Step } from './simulation.ts'

/** A history to be played. */
export interface History {
  readonly seed: number
  readonly faults: readonly FaultGroup[]
  readonly steps: readonly Step[]
}

/**
 * Steps in a row that lead to where one rule counts and little else does. Chance alone comes to
 * some of them in one history of thousands.
 */
const MOTIFS: readonly { readonly needs: readonly FaultGroup[]; readonly steps: string }[] = [
  { needs: ['crash'], steps: 'stop at a call, create' },
  { needs: ['crash'], steps: 'append more, checkpoint, stop at a call, recreate' },
  { needs: ['crash'], steps: 'append, stop at a call, delete' },
  { needs: ['crash'], steps: 'append more, stop at a call, checkpoint' },
  { needs: ['crash'], steps: 'append more, stop at a call, append, flush' },
  { needs: ['crash'], steps: 'append, kill, power cut' },
  { needs: ['crash'], steps: 'append, flush, power cut, append, power cut, power cut' },
  { needs: ['crash'], steps: 'append, time passes, append more, append more, tick, power cut' },
  { needs: ['crash'], steps: 'append, checkpoint, append more, append more, power cut' },
  { needs: ['crash', 'io'], steps: 'append, dropping sync, flush, rest, kill, power cut' },
  { needs: ['crash', 'io'], steps: 'append much, dropping sync, flush, rest, kill, power cut' },
  {
    needs: ['crash', 'io'],
    steps: 'append more, append more, dropping index sync, checkpoint, checkpoint, power cut',
  },
  {
    needs: ['crash', 'io'],
    steps: 'append much, dropping index sync, checkpoint, append more, checkpoint, power cut',
  },
  {
    needs: ['crash', 'io'],
    steps: 'append more, checkpoint, failing checkpoint, recreate, rest, append, kill',
  },
  {
    needs: ['crash', 'full'],
    steps: 'append, failing roll, append more, append more, flush, rest, power cut',
  },
  { needs: ['crash', 'full'], steps: 'append, no space, append, kill' },
  { needs: [], steps: 'append more, flush, delete, close' },
  {
    needs: ['crash'],
    steps: 'append more, time passes, append more, time passes, append more, tick, power cut',
  },
  {
    needs: ['crash'],
    steps: 'join, append more, rest, poll, rest, poll, rest, commit durably, rest, power cut',
  },
  {
    needs: ['crash'],
    steps: 'join, append more, rest, poll, rest, commit, power cut, append more, flush, rest, kill',
  },
  {
    needs: ['crash'],
    steps:
      'join, append more, rest, poll, rest, commit durably, rest, recreate, rest, append more, ' +
      'append more, flush, rest, power cut',
  },
  { needs: ['crash'], steps: 'append more, trim, rest, stop at a call, housekeep, rest' },
  { needs: ['crash'], steps: 'append much, flush, trim, rest, housekeep, power cut' },
  { needs: ['crash'], steps: 'transactional producer, rest, transact, rest, power cut' },
  { needs: ['crash'], steps: 'transactional producer, transact, stop at a call, rest, rest' },
  {
    needs: ['crash'],
    steps: 'transactional producer, begin, rest, send in it, send in it, rest, commit, power cut',
  },
  {
    needs: ['crash'],
    steps:
      'transactional producer, begin, rest, send in it, rest, flush, rest, follow committed, ' +
      'commit, read committed, power cut',
  },
  {
    needs: ['crash'],
    steps: 'transactional producer, transact, rest, transact, rest, begin, rest, send in it, kill',
  },
  {
    needs: ['crash'],
    steps:
      'transactional producer, begin, rest, send in it, append more, rest, give positions, ' +
      'commit, rest, power cut',
  },
]

function motifsOf(
  faults: readonly FaultGroup[],
  kinds: ReadonlySet<string>,
): readonly (readonly string[])[] {
  return MOTIFS.filter(({ needs }) => needs.every((group) => faults.includes(group)))
    .map(({ steps }) => steps.split(', '))
    .filter((steps) => steps.every((kind) => kinds.has(kind)))
}

/** The history of a seed; of `allowed` faults it has some. */
export function historyOf(
  seed: number,
  stepCount: number,
  allowed: readonly FaultGroup[],
): History {
  const random = new SeededRandom(seed ^ 0x2545f491)
  const faults = allowed.filter((group) => random.below(group === 'crash' ? 8 : 2) > 0)
  const weights = weightsOf(seed, faults, random)
  const steps: Step[] = [{ kind: 'create', seed: random.below(2 ** 31) }]
  const motifs = motifsOf(faults, new Set(weights.map(([kind]) => kind)))
  const motifRate = random.oneOf(0, 0.05, 0.2)
  while (steps.length < stepCount) {
    const isMotif = random.fraction() < motifRate
    const kinds = isMotif ? (motifs[random.below(motifs.length)] ?? []) : [drawn(weights, random)]
    for (const kind of kinds) steps.push({ kind, seed: random.below(2 ** 31) })
  }
  if (faults.includes('rot')) {
    const at = Math.floor(steps.length * 0.8)
    steps.splice(at, 0, { kind: ROT_STEP, seed: random.below(2 ** 31) })
  }
  return { seed, faults, steps }
}

/** Swarm testing: some steps come often, some rarely or never, and every seed has its own. */
function weightsOf(
  seed: number,
  faults: readonly FaultGroup[],
  random: SeededRandom,
): readonly (readonly [kind: string, weight: number])[] {
  const { actors } = new Simulation({ seed, faults })
  const kinds = actors.flatMap((actor) => Object.entries(actor.steps))
  kinds.push(...Object.entries(LIFE_STEPS))
  if (faults.includes('crash')) kinds.push(...Object.entries(CRASH_STEPS))
  return kinds.map(([kind, weight]) => [
    kind,
    kind === 'create' || kind === 'append' ? weight : weight * random.oneOf(0, 0.3, 1, 1, 3),
  ])
}

function drawn(
  weights: readonly (readonly [kind: string, weight: number])[],
  random: SeededRandom,
): string {
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0)
  let left = random.fraction() * total
  for (const [kind, weight] of weights) {
    left -= weight
    if (left < 0) return kind
  }
  return 'append'
}
