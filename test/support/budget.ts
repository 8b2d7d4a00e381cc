/**
 * How much work the tests with a budget do. Each has a size that suits every run of `npm test`;
 * a night has more time and raises them by environment variables (.ci/nightly), so that both run
 * the same tests:
 *   STREAMBED_KILLS         times that the torture kills a process, 200
 *   STREAMBED_TRANSACTION_KILLS  times that it kills a process with transactions, 24
 *   STREAMBED_DISKS         disks, each as some loss of power may leave it, that it opens, 800
 *   STREAMBED_CRASH_ENDS    ways in which a crash ends that are tried at each call of the disk, 3
 *   STREAMBED_SOAK_SECONDS  for how long the soak loads a log, 30
 *   FAST_CHECK_RUNS         cases per property that names no number of its own, 100
 *   STREAMBED_MODEL_STEPS   steps that transactions are held against their model for, 10,000
 *   STREAMBED_SEEDS         histories that the simulation plays in every run, 136
 *   STREAMBED_NEW_SEEDS     histories that no run has played before, 24
 *   STREAMBED_MUTANT_SEEDS  histories that look for a build without a rule, at most, 60
 *   STREAMBED_STRESS        rounds in which the stress test makes, reads and ends logs, 3
 *   STREAMBED_LIMIT_MIB     size of the log that is larger than the memory of its process, 288
 *   STREAMBED_LIMIT_FILES   segments of the log that has more files than its process may open, 320
 *   STREAMBED_LIMIT_TOPICS  topics of the log with the most, 150
 *   STREAMBED_DAMAGES       damages of each kind to each small log, 16
 */

/** Sizes of one run of the tests. */
export interface Budget {
  readonly kills: number
  readonly transactionKills: number
  readonly disks: number
  readonly crashEnds: number
  readonly soakSeconds: number
  readonly propertyRuns: number
  readonly modelSteps: number
  readonly simulatedSeeds: number
  readonly newSeeds: number
  readonly mutantSeeds: number
  readonly stressRounds: number
  readonly limitMebibytes: number
  readonly limitSegments: number
  readonly limitTopics: number
  readonly damagedLogs: number
}

/** The sizes that `environment` asks for; the usual ones where it is silent. */
export function budgetOf(environment: Readonly<Record<string, string | undefined>>): Budget {
  return {
    kills: countOf(environment, 'STREAMBED_KILLS', 200),
    transactionKills: countOf(environment, 'STREAMBED_TRANSACTION_KILLS', 24),
    disks: countOf(environment, 'STREAMBED_DISKS', 800),
    crashEnds: countOf(environment, 'STREAMBED_CRASH_ENDS', 3),
    soakSeconds: countOf(environment, 'STREAMBED_SOAK_SECONDS', 30),
    propertyRuns: countOf(environment, 'FAST_CHECK_RUNS', 100),
    modelSteps: countOf(environment, 'STREAMBED_MODEL_STEPS', 10_000),
    simulatedSeeds: countOf(environment, 'STREAMBED_SEEDS', 136),
    newSeeds: countOf(environment, 'STREAMBED_NEW_SEEDS', 24),
    mutantSeeds: countOf(environment, 'STREAMBED_MUTANT_SEEDS', 60),
    stressRounds: countOf(environment, 'STREAMBED_STRESS', 3),
    limitMebibytes: countOf(environment, 'STREAMBED_LIMIT_MIB', 288),
    limitSegments: countOf(environment, 'STREAMBED_LIMIT_FILES', 320),
    limitTopics: countOf(environment, 'STREAMBED_LIMIT_TOPICS', 150),
    damagedLogs: countOf(environment, 'STREAMBED_DAMAGES', 16),
  }
}

const HOURS_MS = 5 * 3_600_000
const USUAL: Budget = budgetOf({})

/** The sizes of this run. */
export const budget: Budget = budgetOf(process.env)

/** What a test may take: hours where any size was raised, as in a night. */
export function longestMs(
  usualMs: number,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): number {
  const [asked, usual] = [Object.entries(budgetOf(environment)), new Map(Object.entries(USUAL))]
  const isRaised = asked.some(([name, size]) => size > (usual.get(name) ?? 0))
  return isRaised ? Math.max(usualMs, HOURS_MS) : usualMs
}

function countOf(
  environment: Readonly<Record<string, string | undefined>>,
  name: string,
  usual: number,
): number {
  const text = environment[name]
  if (text === undefined || text === '') return usual
  const count = Number(text)
  // A mistyped budget must not turn into an empty run that looks green.
  if (!Number.isSafeInteger(count) || count < 1) throw new Error(`${name}=${text}: not a count`)
  return count
}
