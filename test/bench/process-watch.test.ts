/**
 * What is looked at while the clock runs: garbage, memory, quantiles.
 */
import { describe, expect, it } from 'vitest'
import { latencyOf } from '../../bench/runner/latency.ts'
import { timed } from '../../bench/runner/stopwatch.ts'

/** Some that outlive a minor collection, and many that do not. */
function litter(): number {
  const kept: object[] = []
  for (let made = 0; made < 1_000_000; made += 1) {
    const one = { made, other: { made } }
    if (made % 100 === 0) kept.push(one)
  }
  return kept.length
}

describe('a measurement', () => {
  it('counts the pauses of the garbage collector while the clock runs alone', async () => {
    litter()
    const quiet = await timed(1, 0, () => undefined)
    expect(quiet.gc).toEqual({ pauseNs: 0, count: 0, longestNs: 0 })
    const littered = await timed(1, 0, () => {
      litter()
    })
    expect(littered.gc.count).toBeGreaterThan(0)
    expect(littered.gc.pauseNs).toBeGreaterThanOrEqual(littered.gc.longestNs)
    expect(littered.gc.pauseNs).toBeLessThan(littered.wallNs)
  })

  it('sees memory that was held for a while', async () => {
    const { memory } = await timed(1, 0, () => {
      Buffer.alloc(256 * 1_048_576, 1)
    })
    expect(memory.grownBytes).toBeGreaterThan(64 * 1_048_576)
    expect(memory.peakRssBytes).toBeGreaterThan(memory.grownBytes)
  })
})

describe('latency', () => {
  it('is given by quantiles of what was timed', () => {
    const samples = Float64Array.from({ length: 1_000 }, (_, index) => 1_000 - index)
    expect(latencyOf(samples)).toEqual({ p50Ns: 501, p99Ns: 991, p999Ns: 1_000, maxNs: 1_000 })
    expect(latencyOf(Float64Array.of(9, 7, 1_000), 2)).toMatchObject({ p50Ns: 9, maxNs: 9 })
  })
})
