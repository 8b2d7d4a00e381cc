/**
 * What a partition knows of producers after any history, against a model that keeps everything, and
 * against what replaying the same batches, or loading a snapshot, makes of them.
 */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ProducerStates } from '../../src/log/producer-states.ts'
import { Appender, codeOf, markerOf } from './producer-appender.ts'
import { ProducerModel, type WantedBatch } from './producer-model.ts'

const PARTITION = { topic: 'orders', partition: 3 }
const LAST_SEQUENCE = 2 ** 31 - 1

describe('any history', () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('batch' as const),
        producerId: fc.integer({ min: 0, max: 2 }),
        epochsOn: fc.constantFrom(0, 0, 0, 0, 0, 1, -1),
        /** Back from the sequence that is next; 0 is right. */
        back: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 8, -1),
        count: fc.integer({ min: 1, max: 3 }),
        transactional: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('marker' as const),
        producerId: fc.integer({ min: 0, max: 2 }),
        epochsOn: fc.constantFrom(0, 0, 0, 1),
        outcome: fc.constantFrom('commit' as const, 'abort' as const),
      }),
    },
  )

  test('gets the answers of a model that keeps everything, and a replay ends up the same', () => {
    const first = fc.constantFrom(0, 5, LAST_SEQUENCE - 6, LAST_SEQUENCE)
    fc.assert(
      fc.property(first, fc.array(step, { maxLength: 60 }), (firstSequence, steps) => {
        const appender = new Appender()
        const model = new ProducerModel()
        for (const one of steps) {
          const { producerId } = one
          const current = model.currentEpoch(producerId)
          const epoch = Math.max(0, current + one.epochsOn)
          if (one.kind === 'marker') {
            appender.end(markerOf(producerId, one.outcome, epoch))
            model.appendMarker(producerId, epoch)
          } else {
            const next = current < 0 ? firstSequence : model.nextSequence(producerId, epoch)
            const sequence = (next - one.back + 2 ** 31) % 2 ** 31
            const { count, transactional } = one
            expectSame(appender, model, { producerId, epoch, sequence, count, transactional })
          }
        }
        compareStates(appender, model)
      }),
      { numRuns: 300 },
    )
  })

  function expectSame(appender: Appender, model: ProducerModel, batch: WantedBatch): void {
    const expected = model.verdictOn(batch)
    expect(verdictOf(appender, batch)).toBe(expected)
    if (expected === null) model.append(batch)
  }

  function verdictOf(appender: Appender, batch: WantedBatch): string | number | null {
    const end = appender.logEndOffset
    let offset = -1
    const code = codeOf(() => (offset = appender.append(batch)))
    if (code !== undefined) return code
    return offset === end ? null : offset
  }

  function compareStates({ live, replayed }: Appender, model: ProducerModel): void {
    expect(live.open().map((one) => one.firstOffset)).toEqual(model.openOffsets)
    expect(live.firstUnstableOffset).toBe(model.openOffsets[0] ?? Infinity)
    for (const id of model.producerIds) {
      const epoch = model.currentEpoch(id)
      expect(live.nextSequence(id, epoch)).toBe(model.nextSequence(id, epoch))
    }
    expect(replayed.entries()).toEqual(live.entries())
    expect(replayed.open()).toEqual(live.open())
    expect(replayed.changeCount).toBe(live.changeCount)
    const loaded = new ProducerStates(PARTITION)
    loaded.load(live.entries())
    expect(loaded.entries()).toEqual(live.entries())
    expect(loaded.open()).toEqual(live.open())
    expect(loaded.firstUnstableOffset).toBe(live.firstUnstableOffset)
  }
})
