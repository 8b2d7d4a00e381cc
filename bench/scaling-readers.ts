/**
 * What do readers in the writer's own process cost, when there are many? None to 1,000 of them,
 * all live. Those of other processes are in readers.ts.
 *
 *   elsewhere   they wait for records of another topic: a writer must not notice them
 *   here        they read what is appended: the time is that until the last of them has all of it,
 *               'ns a delivery' what one record to one reader takes
 */
import { loadStreambed } from './contestants/streambed.ts'
import { mustEqual } from './runner/dataset.ts'
import type { Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'
import { turn } from './runner/turn.ts'

const QUICK = [1, 10, 100]
const FULL = [1, 10, 100, 1_000]
const BATCH_RECORDS = 100
const BATCHES_A_TURN = 2
const VALUE: Buffer = Buffer.alloc(100, 1)
const BATCH: readonly { readonly value: Buffer }[] = Array.from({ length: BATCH_RECORDS }, () => ({
  value: VALUE,
}))

/** The question. */
export const scalingReaders: Question = {
  name: 'scaling-readers',
  asks: 'appends beside more and more live readers in the same process',
  answer: 'time',
  cases: ({ quick }) => {
    const elsewhereCount = quick ? 200_000 : 2_000_000
    const hereCount = quick ? 10_000 : 40_000
    return [
      {
        name: `${elsewhereCount} records, readers elsewhere`,
        contestants: [0, ...(quick ? QUICK : FULL)].map((readerCount, index) => ({
          name: `${readerCount} readers`,
          role: index === 0 ? 'limit' : 'ours',
          measure: (at) => appendsBeside(at, readerCount, elsewhereCount),
        })),
      },
      {
        name: `${hereCount} records to each`,
        contestants: (quick ? QUICK : FULL).map((readerCount, index) => ({
          name: `${readerCount} readers`,
          role: index === 0 ? 'limit' : 'ours',
          measure: (at) => delivers(at, readerCount, hereCount),
        })),
      },
    ]
  },
}

async function appendsBeside(
  directory: string,
  readerCount: number,
  recordCount: number,
): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const written = (await log.createTopic('written')).partition(0)
  const waitedFor = (await log.createTopic('waited-for')).partition(0)
  const readers = Array.from({ length: readerCount }, async () => {
    for await (const { offset } of waitedFor.read({ live: true })) {
      mustEqual(offset, 0, 'the only record')
      return 1
    }
    return 0
  })
  const append = async (): Promise<void> => {
    for (let batch = 0; batch < recordCount / BATCH_RECORDS; batch += 1) {
      written.append(BATCH)
      if (batch % BATCHES_A_TURN === 0) await turn()
    }
  }
  await append()
  const measurement = await timed(recordCount, recordCount * VALUE.length, append)
  mustEqual(
    written.scan(() => undefined),
    2 * recordCount,
    'records read back',
  )
  waitedFor.append({ value: VALUE })
  mustEqual(sumOf(await Promise.all(readers)), readerCount, 'readers that were still there')
  await log.close()
  return measurement
}

async function delivers(
  directory: string,
  readerCount: number,
  recordCount: number,
): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const partition = (await log.createTopic('bench')).partition(0)
  /** All readers until they have so many more records. */
  const streams = Array.from({ length: readerCount }, () => partition.read({ live: true }))
  const deliver = async (from: number): Promise<void> => {
    const readers = streams.map(async (stream) => {
      for (let expected = from; expected < from + recordCount; expected += 1) {
        const next = await stream.next()
        // Compared here, not by mustEqual: nothing else may cost anything for each of them.
        if (next.done === true || next.value.offset !== expected)
          throw new Error('another record was delivered')
      }
    })
    for (let batch = 0; batch < recordCount / BATCH_RECORDS; batch += 1) {
      partition.append(BATCH)
      if (batch % BATCHES_A_TURN === 0) await turn()
    }
    await Promise.all(readers)
  }
  await deliver(0)
  const measurement = await timed(recordCount, recordCount * VALUE.length, () =>
    deliver(recordCount),
  )
  await log.close()
  const deliveries = readerCount * recordCount
  return { ...measurement, also: { 'ns a delivery': measurement.wallNs / deliveries } }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0)
}
