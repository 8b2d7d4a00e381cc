/**
 * What stands in a producer's queue: a record that waits for room or for its schema, and the mark
 * that a flush leaves behind the records before it.
 *
 *   held (a schema thinks) -> ready (it has a partition) -> in its batch
 *                          -> refused: the queue passes over it
 */
import type { PartitionLog } from '../log/partition-log.ts'
import type { ProducerTopic } from './producer.ts'
import type { PreparedRecord } from './record-input.ts'
import type { PendingSend } from './send-result.ts'

/** A record that waits. */
export class WaitingRecord {
  readonly topic: ProducerTopic
  readonly record: PreparedRecord
  /** Null for what was enqueued. */
  readonly send: PendingSend | null
  /** Where it goes; null until it was placed. */
  log: PartitionLog | null = null
  /** What it counts while it waits. */
  bytes = 0
  stage: 'held' | 'ready' | 'refused' = 'held'

  constructor(topic: ProducerTopic, record: PreparedRecord, send: PendingSend | null) {
    this.topic = topic
    this.record = record
    this.send = send
  }

  /** Makes the record independent of what the user does from now on. */
  keep(): void {
    this.record.keepBytes()
    if (this.stage !== 'ready') return // A partitioner may still ask for the inputs.
    this.record.keyInput = null
    this.record.valueInput = null
  }

  /** It will not be sent, and lets go of its bytes. */
  refuse(): void {
    this.stage = 'refused'
    this.bytes = 0
    this.record.clear()
  }
}

/** Where a flush stands in the queue. */
export class FlushMark {
  readonly done: () => void

  constructor(done: () => void) {
    this.done = done
  }
}
