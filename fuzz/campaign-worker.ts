/**
 * The thread that a campaign runs in, so that one that hangs or eats memory can be ended, and its
 * input is known: each input lies in shared memory before it runs.
 *
 *   shared   0          4           8
 *            | runs     | length    | bytes of the input      int32 each, of this machine's order
 */
import { parentPort, workerData } from 'node:worker_threads'
import { COUNTERS_NAME } from './counters-name.ts'
import { CoverageMap } from './coverage-map.ts'

/** What the thread is given. */
export interface CampaignOrder {
  readonly targetName: string
  readonly counterCount: number
  readonly dictionary: readonly Uint8Array[]
  readonly corpus: readonly Uint8Array[]
  readonly seed: number
  readonly minutes: number
  readonly shared: SharedArrayBuffer
}

/** What the thread answers. */
export interface CampaignAnswer {
  readonly runs: number
  readonly branches: number
  readonly keptCount: number
  /** As few inputs as show all that was seen. */
  readonly covering: readonly Uint8Array[]
  readonly findings: readonly { readonly input: Uint8Array; readonly error: string }[]
}

const order = workerData as CampaignOrder // given by run-campaign.ts
const coverage = new CoverageMap(order.counterCount)
Object.assign(globalThis, { [COUNTERS_NAME]: coverage.counters })

// Counters have to be there before anything that counts is loaded.
const { Campaign, cover } = await import('./campaign.ts')
const { targetNamed } = await import('./targets.ts')

const state = new Int32Array(order.shared, 0, 2)
const shared = new Uint8Array(order.shared, 8)
const target = targetNamed(order.targetName)
const plan = {
  target,
  coverage,
  seed: order.seed,
  dictionary: order.dictionary.map((word) => Buffer.from(word)),
  corpus: order.corpus.map((input) => Buffer.from(input)),
  onInput: (input: Buffer): void => {
    shared.set(input.length > shared.length ? input.subarray(0, shared.length) : input)
    state[1] = input.length
    Atomics.add(state, 0, 1)
  },
}
const campaign = new Campaign(plan)
const endMs = performance.now() + order.minutes * 60_000
const { runs, branches, findings } = await campaign.run(() => performance.now() >= endMs)
const answer: CampaignAnswer = {
  runs,
  branches,
  keptCount: campaign.kept.length,
  covering: cover(plan, campaign.kept),
  findings,
}
parentPort?.postMessage(answer)
