/**
 * Campaign: plays the histories of many seeds and adds up what they did. The first seed that fails
 * ends it, with its history shrunk.
 */
import type { FaultCounts, FaultGroup } from './fault-plan.ts'
import { historyOf } from './history.ts'
import { failureOf, shown, shrink } from './shrink.ts'
import { Simulation, type SimulationResult } from './simulation.ts'

/** What is to be played. */
export interface CampaignPlan {
  /** Seeds; may go on for ever where `mayGoOn` ends it. */
  readonly seeds: Iterable<number>
  readonly stepCount: number
  readonly faults: readonly FaultGroup[]
  readonly mayGoOn?: () => boolean
  /** Whether a failing history is shrunk; it takes as long as hundreds of seeds. */
  readonly shrinks: boolean
}

/** Everything that a campaign did. */
export interface CampaignTally {
  seedCount: number
  stepCount: number
  appendedCount: number
  readCount: number
  reopenCount: number
  readonly faults: FaultCounts
}

/** A seed that broke a promise. */
export interface CampaignFailure {
  readonly seed: number
  /** Steps up to the one at which it showed. */
  readonly stepCount: number
  readonly error: unknown
  /** The shrunk history. */
  readonly history: string
}

/** What a campaign came to. */
export interface CampaignResult {
  readonly tally: CampaignTally
  readonly failure: CampaignFailure | undefined
}

/** Plays seeds one after the other. */
export async function runCampaign(plan: CampaignPlan): Promise<CampaignResult> {
  const tally: CampaignTally = {
    seedCount: 0,
    stepCount: 0,
    appendedCount: 0,
    readCount: 0,
    reopenCount: 0,
    faults: new Map(),
  }
  for (const seed of plan.seeds) {
    if (plan.mayGoOn?.() === false) break
    const failure = await playSeed(seed, plan, tally)
    if (failure !== undefined) return { tally, failure }
  }
  return { tally, failure: undefined }
}

async function playSeed(
  seed: number,
  { stepCount, faults, shrinks }: CampaignPlan,
  tally: CampaignTally,
): Promise<CampaignFailure | undefined> {
  const history = historyOf(seed, stepCount, faults)
  const simulation = new Simulation(history)
  try {
    await simulation.run(history.steps)
    return undefined
  } catch (error) {
    const found = { seed, stepCount: simulation.result.stepCount, error }
    if (!shrinks) return { ...found, history: '' }
    const failure = await failureOf(history)
    if (failure === undefined) return { ...found, history: 'it did not fail again' }
    const shrunk = await shrink(history, failure)
    return { ...found, history: shown(shrunk.history, shrunk.failure) }
  } finally {
    add(tally, simulation.result)
  }
}

function add(tally: CampaignTally, result: SimulationResult): void {
  tally.seedCount += 1
  tally.stepCount += result.stepCount
  tally.appendedCount += result.appendedCount
  tally.readCount += result.readCount
  tally.reopenCount += result.reopenCount
  for (const [kind, count] of result.faults) {
    tally.faults.set(kind, (tally.faults.get(kind) ?? 0) + count)
  }
}

/** A tally in words. */
export function report(tally: CampaignTally, cpuMs: number): string {
  const { seedCount, stepCount, appendedCount, readCount, reopenCount, faults } = tally
  const operations = appendedCount + readCount
  const perMinute = cpuMs === 0 ? 0 : Math.round((operations / cpuMs) * 60_000)
  const kinds = [...faults].sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    `${seedCount} seeds, ${stepCount} steps, ${reopenCount} times opened`,
    `${operations} operations (${appendedCount} records acknowledged, ${readCount} read back), ` +
      `${perMinute} a minute of CPU`,
    `faults: ${kinds.map(([kind, count]) => `${kind} ${count}`).join(', ')}`,
  ].join('\n')
}

/** A failure in words, with what to do. */
export function told({ seed, error, history }: CampaignFailure, stepCount: number): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.stack : ''
  return (
    `seed ${seed} failed: npm run simulate -- --seed ${seed} --steps ${stepCount}\n${text}\n` +
    `${cause ?? ''}\nshrunk, each step with its number and what it does:\n${history}`
  )
}
