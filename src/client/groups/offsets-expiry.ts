/**
 * OffsetsExpiry: lets the positions of groups expire that did nothing for as long as the log was
 * told, while it was open. Where it was not told, nothing ever does.
 */
import type { Clock } from '../../log/clock.ts'
import type { CommittedOffsets } from '../../log/committed-offsets.ts'
import { housekeepingFailed, type Warn } from '../log-warnings.ts'

/** Where the clock's timers end: longer ones would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff

/** The open log, as far as positions expire in it. */
export interface ExpiringHost {
  readonly clock: Clock
  readonly offsets: CommittedOffsets
  readonly warn: Warn
  /** Who is in the groups. */
  readonly groups: { activity(groupId: string): unknown }
  onClosing(listener: () => void): () => void
}

/** When positions expire. */
export interface ExpiryTimes {
  /** -1: never. */
  readonly offsetsRetentionMs: number
  /** How often it is looked; null: not by itself. */
  readonly housekeepingIntervalMs: number | null
}

/** Looks for positions to expire, again and again until the log closes. */
export function keepExpiring(host: ExpiringHost, times: ExpiryTimes): void {
  const { offsetsRetentionMs: idleMs, housekeepingIntervalMs } = times
  if (idleMs < 0 || housekeepingIntervalMs === null) return
  const intervalMs = Math.min(housekeepingIntervalMs, MAX_TIMER_MS)
  const expire = (): void => {
    timer = host.clock.setTimeout(expire, intervalMs)
    try {
      host.offsets.expire(idleMs, (groupId) => host.groups.activity(groupId) !== undefined)
    } catch (cause) {
      host.warn(housekeepingFailed(cause))
    }
  }
  let timer = host.clock.setTimeout(expire, intervalMs)
  host.onClosing(() => host.clock.clearTimeout(timer))
}
