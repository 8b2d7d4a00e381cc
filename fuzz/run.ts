/**
 * npm run fuzz -- [target …] [--minutes n] [--seed n] [--save] [--list]
 *
 *   target     names or parts of names; all targets where none is given
 *   --minutes  time for all of them together, shared as the targets say: 1
 *   --seed     of the mutations; a new one where none is given, and printed
 *   --save     replaces the corpus in the tree by as few inputs as show all that was seen
 *   --list     names the targets and ends
 *
 * Each target runs in a thread of its own, one after the other. A broken promise, a run without an
 * end and a thread that dies are findings: the input is kept, the rest runs, the exit code is 1.
 */
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { CampaignAnswer, CampaignOrder } from './campaign-worker.ts'
import { keepFinding, readCorpus, replaceCorpus } from './corpus.ts'
import { compileInstrumented, type InstrumentedSource } from './instrument.ts'
import { seedsOf } from './seeds.ts'
import { targetNamed, TARGETS } from './targets.ts'

const SHARED_BYTES = 1_048_576
/** A run that takes longer has no end. */
const HANG_MS = 60_000
const LOOK_MS = 1_000
const HEAP_MIB = 512

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    save: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
  },
})

const known = TARGETS.map(({ name }) => name)
/** A whole name means that target; anything else, those with it in their names. */
const names = known.filter((name) =>
  positionals.some((part) => (known.includes(part) ? part === name : name.includes(part))),
)
if (positionals.length === 0) names.push(...known)
if (values.list) {
  for (const name of names) console.log(name)
} else {
  process.exitCode = (await runAll()) ? 0 : 1
}

async function runAll(): Promise<boolean> {
  const minutes = Number(values.minutes)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
  if (!(minutes > 0) || !Number.isSafeInteger(seed) || names.length === 0) {
    console.error(`nothing to do: ${process.argv.slice(2).join(' ')}`)
    return false
  }
  const source = compileInstrumented(new URL('./campaign-worker.ts', import.meta.url).pathname)
  console.log(`seed ${seed}, ${source.counterCount} branches counted, ${names.length} targets`)
  console.log('target                      runs      a second  branches  inputs')
  let runs = 0
  let isGood = true
  try {
    const shares = names.map((name) => targetNamed(name).share ?? 1)
    const minutesAShare = minutes / shares.reduce((sum, share) => sum + share, 0)
    for (const [index, name] of names.entries()) {
      const answer = await runTarget(source, name, seed, minutesAShare * (shares[index] ?? 1))
      runs += answer.runs
      isGood &&= answer.findings.length === 0
    }
  } finally {
    source.remove()
  }
  console.log(`${runs} runs of ${names.length} targets, ${isGood ? 'no finding' : 'FINDINGS'}`)
  return isGood
}

async function runTarget(
  source: InstrumentedSource,
  targetName: string,
  seed: number,
  minutes: number,
): Promise<CampaignAnswer> {
  const corpus = readCorpus(targetName).map(({ input }) => input)
  const startedMs = performance.now()
  const answer = await answerOf(source, {
    targetName,
    counterCount: source.counterCount,
    dictionary: source.dictionary,
    corpus: [...corpus, ...seedsOf(targetName)],
    seed,
    minutes,
    shared: new SharedArrayBuffer(8 + SHARED_BYTES),
  })
  const seconds = (performance.now() - startedMs) / 1_000
  const { runs, branches, keptCount, covering, findings } = answer
  const columns = [
    targetName.padEnd(22),
    String(runs).padStart(10),
    String(Math.round(runs / seconds)).padStart(13),
    String(branches).padStart(9),
    String(keptCount).padStart(7),
  ]
  console.log(columns.join(' '))
  for (const finding of findings) {
    console.error(`FINDING in ${targetName}: ${keepFinding(targetName, finding.input)}`)
    console.error(`${finding.error}\n${Buffer.from(finding.input).toString('hex').slice(0, 4_096)}`)
  }
  if (values.save && findings.length === 0) replaceCorpus(targetName, covering)
  return answer
}

/** Runs a campaign in a thread and watches it: what does not end or dies has a finding as well. */
async function answerOf(source: InstrumentedSource, order: CampaignOrder): Promise<CampaignAnswer> {
  const worker = new Worker(source.path, {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  })
  const state = new Int32Array(order.shared, 0, 2)
  const lost = (error: string): CampaignAnswer => {
    const input = new Uint8Array(order.shared, 8).slice(0, state[1])
    const runs = state[0] ?? 0
    return { runs, branches: 0, keptCount: 0, covering: [], findings: [{ input, error }] }
  }
  const answer = await new Promise<CampaignAnswer>((resolve) => {
    let lastRuns = -1
    let lastMs = performance.now()
    const watch = setInterval(() => {
      const isMoving = state[0] !== lastRuns
      if (isMoving) lastMs = performance.now()
      lastRuns = state[0] ?? 0
      if (performance.now() - lastMs > HANG_MS) resolve(lost('a run that has no end'))
    }, LOOK_MS)
    worker.once('message', resolve)
    worker.once('error', (error) => resolve(lost(error.stack ?? String(error))))
    worker.once('exit', () => {
      clearInterval(watch)
      resolve(lost('the thread ended'))
    })
  })
  await worker.terminate()
  return answer
}
