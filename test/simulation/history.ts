/** History: which steps a seed plays, and with which faults. Each seed likes other steps. */
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { FaultGroup } from './fault-plan.ts'
import { CRASH_STEPS, LIFE_STEPS, ROT_STEP, Simulation, type Step } from './simulation.ts'

/** A history to be played. */
export interface History {
  readonly seed: number
  readonly faults: readonly FaultGroup[]
  readonly steps: readonly Step[]
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
  while (steps.length < stepCount) {
    steps.push({ kind: drawn(weights, random), seed: random.below(2 ** 31) })
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
