/**
 * What happens to a process while something is timed: how often and how long V8 stops it to collect
 * garbage, and how much memory it comes to hold. Looked at by all measurements, because it costs
 * them nothing: V8 tells of a collection when it is over, the kernel keeps the peak.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { PerformanceObserver, performance } from 'node:perf_hooks'
import { turn } from './turn.ts'
import type { GarbageCollection, Memory } from './question.ts'

const NS_PER_MS = 1e6
const BYTES_PER_KIB = 1_024
/** What `clear_refs` takes for: forget the peak, from now on. */
const FORGET_PEAK = '5'

/** What came of it. */
export interface Watched {
  readonly gc: GarbageCollection
  readonly memory: Memory
}

/** Starts to look; what it returns is called when the clock has stopped. */
export function watchProcess(): () => Promise<Watched> {
  const pauses: { readonly startTime: number; readonly duration: number }[] = []
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) pauses.push(entry)
  })
  observer.observe({ entryTypes: ['gc'] })
  const peakOf = watchPeak()
  const before = process.memoryUsage.rss()
  const startedMs = performance.now()
  return async () => {
    const endedMs = performance.now()
    const peakRssBytes = Math.max(peakOf(), process.memoryUsage.rss())
    // Entries are handed over with the turns of the event loop that follow.
    for (let turns = 0; turns < 3; turns += 1) await turn()
    pauses.push(...observer.takeRecords())
    observer.disconnect()
    const during = pauses
      .filter(({ startTime }) => startTime >= startedMs && startTime < endedMs)
      .map(({ duration }) => Math.round(duration * NS_PER_MS))
    return {
      gc: {
        pauseNs: during.reduce((sum, ns) => sum + ns, 0),
        count: during.length,
        longestNs: during.reduce((longest, ns) => Math.max(longest, ns), 0),
      },
      memory: { peakRssBytes, grownBytes: Math.max(0, peakRssBytes - before) },
    }
  }
}

/** The peak of resident memory since this call; 0 where that is not known. */
function watchPeak(): () => number {
  try {
    writeFileSync('/proc/self/clear_refs', FORGET_PEAK)
    return () => {
      const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))
      return Number(line?.[1]) * BYTES_PER_KIB
    }
  } catch {
    const before = process.resourceUsage().maxRSS
    return () => {
      const peak = process.resourceUsage().maxRSS
      return peak > before ? peak * BYTES_PER_KIB : 0
    }
  }
}
