/**
 * One partition for tests of transactions: opened over a disk that can fail, with short ways to
 * append what producers and the coordinator do.
 */
import { LogError } from '../../src/errors/log-error.ts'
import type { TransactionMarker } from '../../src/log/encoded-batch.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskCall, DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { numberedBatch, type NumberedBatch } from './numbered-batches.ts'
import { openLog, partitionOf } from './open-log.ts'

/** See `open`. */
export interface Opened {
  readonly driver: FaultDriver
  readonly log: LogDirectory
  readonly clock: FakeClock
  readonly partition: PartitionLog
}

/** A log with the topic `t` of one partition. */
export async function open(
  config: TopicConfig = {},
  driver: FaultDriver = new FaultDriver(),
): Promise<Opened> {
  const clock = new FakeClock()
  const { log } = await openLog(driver, { clock })
  await runProcedure(log.createTopic('t', config))
  return { driver, log, clock, partition: partitionOf(log, 't') }
}

/** A transactional batch of one record. */
export function tx(producerId: number, sequence: number, epoch: number = 0): NumberedBatch {
  return { producerId, sequence, epoch, transactional: true }
}

/** Appends a batch; where it lies. */
export function append(partition: PartitionLog, batch: NumberedBatch): number {
  return partition.append(numberedBatch(batch)).baseOffset
}

/** Appends a marker; its offset. */
export function end(
  partition: PartitionLog,
  outcome: 'commit' | 'abort',
  producerId: number,
  isReserved: boolean = false,
): number {
  return partition.appendMarker(markerOf(outcome, producerId, isReserved))
}

function markerOf(
  outcome: 'commit' | 'abort',
  producerId: number,
  isReserved: boolean = false,
): TransactionMarker {
  return { producerId, producerEpoch: 0, outcome, coordinatorEpoch: 0, isReserved }
}

/** The error of what `run` throws; undefined where it succeeds. */
export function errorOf(run: () => unknown): LogError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (LogError.is(error)) return error
    throw error
  }
}

/** From now on the calls that are hit meet `fault`. */
export function fail(
  driver: FaultDriver,
  fault: DiskFault | undefined,
  isHit: (call: DiskCall) => boolean,
): void {
  driver.onCall = (call) => (isHit(call) ? fault : undefined)
}
