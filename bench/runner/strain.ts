/**
 * Strain: what work in the background costs a process besides its time: how long it holds the event
 * loop at a stretch, and memory beyond what the process had before.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Measurement } from './question.ts'
import { timed } from './stopwatch.ts'
import { turn } from './turn.ts'

const RESOLUTION_MS = 1
const NS_PER_MS = 1e6

/** Times `work` as `timed` does, and what it does to everybody else in the process. */
export async function strained(
  recordCount: number,
  byteCount: number,
  work: () => Promise<unknown>,
): Promise<Measurement> {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  await turn()
  const measurement = await timed(recordCount, byteCount, async () => {
    await work()
  })
  // The last stretch counts too: its timer comes in the turn after this one.
  for (let turns = 0; turns < 3; turns += 1) await turn()
  delays.disable()
  // It measures from one tick of its timer to the next.
  const delayOf = (ns: number): number => Math.max(0, ns - RESOLUTION_MS * NS_PER_MS)
  return {
    ...measurement,
    strain: {
      delayP99Ns: delayOf(delays.percentile(99)),
      delayMaxNs: delayOf(delays.max),
      addedBytes: measurement.memory.grownBytes,
    },
  }
}
