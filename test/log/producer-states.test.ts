/**
 * What a partition knows of producers: Kafka's own answers as vectors, and each rule by itself.
 */
import { describe, expect, test } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { ProducerStates } from '../../src/log/producer-states.ts'
import producerState from '../vectors/producer-state.json' with { type: 'json' }
import { type NumberedBatch, numberedBatch, stored, storedMarker } from './numbered-batches.ts'
import { Appender, codeOf, markerOf } from './producer-appender.ts'

const PARTITION = { topic: 'orders', partition: 3 }
const LAST_SEQUENCE = 2 ** 31 - 1
const KAFKAS_NAMES: Readonly<Record<string, string>> = {
  OutOfOrderSequenceException: 'OUT_OF_ORDER_SEQUENCE',
  InvalidProducerEpochException: 'FENCED',
}

describe('a batch of a producer', () => {
  for (const { name, steps } of producerState.vectors) {
    test(`gets Kafka's answer: ${name}`, () => {
      const appender = new Appender()
      for (const { producerId, epoch, baseSequence: sequence, count, expect: answer } of steps) {
        const before = appender.logEndOffset
        const append = (): number => appender.append({ producerId, epoch, sequence, count })
        if (answer.result === 'error') {
          expect(codeOf(append)).toBe(KAFKAS_NAMES[answer.error ?? ''])
          expect(appender.logEndOffset).toBe(before)
          continue
        }
        expect(append()).toBe(answer.firstOffset)
        const appended = answer.result === 'append' ? count : 0
        expect(appender.logEndOffset).toBe(before + appended)
      }
    })
  }

  test('is told the timestamp of its original', () => {
    const states = new ProducerStates(PARTITION)
    const batch = numberedBatch({ producerId: 1, sequence: 0, count: 2 })
    states.appended(batch, { baseOffset: 40, lastOffset: 41, timestamp: 123 })
    expect(states.check(batch)).toEqual({ baseOffset: 40, lastOffset: 41, timestamp: 123 })
  })

  test('uses no sequence up before it is appended', () => {
    const states = new ProducerStates(PARTITION)
    const first = numberedBatch({ producerId: 1, sequence: 0 })
    expect(states.check(first)).toBeUndefined()
    expect(states.check(first)).toBeUndefined()
    expect(states.nextSequence(1, 0)).toBe(0)
    expect(states.knows(1)).toBe(false)
  })

  test('is refused with what came instead of what', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, epoch: 2, sequence: 0, count: 3 })
    const append = (epoch: number, sequence: number) => () =>
      appender.append({ producerId: 1, epoch, sequence })
    const place = { topic: 'orders', partition: 3, producerId: 1 }
    expect(append(2, 9)).toThrow(
      expect.objectContaining({
        details: { ...place, producerEpoch: 2, baseSequence: 9, expectedSequence: 3 },
      }),
    )
    expect(append(1, 3)).toThrow(
      expect.objectContaining({ details: { ...place, producerEpoch: 1, currentEpoch: 2 } }),
    )
  })

  test('that is no part of the open transaction of its producer is refused', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, transactional: true })
    expect(codeOf(() => appender.append({ producerId: 1, sequence: 1 }))).toBe('INVALID_ARGUMENT')
    const next: NumberedBatch = { producerId: 1, epoch: 1, sequence: 0, transactional: true }
    expect(codeOf(() => appender.append(next))).toBe('INVALID_ARGUMENT')
    appender.end(markerOf(1, 'commit'))
    expect(appender.append(next)).toBe(2)
  })
})

describe('sequences', () => {
  test('go on at 0 after 2^31 - 1, between batches and inside one', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: LAST_SEQUENCE })
    expect(appender.live.nextSequence(1, 0)).toBe(0)
    appender.append({ producerId: 2, sequence: LAST_SEQUENCE - 1, count: 5 })
    expect(appender.live.nextSequence(2, 0)).toBe(3)
  })

  test('start at 0 in an epoch that nobody has seen, and where nobody knows the producer', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, epoch: 4, sequence: 12 })
    expect(appender.live.nextSequence(1, 4)).toBe(13)
    expect(appender.live.nextSequence(1, 5)).toBe(0)
    expect(appender.live.nextSequence(2, 0)).toBe(0)
  })

  test('start at 0 behind a marker of a newer epoch', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, count: 3, transactional: true })
    appender.end(markerOf(1, 'abort', 1))
    expect(appender.live.nextSequence(1, 1)).toBe(0)
    expect(codeOf(() => appender.append({ producerId: 1, epoch: 1, sequence: 3 }))).toBe(
      'OUT_OF_ORDER_SEQUENCE',
    )
    expect(codeOf(() => appender.append({ producerId: 1, epoch: 0, sequence: 3 }))).toBe('FENCED')
  })

  test('go on behind a marker of the same epoch', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, count: 3, transactional: true })
    appender.end(markerOf(1, 'commit'))
    expect(appender.live.nextSequence(1, 0)).toBe(3)
  })
})

