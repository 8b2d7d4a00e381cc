/**
 * Records of the topic of committed offsets as only a broker writes them: older and newer versions,
 * transactions with their markers, keys of other kinds.
 */
import type { Codec } from '../../src/format/compression.ts'
import { encodeOffsetKey } from '../../src/format/offset-commit.ts'
import { RecordBatchBuilder, type BatchProducer } from '../../src/format/record-batch-builder.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'

const TIMESTAMP = 1_000

/** A group, a partition of `orders` and the value of its position; or a key that is none. */
export type OffsetRecord = readonly [string, number, Buffer | null] | Buffer

/** A value of `version` that says `offset`, in an unknown epoch unless told. */
export function brokerValue(offset: number, version: number = 3, leaderEpoch: number = -1): Buffer {
  const head = Buffer.alloc(version >= 3 ? 14 : 10)
  head.writeInt16BE(version, 0)
  head.writeBigInt64BE(BigInt(offset), 2)
  if (version >= 3) head.writeInt32BE(leaderEpoch, 10)
  const metadata = version === 4 ? '01' : '0000'
  const time = `00000000000003e8${version === 1 ? 'ffffffffffffffff' : ''}`
  const tags = version === 4 ? '00' : ''
  return Buffer.concat([head, Buffer.from(`${metadata}${time}${tags}`, 'hex')])
}

/** Who a transaction is of. */
export interface BrokerTransaction {
  readonly producerId: number
  readonly producerEpoch?: number
}

/** Appends a batch of `records`, or the marker that ends a transaction. */
export function appendOffsets(
  log: PartitionLog,
  records: readonly OffsetRecord[] | 'commit' | 'abort',
  codec: Codec = 'none',
  transaction?: BrokerTransaction,
): void {
  const { producerId = -1, producerEpoch = 0 } = transaction ?? {}
  if (typeof records === 'string') {
    log.appendMarker({ producerId, producerEpoch, outcome: records, coordinatorEpoch: 0 })
    return
  }
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(64), 0)
  for (const record of records) {
    if (Buffer.isBuffer(record)) builder.add(TIMESTAMP, record, Buffer.alloc(4), null)
    else builder.add(TIMESTAMP, encodeOffsetKey(record[0], 'orders', record[1]), record[2], null)
  }
  if (transaction === undefined) builder.finish(codec)
  else builder.finish(codec, nextInTransaction(log, { producerId, producerEpoch }))
  log.append(builder)
}

/** What the next batch of that transaction in `log` is finished with. */
export function nextInTransaction(
  log: PartitionLog,
  { producerId, producerEpoch = 0 }: BrokerTransaction,
): BatchProducer {
  const baseSequence = log.nextSequence(producerId, producerEpoch)
  return { producerId, producerEpoch, baseSequence, transactional: true }
}
