/**
 * npm run simulate: plays seeds by hand.
 *
 *   --seed N      the first seed; without one, a new one
 *   --seeds K     how many, one after the other; 1 where a seed is given
 *   --minutes T   for how long, instead
 *   --steps M     steps a history has; 300
 *   --faults a,b  groups of faults that may come: crash, full, io, slow, clock, rot; all
 *   --trace       prints what each step does, and every event
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { report, runCampaign, told } from './campaign.ts'
import { FAULT_GROUPS, type FaultGroup } from './fault-plan.ts'
import { historyOf } from './history.ts'
import { Simulation } from './simulation.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    steps: { type: 'string', default: '300' },
    faults: { type: 'string', default: FAULT_GROUPS.join(',') },
    trace: { type: 'boolean', default: false },
  },
})

const first = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
const stepCount = Number(values.steps)
const faults = values.faults.split(',').map(groupOf)
const endsAtMs = Date.now() + Number(values.minutes ?? Infinity) * 60_000
const isTimed = values.minutes !== undefined
const seedCount = isTimed ? Infinity : Number(values.seeds ?? (values.seed === undefined ? 100 : 1))

print(`seeds from ${first} on, ${stepCount} steps each, faults: ${faults.join(', ')}`)
if (values.trace) {
  const history = historyOf(first, stepCount, faults)
  const simulation = new Simulation({ ...history, listener: print })
  await simulation.run(history.steps)
  print(`trace ${simulation.result.traceHash}`)
} else {
  const { tally, failure } = await runCampaign({
    seeds: numbersFrom(first, seedCount),
    stepCount,
    faults,
    mayGoOn: () => Date.now() < endsAtMs,
    shrinks: true,
  })
  const { user, system } = process.cpuUsage()
  print(report(tally, (user + system) / 1_000))
  if (failure !== undefined) {
    print(told(failure, stepCount))
    process.exitCode = 1
  }
}

function* numbersFrom(start: number, count: number): Generator<number> {
  for (let seed = start; seed < start + count; seed++) yield seed
}

function groupOf(name: string): FaultGroup {
  const group = FAULT_GROUPS.find((one) => one === name)
  if (group === undefined) throw new Error(`--faults: ${name} is none of ${FAULT_GROUPS.join()}`)
  return group
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
