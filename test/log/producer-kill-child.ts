/**
 * A process that appends batches of one producer until it is killed, and says how far it came. Each
 * is one record, so a sequence is an offset: whatever else it finds when it opens is said as well.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { nextTurn, systemClock } from '../../src/log/clock.ts'
import { openLogDirectory } from '../../src/log/directory-open.ts'
import type { AppendedBatch } from '../../src/log/encoded-batch.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { runProcedure } from '../../src/storage/procedure.ts'

const PRODUCER_ID = 7
const BATCHES_A_TURN = 100
const [, , directory = ''] = process.argv

function send(log: PartitionLog, baseSequence: number): AppendedBatch {
  const builder = new RecordBatchBuilder()
  builder.begin(Buffer.alloc(256), 0)
  builder.add(1_000, null, `${baseSequence}`, null)
  const producer = { producerId: PRODUCER_ID, producerEpoch: 0, baseSequence, transactional: false }
  builder.finish('none', producer)
  return log.append(builder)
}

const { log } = await runProcedure(
  openLogDirectory({
    driver: openDiskDriver(directory),
    bootId: 'boot',
    clock: systemClock,
    randomBytes: (byteLength) => randomBytes(byteLength),
    producerIdExpirationMs: -1,
    onPartitionFailed: () => undefined,
    onRolled: () => undefined,
  }),
)
if (log.topic('t') === undefined) {
  await runProcedure(log.createTopic('t', { segmentBytes: 65_536 }))
}
const partition = log.topic('t')?.partitions[0]
assert(partition !== undefined)
const found = partition.logEndOffset
assert.equal(partition.nextSequence(PRODUCER_ID, 0), found)
if (found > 0) {
  const again = send(partition, found - 1)
  assert.deepEqual([again.isDuplicate, again.baseOffset], [true, found - 1])
}
for (let turn = 0; ; turn++) {
  for (let done = 0; done < BATCHES_A_TURN; done++) send(partition, partition.logEndOffset)
  writeSync(1, `${partition.logEndOffset}\n`)
  if (turn % 7 === 3) log.syncForCheckpoint().catch(() => undefined)
  if (turn % 13 === 5) await runProcedure(log.checkpoint())
  await nextTurn()
}
