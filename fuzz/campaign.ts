/**
 * Campaign: one target, fed with mutations of inputs that are known to go different ways.
 *
 * Starts from the corpus and keeps every input that shows a new feature (coverage-map.ts). Of each
 * kind of broken promise the first input is cut down to what breaks it; then the campaign goes on.
 * Deterministic but for where time ends it: the same seed, corpus and source make the same inputs.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { CheckedRun } from './checked-run.ts'
import type { CoverageMap } from './coverage-map.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { FuzzRandom, Mutator } from './mutator.ts'

/** Runs between two looks at the time. */
const RUNS_AT_ONCE = 256
const MAX_SHRINKING_RUNS = 4_000
const MAX_FINDINGS = 16
/** Newer inputs are nearer to what nobody has seen. */
const NEW_SHARE = 4

/** A promise that was broken, and by what. */
export interface FuzzFinding {
  readonly input: Buffer
  readonly error: string
}

/** How a campaign went. */
export interface CampaignResult {
  readonly runs: number
  /** Branches of src/ that some input took. */
  readonly branches: number
  readonly findings: readonly FuzzFinding[]
}

/** What a campaign is made of. */
export interface CampaignPlan {
  readonly target: FuzzTarget
  readonly coverage: CoverageMap
  readonly seed: number
  readonly dictionary: readonly Buffer[]
  readonly corpus: readonly Buffer[]
  /** Sees each input before it runs, in case none is seen after it. */
  readonly onInput: (input: Buffer) => void
}

/** Feeds one target. */
export class Campaign {
  readonly #plan: CampaignPlan
  readonly #random: FuzzRandom
  readonly #mutator: Mutator
  readonly #checked = new CheckedRun()
  readonly #kept: Buffer[] = []
  /** By kind. */
  readonly #findings = new Map<string, FuzzFinding>()
  #runs = 0

  constructor(plan: CampaignPlan) {
    this.#plan = plan
    this.#random = new FuzzRandom(plan.seed)
    this.#mutator = new Mutator(this.#random, plan.dictionary)
  }

  /** Inputs that showed something new, in the order in which they were found. */
  get kept(): readonly Buffer[] {
    return this.#kept
  }

  /** Runs the corpus, then mutations until `isOver`, which is asked now and then, says so. */
  async run(isOver: () => boolean): Promise<CampaignResult> {
    const { corpus, target, coverage } = this.#plan
    for (const input of [...corpus, Buffer.alloc(0)]) this.#try(input)
    while (!isOver() && this.#findings.size < MAX_FINDINGS) {
      for (let count = 0; count < RUNS_AT_ONCE; count++) {
        this.#try(this.#mutator.mutate(this.#pick(), this.#pick(), target.maxInputBytes))
      }
      // What a WeakRef names stays until the turn ends in which it was made, whoever holds it.
      await nextTurn()
    }
    const findings = [...this.#findings.values()]
    return { runs: this.#runs, branches: coverage.branchCount, findings }
  }

  #pick(): Buffer {
    const { length } = this.#kept
    const newest = Math.ceil(length / NEW_SHARE)
    const from = this.#random.below(2) === 0 ? length - newest : 0
    return this.#kept[from + this.#random.below(length - from)] ?? Buffer.alloc(0)
  }

  #try(input: Buffer): void {
    const error = this.#run(input)
    if (error === undefined) {
      if (this.#plan.coverage.take()) this.#kept.push(input)
      return
    }
    const kind = kindOf(error)
    if (!this.#findings.has(kind)) this.#findings.set(kind, this.#shrunk(input, error))
  }

  #run(input: Buffer): Error | undefined {
    this.#plan.onInput(input)
    this.#runs += 1
    this.#plan.coverage.begin()
    try {
      this.#checked.run(this.#plan.target, input)
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  /** Leaves out what can be left out while the same error comes. */
  #shrunk(input: Buffer, error: Error): FuzzFinding {
    const kind = kindOf(error)
    let smallest = input
    let left = MAX_SHRINKING_RUNS
    for (let step = Math.max(1, input.length >> 1); step >= 1 && left > 0; step >>= 1) {
      for (let at = 0; at < smallest.length && left > 0; left -= 1) {
        const shorter = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + step)])
        const again = this.#run(shorter)
        if (again !== undefined && kindOf(again) === kind) smallest = shorter
        else at += step
      }
    }
    const last = this.#run(smallest) ?? error
    return { input: smallest, error: last.stack ?? last.message }
  }
}

/** As few of `inputs` as show all features that they show together, smallest first. */
export function cover(
  { target, coverage, onInput }: Pick<CampaignPlan, 'target' | 'coverage' | 'onInput'>,
  inputs: readonly Buffer[],
): readonly Buffer[] {
  const checked = new CheckedRun()
  const featuresOf = (input: Buffer): ReadonlySet<number> => {
    onInput(input)
    coverage.begin()
    checked.run(target, input)
    return coverage.features()
  }
  const covered = new Set<number>()
  const chosen: Buffer[] = []
  for (const input of inputs.toSorted((a, b) => a.length - b.length)) {
    const features = featuresOf(input)
    if ([...features].every((feature) => covered.has(feature))) continue
    chosen.push(input)
    for (const feature of features) covered.add(feature)
  }
  return chosen
}

/** What tells errors of one cause from others: name, words without numbers, and the place. */
function kindOf(error: Error): string {
  const place = /\n\s+at (?!promise)([^\n]*)/.exec(error.stack ?? '')?.[1] ?? ''
  return `${error.name} ${error.message.replace(/\d+/g, '#').slice(0, 60)} ${place}`
}