describe('transactions', () => {
  test('are open from their first batch to their marker, oldest first', () => {
    const appender = new Appender()
    const { live } = appender
    expect(live.firstUnstableOffset).toBe(Infinity)
    appender.append({ producerId: 1, sequence: 0 })
    appender.append({ producerId: 7, sequence: 0, transactional: true, timestamp: 5 })
    appender.append({ producerId: 3, epoch: 2, sequence: 0, transactional: true, timestamp: 6 })
    appender.append({ producerId: 7, sequence: 1, transactional: true, timestamp: 8 })
    expect(live.open()).toEqual([
      { producerId: 7, producerEpoch: 0, firstOffset: 1, timestamp: 8 },
      { producerId: 3, producerEpoch: 2, firstOffset: 2, timestamp: 6 },
    ])
    expect(live.openTransactionOf(3)).toEqual(live.open()[1])
    expect(live.openTransactionOf(1)).toBeUndefined()
    expect(live.firstUnstableOffset).toBe(1)
    appender.end(markerOf(7, 'commit'))
    expect(live.firstUnstableOffset).toBe(2)
    appender.end(markerOf(3, 'abort', 2))
    expect(live.firstUnstableOffset).toBe(Infinity)
  })

  test('that are aborted say how far the log is stable beside them', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, transactional: true })
    appender.append({ producerId: 2, sequence: 0, transactional: true })
    const second = { producerId: 2, firstOffset: 1, lastOffset: 2, lastStableOffset: 0 }
    expect(appender.end(markerOf(2, 'abort'))).toEqual(second)
    const first = { producerId: 1, firstOffset: 0, lastOffset: 3, lastStableOffset: 4 }
    expect(appender.end(markerOf(1, 'abort'))).toEqual(first)
  })

  test('without a batch here leave nothing but the epoch of their marker', () => {
    const appender = new Appender()
    expect(appender.end(markerOf(9, 'abort', 3))).toBeUndefined()
    expect(codeOf(() => appender.append({ producerId: 9, epoch: 2, sequence: 0 }))).toBe('FENCED')
    expect(codeOf(() => appender.end(markerOf(9, 'commit', 2)))).toBe('FENCED')
    expect(appender.live.entries()).toEqual([
      {
        producerId: 9,
        producerEpoch: 3,
        lastSequence: -1,
        lastOffset: -1,
        offsetDelta: 0,
        timestamp: 2_000,
        coordinatorEpoch: 7,
        currentTransactionFirstOffset: -1,
      },
    ])
  })

  test('are ended by a marker of whatever coordinator', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, transactional: true })
    appender.end({ ...markerOf(1, 'commit'), coordinatorEpoch: 9 })
    appender.append({ producerId: 1, sequence: 1, transactional: true })
    appender.end({ ...markerOf(1, 'commit'), coordinatorEpoch: 2 })
    expect(appender.live.open()).toEqual([])
  })
})

describe('a replay', () => {
  test('passes over batches without a producer and control batches that are no markers', () => {
    const states = new ProducerStates(PARTITION)
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(0), 0)
    builder.add(1, null, 'x', null)
    builder.finish('none')
    expect(states.replay(stored(builder, 0), 0)).toBeUndefined()
    const odd = storedMarker(markerOf(4, 'abort'), 1, 1)
    odd.writeInt16BE(5, odd.length - 10) // Some other type of control record.
    expect(states.replay(odd, 0)).toBeUndefined()
    expect(states.entries()).toEqual([])
    expect(states.changeCount).toBe(0)
  })

  test('takes the sequence of a batch that compaction emptied, and opens nothing for it', () => {
    const states = new ProducerStates(PARTITION)
    const wanted = { producerId: 1, sequence: 0, count: 3, transactional: true }
    const emptied = stored(numberedBatch(wanted), 10).subarray(0, 61)
    emptied.writeInt32BE(0, 57)
    emptied.writeInt32BE(61 - 12, 8)
    states.replay(emptied, 0)
    expect(states.nextSequence(1, 0)).toBe(3)
    expect(states.open()).toEqual([])
  })

  test('passes over a producer whose id no number holds, and takes a time that none does', () => {
    const states = new ProducerStates(PARTITION)
    const beyond = stored(numberedBatch({ producerId: 1, sequence: 0 }), 0)
    beyond.writeBigInt64BE(2n ** 60n, 43)
    expect(states.replay(beyond, 0)).toBeUndefined()
    expect(states.entries()).toEqual([])
    const late = stored(numberedBatch({ producerId: 1, sequence: 0 }), 0)
    late.writeBigInt64BE(2n ** 60n, 35)
    states.replay(late, 0)
    expect(states.entries()).toMatchObject([{ producerId: 1, timestamp: -1, lastSequence: 0 }])
  })

  test('refuses nothing: an older epoch or a gap is how it was written', () => {
    const states = new ProducerStates(PARTITION)
    const batches = [
      { producerId: 1, epoch: 3, sequence: 8 },
      { producerId: 1, epoch: 3, sequence: 20 },
      { producerId: 1, epoch: 1, sequence: 4 },
    ]
    for (const [offset, batch] of batches.entries()) {
      states.replay(stored(numberedBatch(batch), offset), 0)
    }
    expect(states.nextSequence(1, 1)).toBe(5)
  })
})

