/**
 * The child that costs are counted in: does one kind of work on a log on disk, so often that what
 * happens once does not count, and prints what a unit of it took, as `Costs`. One of these is
 * counted at a time, because counting calls allocates:
 *   memory  bytes that it allocated, in and outside V8's heap. New objects have room for all of
 *           them (cost-counts.ts); a run in which some were collected all the same says nothing.
 *   calls   calls of the file system, by their names, those that only look included
 */
import { readFileSync } from 'node:fs'
import { CallCounts } from './call-counts.ts'
import { Collections, type Stretch } from './collections.ts'
import type { CostPlan, Costs } from './cost-counts.ts'
import { WORKS } from './works.ts'

type Run = Stretch & { readonly costs: Costs }

const RUNS = 5

const plan = JSON.parse(readFileSync(0, 'utf8')) as CostPlan // The parent wrote it.
const counts = plan.what === 'calls' ? new CallCounts() : null
const collections = new Collections()
const work = await WORKS[plan.work].begin(plan.directory)
const { units } = WORKS[plan.work]
const runs: Run[] = []
// In the first ones it is compiled, and buffers get as large as they get: the cheapest counts.
for (let run = 0; run < RUNS; run += 1) {
  counts?.startOver()
  const startMs = performance.now()
  const before = process.memoryUsage()
  const done = await work.run(units)
  const after = process.memoryUsage()
  const endMs = performance.now()
  const costs: Costs = {
    heapBytes: (after.heapUsed - before.heapUsed) / done,
    outsideBytes: (after.arrayBuffers - before.arrayBuffers) / done,
    calls: counts?.perUnit(done) ?? {},
  }
  runs.push({ costs, startMs, endMs })
}
await work.end()
const whole = runs.filter((run) => !collections.fellInto(run)).map(({ costs }) => costs)
if (whole.length === 0) throw new Error('memory was collected in every run')
// Each by itself: a buffer that grows once may do so in the run that is the cheapest otherwise.
const cheapest: Costs = {
  heapBytes: Math.min(...whole.map(({ heapBytes }) => heapBytes)),
  outsideBytes: Math.min(...whole.map(({ outsideBytes }) => outsideBytes)),
  calls: {},
}
const counted = plan.what === 'calls' ? runs.at(-1)?.costs : cheapest
process.stdout.write(JSON.stringify(counted))
