/**
 * Stopwatch: time and CPU of one stretch of work in this process. CPU is that of all threads: work
 * that a peer or libuv does elsewhere is not free.
 */
import type { Measurement } from './question.ts'

/** Measures `work`, which handles `recordCount` records of `byteCount` bytes. */
export async function timed(
  recordCount: number,
  byteCount: number,
  work: () => void | Promise<void>,
): Promise<Measurement> {
  const cpu = process.cpuUsage()
  const started = process.hrtime.bigint()
  const pending = work()
  if (pending !== undefined) await pending // Synchronous work is not stopped a turn late.
  const wallNs = Number(process.hrtime.bigint() - started)
  const { user, system } = process.cpuUsage(cpu)
  return { recordCount, byteCount, wallNs, userNs: user * 1_000, systemNs: system * 1_000 }
}

/** Resolves with the next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
