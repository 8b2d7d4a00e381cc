/** A log with one partition, written by one process and read by another one of the same machine. */
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { openLog, partitionOf } from '../open-log.ts'

/** Settings of a topic that rolls soon. */
export const SMALL = { segmentBytes: 4_096, indexIntervalBytes: 256, fileDeleteDelayMs: 0 } as const

/** A log and who writes it. */
export interface Written {
  readonly driver: FaultDriver
  readonly log: LogDirectory
  readonly partition: PartitionLog
}

/** `t-0`, open for writing. */
export async function written(): Promise<Written> {
  const driver = new FaultDriver()
  const { log } = await openLog(driver)
  await runProcedure(log.createTopic('t', SMALL))
  return { driver, log, partition: partitionOf(log, 't') }
}

/** A process that only reads what the writer of `driver` has. */
export function elsewhere(driver: FaultDriver): FaultDriver {
  return new FaultDriver(driver.machine)
}

/** Changes a byte of the active segment's file. */
export function spoil(driver: StorageDriver, partition: PartitionLog, where: number): void {
  const { logPath, sizeBytes } = partition.segments.active
  const file = driver.openFile(logPath, 'write')
  const position = Math.floor(sizeBytes * where)
  const byte = Buffer.alloc(1)
  file.read(byte, 0, 1, position)
  file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, position)
  file.close()
}
