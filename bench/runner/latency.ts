/**
 * Latency: what is said of many times that single operations took. Samples go into a typed array
 * that was made before the clock started: a list that grows is work of its own.
 */
import type { Latency } from './question.ts'

/** Quantiles of `samplesNs`, which are nanoseconds in any order; those beyond `count` are not. */
export function latencyOf(samplesNs: Float64Array, count: number = samplesNs.length): Latency {
  const sorted = samplesNs.slice(0, count).toSorted()
  const at = (quantile: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? NaN
  return { p50Ns: at(0.5), p99Ns: at(0.99), p999Ns: at(0.999), maxNs: at(1) }
}
