/**
 * A run over fake members: a log in memory with one topic, a clock that the test moves, and a
 * handler that waits until the test says how it ends.
 */
import { onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { GroupAdmin, RunContext, RunOptions } from '../../../src/client/group-types.ts'
import { GroupRun } from '../../../src/client/groups/running.ts'
import { RecordHandling } from '../../../src/client/groups/run-handling.ts'
import type { HandlerRun, RunHost } from '../../../src/client/groups/run-host.ts'
import { runPlan } from '../../../src/client/groups/run-options.ts'
import type { LogRecord } from '../../../src/client/log-record.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { resolveTopicConfig } from '../../../src/log/log-config.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FakeFeed } from './fake-feed.ts'

type Handler = (record: LogRecord, ctx: RunContext) => void | Promise<unknown>

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await nextTurn()
}

/** A group with fake members. */
export class RunFixture implements RunHost<LogRecord> {
  readonly log: EventLog
  readonly topic: Topic
  readonly clock: FakeClock = new FakeClock()
  readonly holdsProcess: boolean = false
  readonly maxPollRecords: number = 500
  readonly isGone: boolean = false
  /** In the order in which they joined. */
  readonly feeds: FakeFeed[] = []
  readonly runs: Set<HandlerRun> = new Set()
  /** What `join` does; by default a member has every partition. */
  joins: () => Promise<FakeFeed> = () => Promise.resolve(this.newFeed())
  // `as`: handlers get it as it is, and nothing here calls it.
  readonly group: GroupAdmin = { id: 'g' } as GroupAdmin

  private constructor(log: EventLog, topic: Topic) {
    this.log = log
    this.topic = topic
  }

  static async open(partitions: number): Promise<RunFixture> {
    const log = EventLog.inMemory()
    onTestFinished(() => log.close())
    return new RunFixture(log, await log.createTopic('orders', { partitions }))
  }

  /** The first member. */
  get feed(): FakeFeed {
    const [feed] = this.feeds
    if (feed === undefined) throw new Error('nobody joined yet')
    return feed
  }

  /** Appends values to a partition; `key=value` has a key. */
  append(partition: number, ...values: readonly string[]): void {
    if (values.length === 0) return
    this.topic.partition(partition).append(
      values.map((value) => {
        const [key, text] = value.split('=')
        return text === undefined ? { value } : { key: key ?? '', value: text }
      }),
    )
    for (const feed of this.feeds) feed.wake()
  }

  /** Starts a run, which ends with the test at the latest. */
  run(handler: Handler, options?: RunOptions): GroupRun<LogRecord> {
    const run = GroupRun.start(this, new RecordHandling(handler), runPlan(options, 500))
    onTestFinished(() => run.stop({ timeoutMs: 0 }))
    return run
  }

  newFeed(): FakeFeed {
    const feed = new FakeFeed(this.topic, `m-${this.feeds.length + 1}`)
    this.feeds.push(feed)
    return feed
  }

  join(): Promise<FakeFeed> {
    return this.joins()
  }

  checkOpen(): void {}

  register(run: HandlerRun): () => void {
    this.runs.add(run)
    return () => void this.runs.delete(run)
  }

  get producer(): ReturnType<EventLog['producer']> {
    return this.log.producer()
  }

  selects(topic: string): boolean {
    return topic === this.topic.name
  }

  topics(): readonly string[] {
    return [this.topic.name]
  }

  topicConfig(name: string): ReturnType<typeof resolveTopicConfig> | undefined {
    try {
      return resolveTopicConfig(this.log.topic(name).config)
    } catch (error) {
      if (LogError.is(error, 'TOPIC_NOT_FOUND')) return undefined
      throw error
    }
  }

  createTopic(...[topic, config]: Parameters<RunHost<LogRecord>['createTopic']>): Promise<unknown> {
    return this.log.createTopic(typeof topic === 'string' ? topic : topic.name, config)
  }
}

/** A call of a `HeldHandler` that has not ended. */
interface HeldCall {
  readonly record: LogRecord
  readonly ctx: RunContext
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A handler whose calls end when the test says so. */
export class HeldHandler {
  /** Values, in the order in which the handler was called with them. */
  readonly called: string[] = []
  readonly #held = new Map<string, HeldCall>()

  readonly handle = (record: LogRecord, ctx: RunContext): Promise<void> => {
    const value = String(record.value)
    this.called.push(value)
    return new Promise((resolve, reject) => {
      this.#held.set(value, { record, ctx, resolve, reject })
    })
  }

  /** Values whose calls have not ended. */
  get held(): readonly string[] {
    return [...this.#held.keys()]
  }

  context(value: string): RunContext {
    return this.#call(value).ctx
  }

  /** Ends calls well. */
  async finish(...values: readonly string[]): Promise<void> {
    for (const value of values) {
      this.#call(value).resolve()
      this.#held.delete(value)
      await settle()
    }
  }

  async fail(value: string, error: unknown = new Error(`no ${value}`)): Promise<void> {
    this.#call(value).reject(error)
    this.#held.delete(value)
    await settle()
  }

  #call(value: string): HeldCall {
    const call = this.#held.get(value)
    if (call === undefined) throw new Error(`the handler does not hold ${value}`)
    return call
  }
}
