/**
 * What is known of producers over random histories of batches, transactions, aborts, rolls,
 * checkpoints, closes, kills and power cuts: after each open it is what appending had made of it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { StoredPartition } from './stored-producers.ts'

type Step =
  | { readonly kind: 'send' | 'join'; readonly producerId: number; readonly records: number }
  | { readonly kind: 'commit' | 'abort'; readonly producerId: number }
  | { readonly kind: 'plain'; readonly bytes: number }
  | { readonly kind: 'checkpoint' | 'sync' | 'sync soon' | 'checkpoint soon' | 'close' | 'kill' }
  /** What was begun goes on for a while. */
  | { readonly kind: 'wait'; readonly ticks: number }
  | { readonly kind: 'power cut'; readonly seed: number }

const IDLE = [1, 2, 3]
const TRANSACTIONAL = [11, 12, 13]
const idle = fc.constantFrom(...IDLE)
const transactional = fc.constantFrom(...TRANSACTIONAL)
const records = fc.integer({ min: 1, max: 40 })

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('send' as const), producerId: idle, records }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      producerId: transactional,
      records,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('commit' as const, 'abort' as const),
      producerId: transactional,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('plain' as const),
      bytes: fc.integer({ min: 1, max: 2_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'checkpoint' as const,
        'checkpoint soon' as const,
        'sync' as const,
        'sync soon' as const,
        'close' as const,
        'kill' as const,
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      ticks: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('power cut' as const),
      seed: fc.integer({ min: 0, max: 2 ** 31 }),
    }),
  },
)

async function play(partition: StoredPartition, one: Step): Promise<void> {
  const { log } = partition
  switch (one.kind) {
    case 'send':
      partition.append({ producerId: one.producerId }, one.records)
      return
    case 'join':
      partition.append({ producerId: one.producerId, transactional: true }, one.records)
      return
    case 'commit':
    case 'abort':
      partition.end(one.producerId, one.kind)
      return
    case 'plain':
      partition.append({ producerId: -1 }, 1, one.bytes)
      return
    case 'checkpoint':
      await partition.checkpoint()
      return
    case 'checkpoint soon':
      log.syncForCheckpoint().catch(() => undefined)
      return
    case 'sync':
      await log.makeDurable(log.logEndOffset)
      return
    case 'sync soon':
      log.makeDurable(log.logEndOffset).catch(() => undefined)
      return
    case 'close':
      for (const { producerId } of log.producers.open()) partition.end(producerId, 'abort')
      await partition.reopen()
      return
    case 'wait':
      for (let tick = 0; tick < one.ticks; tick++) await Promise.resolve()
      return
    case 'kill':
      await partition.crash()
      return
    case 'power cut':
      await partition.crash(new SeededRandom(one.seed))
  }
}

describe('what is known of producers', () => {
  it('is what appending made of it, whatever ended the process', { timeout: 60_000 }, async () => {
    const histories = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' })
    await fc.assert(
      fc.asyncProperty(histories, async (steps) => {
        const partition = await StoredPartition.create()
        for (const one of steps) {
          await play(partition, one)
          if (one.kind !== 'kill' && one.kind !== 'close' && one.kind !== 'power cut') continue
          expect(partition.known()).toEqual(partition.expected())
        }
        await partition.crash()
        expect(partition.known()).toEqual(partition.expected())
        // The last batch of each producer is recognised when it comes again.
        const last = new Map(partition.batches.map((batch) => [batch.producer.producerId, batch]))
        for (const { offset, producer, recordCount } of last.values()) {
          const open = partition.log.producers.openTransactionOf(producer.producerId)
          if (producer.transactional && open === undefined) continue
          const again = partition.send(producer, recordCount)
          expect(again).toMatchObject({ baseOffset: offset, isDuplicate: true })
        }
      }),
    )
  })
})
