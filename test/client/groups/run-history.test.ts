/**
 * Random histories of one run after another over a simulated disk: records come, handlers take
 * their time, fail once or always, other members come and go, time passes, runs are stopped, and
 * the power fails. After every step: no position is above a record that was neither handled nor
 * made a durable dead letter; at no moment are two records at work that the order forbids; and in
 * the end everything was.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Consumer } from '../../../src/client/groups/consumer.ts'
import type { RunContext, Running, RunOptions } from '../../../src/client/group-types.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { testLog, type TestLog } from '../../../src/testing/test-log.ts'

const PARTITIONS = 3
const GROUP = { topics: ['t'] } as const

type Step =
  | { readonly kind: 'send'; readonly keys: readonly (string | null)[] }
  | { readonly kind: 'run'; readonly options: RunOptions }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'stop' | 'abandon' | 'crash' | 'join' | 'leave' }

const key = fc.constantFrom('x', 'y', 'z', null)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('run' as const),
      options: fc.record({
        members: fc.integer({ min: 1, max: 3 }),
        concurrency: fc.integer({ min: 1, max: 4 }),
        orderedBy: fc.constantFrom('partition' as const, 'key' as const),
      }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(150) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('stop', 'abandon', 'crash', 'join', 'join', 'leave'),
    }),
  },
)

/** One log, at most one run and one other member at a time. */
class History {
  readonly #t: TestLog = testLog()
  #running: Running | undefined
  #consumer: Consumer | undefined
  /** Counts runs: what a handler of an earlier one still does has no order with this one. */
  #life = 0
  /** Handled, as `partition:offset`. */
  readonly #handled = new Set<string>()
  /** What was not as it has to be. */
  readonly problems: string[] = []
  /** At work now, by what must not be at work twice. */
  readonly #atWork = new Set<string>()

  async open(): Promise<void> {
    await this.#t.log.createTopic('t', { partitions: PARTITIONS })
  }

  async perform(next: Step): Promise<void> {
    if (next.kind === 'send') await this.#send(next.keys)
    else if (next.kind === 'run') await this.#run(next.options)
    else if (next.kind === 'advance') await this.#t.clock.advance(next.ms)
    else if (next.kind === 'join') await this.#join()
    else if (next.kind === 'leave') await this.#leave()
    else if (next.kind === 'crash') await this.#crash()
    else await this.#stop(next.kind === 'stop' ? 10_000 : 0)
    this.check()
  }

  /** Nothing is committed that was neither handled nor put aside. */
  check(): void {
    const done = new Set([...this.#handled, ...this.#letters()])
    for (const { partition, offset } of this.#t.log.consumerGroup('g').offsets()) {
      for (let below = 0; below < offset; below += 1) {
        const place = `${partition}:${below}`
        if (!done.has(place)) this.problems.push(`committed past ${place}, which was not handled`)
      }
    }
  }

  /** With a run to the end, everything is done. */
  async finish(): Promise<void> {
    await this.#leave()
    await this.#stop(0)
    await this.#run({ members: 2, concurrency: 2 })
    for (let turn = 0; turn < 40; turn += 1) await this.#t.clock.advance(100)
    const { total } = this.#t.log.consumerGroup('g').lag()
    if (total > 0) this.problems.push(`${total} records were never handled`)
    this.check()
    await this.#t.log.close()
  }

  async #send(keys: readonly (string | null)[]): Promise<void> {
    await this.#t.log.topic('t').sendAll(keys.map((one) => ({ key: one, value: 'v' })))
  }

  async #run(options: RunOptions): Promise<void> {
    if (this.#running !== undefined) return
    this.#life += 1
    this.#atWork.clear()
    const life = this.#life
    const { orderedBy = 'partition' } = options
    this.#running = this.#t.log
      .consumerGroup('g', GROUP)
      .run((record, ctx) => this.#handle(record, ctx, { life, orderedBy }), {
        ...options,
        retries: 1,
        backoffMs: 30,
        deadLetterTopic: 'dead',
      })
    await this.#t.clock.advance(0)
  }

  async #handle(
    { partition, offset, keyBytes }: LogRecord,
    { attempt, signal }: RunContext,
    { life, orderedBy }: { readonly life: number; readonly orderedBy: 'partition' | 'key' },
  ): Promise<void> {
    const name = `${partition}:${offset}`
    const ofKey = keyBytes === null ? name : `${partition} ${keyBytes.toString()}`
    const place = orderedBy === 'key' ? ofKey : String(partition)
    const isCurrent = (): boolean => life === this.#life && !signal.aborted
    if (isCurrent()) {
      if (this.#atWork.has(place)) this.problems.push(`${place} is at work twice`)
      this.#atWork.add(place)
    }
    try {
      for (let turn = 0; turn < offset % 4; turn += 1) await nextTurn()
      const failures = (partition + offset) % 3
      if (attempt <= failures) throw new Error('not now')
      if (isCurrent()) this.#handled.add(name)
    } finally {
      if (life === this.#life) this.#atWork.delete(place)
    }
  }

  async #join(): Promise<void> {
    if (this.#consumer !== undefined || this.#running === undefined) return
    const joining = this.#t.log.consumerGroup('g', GROUP).join()
    await this.#t.clock.advance(0)
    this.#consumer = await joining
  }

  async #leave(): Promise<void> {
    const consumer = this.#consumer
    this.#consumer = undefined
    await consumer?.[Symbol.asyncDispose]()
    await this.#t.clock.advance(0)
  }

  async #stop(timeoutMs: number): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running === undefined) return
    const stopped = running.stop({ timeoutMs })
    await this.#t.clock.advance(0)
    await stopped
    await running.done
  }

  async #crash(): Promise<void> {
    this.#running = undefined
    this.#consumer = undefined
    this.#life += 1
    await this.#t.faults.crash()
  }

  #letters(): readonly string[] {
    const names = this.#t.log.topics().map(({ name }) => name)
    if (!names.includes('dead')) return []
    return this.#t.log.topic('dead').partitions.flatMap((partition) =>
      [...partition.records()].map(({ headers }) => {
        return `${headers.text('streambed.dlt.partition')}:${headers.text('streambed.dlt.offset')}`
      }),
    )
  }
}

/** Each has a hundred turns and more; a machine may be busy with other things. */
const TIMEOUT_MS = 120_000

describe('the histories of runs', () => {
  it(
    'skip nothing, keep the order, and end with everything done',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
          const history = new History()
          await history.open()
          for (const one of steps) await history.perform(one)
          await history.finish()
          expect(history.problems).toEqual([])
        }),
        { numRuns: 12 },
      )
    },
    TIMEOUT_MS,
  )
})
