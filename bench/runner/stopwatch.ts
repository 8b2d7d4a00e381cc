/**
 * Stopwatch: time and CPU of one stretch of work in this process. CPU is that of all threads: work
 * that a peer or libuv does elsewhere is not free. Garbage and memory are looked at too.
 */
import { watchProcess, type Watched } from './process-watch.ts'
import type { Measurement } from './question.ts'

/** Measures `work`, which handles `recordCount` records of `byteCount` bytes. */
export async function timed(
  recordCount: number,
  byteCount: number,
  work: () => void | Promise<void>,
): Promise<Measurement & Watched> {
  const watched = watchProcess()
  const cpu = process.cpuUsage()
  const started = process.hrtime.bigint()
  const pending = work()
  if (pending !== undefined) await pending // Synchronous work is not stopped a turn late.
  const wallNs = Number(process.hrtime.bigint() - started)
  const { user, system } = process.cpuUsage(cpu)
  const times = { wallNs, userNs: user * 1_000, systemNs: system * 1_000 }
  return { recordCount, byteCount, ...times, ...(await watched()) }
}
