/**
 * Random histories of one producer: sends of every kind, to several partitions, with schemas that
 * answer when they like, a disk that is full now and then, and syncs that take their time. Whatever
 * the interleaving, each partition has what was sent in the order in which it was sent, and what
 * was acknowledged is there once, at the offset that was given.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RecordMetadata } from '../../src/client/producer.ts'
import type { ProducerOptions } from '../../src/client/producer-options.ts'
import { serdes } from '../../src/client/serde.ts'
import type { StandardSchemaV1 } from '../../src/client/standard-schema.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { ProducerLog, isSettled, settled } from './producer-log.ts'

const PARTITIONS = 3

type Step =
  | {
      readonly kind: 'send' | 'enqueue' | 'slow'
      readonly partition: number
      readonly size: number
    }
  | { readonly kind: 'sendAll'; readonly partitions: readonly number[]; readonly slow: boolean }
  | { readonly kind: 'flush' | 'turn' | 'sync' | 'full' | 'room' | 'linger' }
  | { readonly kind: 'answer'; readonly pick: number; readonly good: boolean }

const partition = fc.nat(PARTITIONS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: record('send') },
  { weight: 5, arbitrary: record('enqueue') },
  { weight: 2, arbitrary: record('slow') },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('sendAll' as const),
      partitions: fc.array(partition, { maxLength: 6 }),
      slow: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('flush', 'turn', 'turn', 'sync', 'sync', 'full', 'room', 'linger'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('answer' as const),
      pick: fc.nat(9),
      good: fc.boolean(),
    }),
  },
)
const options: fc.Arbitrary<ProducerOptions> = fc.record({
  acks: fc.constantFrom(0 as const, 1 as const, 'all' as const),
  lingerMs: fc.constantFrom(0, 0, 5),
  batchBytes: fc.constantFrom(1, 150, 400, 65_536),
  bufferBytes: fc.constantFrom(120, 500, 1_000_000),
  compression: fc.constantFrom('none', 'none', 'gzip'),
})

/** Found by chance: a flush passed while the batch of another partition was being settled. */
const SETTLED_WHILE_CLOSING: ProducerOptions = { acks: 0, bufferBytes: 120 }
const FLUSHED_BETWEEN: Step[] = [
  { kind: 'slow', partition: 2, size: 30 },
  { kind: 'enqueue', partition: 0, size: 90 },
  { kind: 'flush' },
  { kind: 'enqueue', partition: 2, size: 90 },
  { kind: 'send', partition: 0, size: 90 },
]

function record(kind: 'send' | 'enqueue' | 'slow'): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant(kind), partition, size: fc.constantFrom(1, 30, 90) })
}

/** One history, and what is known of its records. */
class History {
  readonly #disk
  readonly #log
  readonly #topic
  readonly #producer
  readonly #acks
  readonly #slow
  readonly #answers: ((good: boolean) => void)[] = []
  readonly #pending: Promise<unknown>[] = []
  /** By number: where it was sent to. */
  readonly #sentTo: number[] = []
  readonly #acknowledged = new Map<number, RecordMetadata>()
  readonly #refused = new Set<number>()
  readonly #enqueued: number[] = []
  readonly #surprises: string[] = []
  #wasFull = false
  /** Offsets of each partition in the order in which they were acknowledged. */
  readonly #ackOrder: number[][] = Array.from({ length: PARTITIONS }, () => [])

