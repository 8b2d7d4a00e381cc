/**
 * SendQueue: the one queue of a producer. What may go to its batch goes at once; what has to wait,
 * for room or for an asynchronous schema, holds back everything that was sent after it.
 *
 *   I1  records reach the batcher in the order of `send`, `sendAll` and `enqueue`
 *   I2  the batcher holds at most bufferBytes of records, but for what is enqueued, which is always
 *       taken and says by its result when that is too much
 *   I3  a record that waits is a copy: the user's bytes may change
 *   I4  an error that nobody was told is told once, by the next flush, drained or close
 * While anything is on its way the process is held, where the log asks for that.
 */
import { LogError } from '../errors/log-error.ts'
import { maxRecordBytes, recordBytes, unitCount } from '../format/record.ts'
import { BATCH_HEADER_BYTES } from '../format/record-batch.ts'
import { holdProcess, type Clock } from '../log/clock.ts'
import type { PartitionLog } from '../log/partition-log.ts'
import { Batcher } from './batcher.ts'
import type { PartitionLane } from './partition-lane.ts'
import { checkPartition, partitionerFor, type PartitionerInstance } from './partitioner.ts'
import type { ProducerHost, ProducerTopic } from './producer.ts'
import type { ProducerSettings } from './producer-options.ts'
import { UNPLACED, type PreparedRecord } from './record-input.ts'
import type { FailedRecord, PendingSend, SendAllResult } from './send-result.ts'
