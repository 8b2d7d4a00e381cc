/**
 * Warnings: what a log noticed by itself goes to `onWarning`, or to the process where nobody asked,
 * and to the diagnostics channel `streambed:warning`. Never onto the console.
 */
import { channel } from 'node:diagnostics_channel'
import { unreachable } from '../errors/invariant.ts'
import type { LogError } from '../errors/log-error.ts'
import { afterTurn } from '../log/clock.ts'
import { type Damage, fileDamage } from '../log/damage.ts'
import type { OpenReport } from '../log/directory-open.ts'
import type { HousekeepingEvent } from '../log/housekeeping.ts'
import type { ReadablePartition } from '../log/readable-partition.ts'
import type { RetentionEvent } from '../log/retention-run.ts'
import type { LogWarning } from './log-options.ts'

const warnings = channel('streambed:warning')

/** Where warnings of one log go. */
export type Warn = (warning: LogWarning) => void

/**
 * Sends each warning to the channel and to `onWarning`. What that throws is uncaught, as in any
 * listener: it must not get into the engine, which warns in the middle of its work.
 */
export function warnTo(onWarning: ((warning: LogWarning) => void) | undefined): Warn {
  return (warning) => {
    if (warnings.hasSubscribers) warnings.publish(warning)
    if (onWarning === undefined) {
      process.emitWarning(warning.message, { type: 'StreambedWarning', code: warning.code })
      return
    }
    try {
      onWarning(warning)
    } catch (error) {
      afterTurn(() => {
        throw error
      })
    }
  }
}

/** Says what opening found that somebody should look at. */
export function warnOfRecovery(warn: Warn, report: OpenReport): void {
  for (const topic of report.adopted) {
    warn({
      code: 'RECOVERED',
      details: { topic },
      message: `topic ${topic} was in no metadata and has been taken in from its folders; nothing of it is deleted or compacted until alterConfig names a policy`,
    })
  }
  for (const file of report.unusable) {
    const damage = [fileDamage(file, 0, 'it cannot be read')]
    warn({
      code: 'DAMAGE',
      details: { topic: '', partition: -1, damage },
      message: `${file} cannot be read, or is not what was written: the log did without it, and writes it anew`,
    })
  }
  for (const { topic, partition, damage } of report.partitions) {
    if (damage.length === 0) continue
    const [first] = damage
    warn({
      code: 'DAMAGE',
      details: { topic, partition, damage },
      message: `${topic}-${partition}: data that was on stable storage is damaged or missing, first in ${first?.file} at position ${first?.position}; the rest stays readable (log.recovery says what is gone)`,
    })
  }
}

/** A sync failed: the partition is read-only. */
export function partitionReadOnly(partition: ReadablePartition, error: LogError): LogWarning {
  const { topic, partition: index, durableOffset, logEndOffset } = partition
  return {
    code: 'PARTITION_READ_ONLY',
    message: error.message,
    cause: error,
    details: { topic, partition: index, durableOffset, logEndOffset },
  }
}

/** A read passed over damage, as it was told to. */
export function damageSkipped(error: LogError<'CORRUPT'>, resumesAt: number): LogWarning {
  return {
    code: 'DAMAGE',
    message: error.message,
    cause: error,
    details: { ...error.details, resumesAt },
  }
}

/** A topic is compacted from now on, and holds records without a key: so many, or more. */
export function keylessKept(
  topic: string,
  keylessRecords: number,
  failure: LogError | null,
): LogWarning {
  const count = failure === null ? keylessRecords : `at least ${keylessRecords}`
  const why = failure === null ? '' : ` (they could not all be counted: ${failure.message})`
  return {
    code: 'CONFIG_CHANGED',
    message: `topic ${topic} is compacted from now on; its records without a key are kept, since no later record takes their place: ${count}${why}`,
    details: { topic, keylessRecords },
    ...(failure !== null && { cause: failure }),
  }
}

/** A table cannot follow its topic any more. */
export function tableEnded(topic: string, cause: unknown): LogWarning {
  return {
    code: 'DAMAGE',
    message: `a table of ${topic} has ended, since its topic cannot be read further: ${String(cause)}`,
    details: { topic },
    cause,
  }
}

/** A scrub found damage in a partition, or in a file of the log's own directory. */
export function damageFoundByScrub(first: Damage, damage: readonly Damage[]): LogWarning {
  const { topic, partition, file, position, reason } = first
  const where = topic === '' ? 'the log' : `${topic}-${partition}`
  return {
    code: 'DAMAGE',
    details: { topic, partition, damage },
    message: `${where}: ${file} is not what was written, first at position ${position} (${reason}); close the log and run EventLog.repair on it`,
  }
}

/** What a run of housekeeping noticed. */
export function housekeepingNoticed(event: HousekeepingEvent): LogWarning {
  switch (event.kind) {
    case 'failed': {
      const { task, cause } = event
      const message = `${task} failed and will be tried again: ${cause.message}`
      return { code: 'HOUSEKEEPING_FAILED', message, details: { task }, cause }
    }
    case 'retention-blocked':
    case 'unconsumed-deleted':
      return retentionNoticed(event)
    case 'clock-jumped':
      return {
        code: 'CLOCK_JUMPED',
        message: `the clock went ahead of time by ${event.byMs} ms: nothing was deleted or compacted by its age in this run of housekeeping; the next one takes the clock as it is`,
        details: { byMs: event.byMs },
      }
  }
  return unreachable(event)
}

function retentionNoticed({ kind, partition, groups, bytes }: RetentionEvent): LogWarning {
  const { topic, partition: index } = partition
  const details = { topic, partition: index, groups, bytes }
  const names = groups.join(', ')
  if (kind === 'retention-blocked') {
    return {
      code: 'RETENTION_BLOCKED',
      message: `${topic}-${index}: ${bytes} bytes that retention would delete are kept until ${names} has consumed them (retainUntilConsumed); retainUntilConsumedMaxBytes bounds that`,
      details,
    }
  }
  return {
    code: 'UNCONSUMED_DELETED',
    message: `${topic}-${index}: ${bytes} bytes were deleted before ${names} had consumed them, as retainUntilConsumedMaxBytes says`,
    details,
  }
}

/** What happens by itself failed. */
export function housekeepingFailed(cause: unknown): LogWarning {
  const message = `housekeeping failed and will be tried again: ${String(cause)}`
  return { code: 'HOUSEKEEPING_FAILED', message, details: {}, cause }
}

/** What was asked for is not there; the log does without. */
export function fellBackToReads(reason: string): LogWarning {
  return {
    code: 'FALLBACK',
    message: `io: 'mmap' is not to be had, positioned reads are used instead: ${reason}`,
    details: { io: 'mmap', reason },
  }
}

/** The position of a group is not in the log any more; it goes on where its policy says. */
export function offsetReset(
  { topic, partition, logStartOffset, logEndOffset }: ReadablePartition,
  group: string,
  { from, to }: { readonly from: number; readonly to: number },
): LogWarning {
  return {
    code: 'OFFSET_RESET',
    message: `group ${group}: offset ${from} of ${topic}-${partition} is not in the log (${logStartOffset} to ${logEndOffset}); it goes on at ${to}, as autoOffsetReset says`,
    details: { group, topic, partition, from, to },
  }
}
