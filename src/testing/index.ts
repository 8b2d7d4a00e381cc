/**
 * streambed/testing: logs for tests. The entry: names and types, nothing computed.
 */
export { manualClock } from './manual-clock.ts'
export type { ManualClock } from './manual-clock.ts'
export { testLog } from './test-log.ts'
export type { Faults, TestLog, TestLogOptions } from './test-log.ts'
export { expectRecords, recordsOf } from './record-expectations.ts'
export type { Plain, PlainRecord, RecordExpectations } from './record-expectations.ts'
export { FaultDisk } from './fault-disk.ts'
export type { FaultDiskOptions } from './fault-disk.ts'
export { DiskFaults } from './disk-faults.ts'
export type {
  DiskAction,
  DiskCall,
  DiskFault,
  FaultKind,
  FaultRates,
  FaultRule,
} from './disk-faults.ts'
export type { CrashOptions, FlippedBit, HeldCall, NotedCall } from './disk-machine.ts'
export type { CrashReport } from './disk-tree.ts'
export type { Survival, TearBytes } from './survival.ts'
