/**
 * `log.guarantees()`: what an open log keeps, by where it lies and how it is read.
 */
import { diskSyncMethod } from '../storage/disk-driver.ts'
import type { OpenedPlace } from './log-opening.ts'
import { MEMORY_READS } from './log-reads.ts'
import type { Guarantees } from './log-reports.ts'

/** Of a log that lies in `place`; null for one in memory. */
export function guaranteesOf(place: OpenedPlace | null): Guarantees {
  if (place === null) {
    return {
      acks: { 0: 'nothing', 1: 'nothing', all: 'nothing' },
      syncMethod: 'memory',
      fileSystem: 'memory',
      reads: MEMORY_READS.kind,
      readsReason: MEMORY_READS.reason,
      lock: 'none',
    }
  }
  const kept = place.fileSystem.isVolatile ? 'process-crash' : 'power-loss'
  return {
    acks: place.isReadOnly
      ? { 0: 'nothing', 1: 'nothing', all: 'nothing' }
      : { 0: 'nothing', 1: 'process-crash', all: kept },
    syncMethod: place.directory === null ? 'memory' : diskSyncMethod(),
    fileSystem: place.fileSystem.name,
    reads: place.reads.kind,
    readsReason: place.reads.reason,
    lock: place.lock?.kind ?? 'none',
  }
}