describe('a snapshot', () => {
  test('brings epochs, the last batch of each producer and open transactions back', () => {
    const { live, ...appender } = appended()
    const states = new ProducerStates(PARTITION)
    states.load(live.entries())
    expect(states.entries()).toEqual(live.entries())
    expect(states.open()).toEqual(live.open())
    expect(states.firstUnstableOffset).toBe(live.firstUnstableOffset)
    expect(states.nextSequence(1, 0)).toBe(7)
    expect(states.check(numberedBatch(appender.last))?.baseOffset).toBe(appender.lastOffset)
    expect(codeOf(() => states.check(numberedBatch(appender.first)))).toBe('OUT_OF_ORDER_SEQUENCE')
  })

  test('is read once, at the first need of it', () => {
    let reads = 0
    const states = new ProducerStates(PARTITION, () => {
      reads += 1
      const idle = appended()
        .live.entries()
        .filter((one) => one.producerId === 1)
      return idle
    })
    expect(states.firstUnstableOffset).toBe(Infinity)
    expect(states.open()).toEqual([])
    expect(states.knows(1)).toBe(false)
    states.expire(1e15, 0)
    expect(reads).toBe(0)
    expect(states.nextSequence(1, 0)).toBe(7)
    expect(states.knows(1)).toBe(true)
    expect(states.nextSequence(2, 0)).toBe(0)
    expect(reads).toBe(1)
  })

  test('that cannot be read fails whatever needs it, and is read again', () => {
    let isBroken = true
    const states = new ProducerStates(PARTITION, () => {
      if (isBroken) throw new LogError('IO', 'no', {})
      return []
    })
    const batch = numberedBatch({ producerId: 1, sequence: 0 })
    expect(codeOf(() => states.check(batch))).toBe('IO')
    expect(codeOf(() => states.entries())).toBe('IO')
    isBroken = false
    expect(states.check(batch)).toBeUndefined()
  })

  /** Producer 1 has seven records in two batches, producer 2 an open transaction. */
  function appended(): {
    readonly live: ProducerStates
    readonly first: NumberedBatch
    readonly last: NumberedBatch
    readonly lastOffset: number
  } {
    const appender = new Appender()
    const first = { producerId: 1, sequence: 0, count: 4 }
    const last = { producerId: 1, sequence: 4, count: 3 }
    appender.append(first)
    appender.append({ producerId: 2, sequence: 0, transactional: true })
    return { live: appender.live, first, last, lastOffset: appender.append(last) }
  }
})

describe('who is remembered', () => {
  test('is forgotten after the time that was set, by timestamps, unless something is open', () => {
    const appender = new Appender()
    appender.append({ producerId: 1, sequence: 0, timestamp: 1_000 })
    appender.append({ producerId: 2, sequence: 0, timestamp: 1_001 })
    appender.append({ producerId: 3, sequence: 0, timestamp: 1_000, transactional: true })
    const { live } = appender
    live.expire(10_000, -1)
    expect(live.entries()).toHaveLength(3)
    live.expire(1_500, 500)
    expect(live.entries().map((one) => one.producerId)).toEqual([2, 3])
    expect(live.nextSequence(1, 0)).toBe(0)
    expect(appender.append({ producerId: 1, sequence: 77 })).toBe(3)
  })

  test('is at most 4,096, those that wrote last, whatever their timestamps say', () => {
    const appender = new Appender()
    const { live } = appender
    appender.append({ producerId: 0, sequence: 0, transactional: true })
    for (let id = 1; id <= 4_200; id += 1) {
      appender.append({ producerId: id, sequence: 0, timestamp: 1_000_000 - id })
    }
    appender.append({ producerId: 1, sequence: 1, timestamp: 1 })
    live.expire(0, -1)
    expect(live.entries()).toHaveLength(4_097)
    expect(live.knows(0)).toBe(true)
    expect(live.knows(1)).toBe(true)
    expect(live.knows(2)).toBe(false)
    expect(live.knows(105)).toBe(false)
    expect(live.knows(106)).toBe(true)
    expect(live.openTransactionOf(0)).toBeDefined()
  })

  test('is bounded between two checkpoints too, here and in a replay', () => {
    const appender = new Appender()
    for (let id = 0; id < 12_000; id += 1) {
      appender.append({ producerId: id, sequence: 0, timestamp: 1 })
    }
    for (const states of [appender.live, appender.replayed]) {
      expect(states.entries().length).toBeLessThanOrEqual(4_096 + 1_024)
      expect(states.knows(11_999)).toBe(true)
    }
  })
})
