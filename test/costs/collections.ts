/**
 * Collections: when V8 collected garbage in this process. What it took away was allocated before,
 * so that memory in use says nothing about a stretch of time that one fell into.
 */
import { PerformanceObserver } from 'node:perf_hooks'

/** Of `performance.now()`. */
export interface Stretch {
  readonly startMs: number
  readonly endMs: number
}

/** See the file's header. From when it is made. */
export class Collections {
  readonly #atMs: number[] = []
  readonly #observer: PerformanceObserver

  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#note(list.getEntries()))
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  fellInto({ startMs, endMs }: Stretch): boolean {
    this.#note(this.#observer.takeRecords())
    return this.#atMs.some((atMs) => atMs >= startMs && atMs <= endMs)
  }

  #note(entries: readonly { readonly startTime: number }[]): void {
    for (const { startTime } of entries) this.#atMs.push(startTime)
  }
}