  constructor(given: ProducerOptions) {
    const { log, disk } = ProducerLog.held()
    this.#log = log
    this.#disk = disk
    this.#acks = given.acks
    this.#topic = log.topic('t', { partitions: PARTITIONS, maxMessageBytes: 600 })
    this.#producer = log.producer(given)
    const validate = (value: unknown): Promise<unknown> =>
      new Promise((resolve) => {
        this.#answers.push((good) => resolve(good ? { value } : { issues: [{ message: 'no' }] }))
      })
    const schema: StandardSchemaV1<number, number> = {
      '~standard': { version: 1, vendor: 'test', validate },
    }
    this.#slow = defineTopic('t', { key: serdes.string, value: schema })
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of steps) await this.#do(one)
    this.#disk.writeFailure = undefined
    this.#disk.holds = false
    const closed = this.#producer.close().catch(() => undefined)
    for (const answer of this.#answers.splice(0)) answer(true)
    this.#disk.endFlushes()
    await endOf(Promise.all([closed, ...this.#pending]))
  }

  /** What is not as it should be. */
  problems(): readonly string[] {
    const problems: string[] = []
    const note = (what: string, holds: boolean): void => {
      if (!holds) problems.push(what)
    }
    const kept = new Set<number>()
    for (let at = 0; at < PARTITIONS; at += 1) {
      const numbers = this.#topic.values(at).map(Number)
      const offsets = this.#ackOrder[at] ?? []
      note(`partition ${at} has ${numbers.join()}`, ascends(numbers))
      note(`partition ${at} acknowledged ${offsets.join()}`, this.#acks === 0 || ascends(offsets))
      for (const number of numbers) {
        kept.add(number)
        note(`${number} is in partition ${at}`, this.#sentTo[number] === at)
        note(`${number} was rejected and is there`, !this.#refused.has(number))
      }
    }
    for (const [number, { partition: at, offset }] of this.#acknowledged) {
      const isThere = Number(this.#topic.values(at)[offset]) === number
      note(`${number} is not at ${offset}`, this.#acks === 0 ? offset === -1 : isThere)
    }
    for (const number of this.#enqueued)
      note(`${number} is lost`, this.#wasFull || kept.has(number))
    return [...problems, ...this.#surprises]
  }

  async #do(one: Step): Promise<void> {
    switch (one.kind) {
      case 'send':
        this.#watch(this.#producer.send(this.#record(one.partition, one.size)))
        break
      case 'enqueue':
        this.#producer.enqueue(this.#record(one.partition, one.size))
        this.#enqueued.push(this.#sentTo.length - 1)
        break
      case 'slow': {
        const { key, value, partition: at } = this.#record(one.partition, one.size)
        this.#watch(this.#producer.send(this.#slow, { key, value: Number(value), partition: at }))
        break
      }
      case 'sendAll':
        this.#sendAll(one.partitions, one.slow)
        break
      case 'flush':
        this.#pending.push(this.#producer.flush().catch(() => undefined))
        break
      case 'turn':
        await nextTurn()
        break
      case 'sync':
        this.#disk.flushes[0]?.end()
        await settled()
        break
      case 'full':
        this.#disk.writeFailure = 'ENOSPC'
        this.#wasFull = true
        break
      case 'room':
        this.#disk.writeFailure = undefined
        break
      case 'linger':
        this.#log.clock.advance(5)
        break
      case 'answer':
        this.#answers.splice(one.pick % (this.#answers.length + 1), 1)[0]?.(one.good)
        await settled()
        break
    }
  }

  /** The next record: its value is its number, its key makes it as long as it should be. */
  #record(
    at: number,
    size: number,
  ): { topic: string; key: string; value: string; partition: number } {
    this.#sentTo.push(at)
    const value = `${this.#sentTo.length - 1}`
    return { topic: 't', key: 'k'.repeat(size), value, partition: at }
  }

  #watch(sent: Promise<RecordMetadata>): void {
    this.#watchAll(
      [this.#sentTo.length - 1],
      sent.then((metadata) => [metadata]),
    )
  }

  #sendAll(partitions: readonly number[], slow: boolean): void {
    const first = this.#sentTo.length
    const records = partitions.map((at) => this.#record(at, 20))
    const typed = records.map((sent) => ({
      key: sent.key,
      value: Number(sent.value),
      partition: sent.partition,
    }))
    const sent = slow ? this.#producer.sendAll(this.#slow, typed) : this.#producer.sendAll(records)
    this.#watchAll(
      records.map((_, index) => first + index),
      sent,
    )
  }

  #watchAll(numbers: readonly number[], sent: Promise<readonly RecordMetadata[]>): void {
    const seen = sent.then(
      (results) => {
        for (const [index, metadata] of results.entries()) {
          this.#acknowledged.set(numbers[index] ?? -1, metadata)
          if (numbers.length === 1) this.#ackOrder[metadata.partition]?.push(metadata.offset)
        }
      },
      (error: unknown) => {
        if (!LogError.is(error, 'NO_SPACE', 'INVALID_RECORD')) this.#surprises.push(String(error))
        // Of a sendAll some may have been appended; of a send nothing was.
        if (numbers.length === 1) for (const number of numbers) this.#refused.add(number)
      },
    )
    this.#pending.push(seen)
  }
}

/** Strictly: nothing is there twice. */
function ascends(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || number > (numbers[at - 1] ?? -1))
}

/** Waits for `pending`, but not for ever: nothing is left that it could wait for. */
async function endOf(pending: Promise<unknown>): Promise<void> {
  for (let round = 0; round < 100; round += 1) if (await isSettled(pending)) return
  throw new Error('it hangs')
}

describe('a producer', () => {
  it('keeps the order of each partition and loses or doubles nothing it acknowledged', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.array(step, { maxLength: 60 }), async (given, steps) => {
        const history = new History(given)
        await history.run(steps)
        expect(history.problems()).toEqual([])
      }),
      { examples: [[SETTLED_WHILE_CLOSING, FLUSHED_BETWEEN]] },
    )
  })
})
