/**
 * A consumer as a Web stream and as a Node stream: no more is read than somebody takes, what was
 * not taken is not committed, and a stream that ends, fails or is cut off leaves the group.
 */
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, it } from 'vitest'
import type { LogRecord } from '../../../src/client/log-record.ts'
import { LOG_KINDS, textOf } from '../open-log.ts'
import { committedIn, groupLog, settle, stateOf, tp } from './group-log.ts'

const TOPICS = { topics: ['t'] } as const

/** A sink that takes a record when the test says so. */
class Sink {
  readonly begun: string[] = []
  #done: (() => void) | undefined

  readonly take = (record: LogRecord): Promise<void> => {
    this.begun.push(textOf(record))
    return new Promise((resolve) => {
      this.#done = resolve
    })
  }

  async finish(): Promise<void> {
    this.#done?.()
    await settle()
    await settle()
  }

  /** As a Node stream that holds nothing but what it works on. */
  node(): Writable {
    return new Writable({
      objectMode: true,
      highWaterMark: 1,
      write: (record: LogRecord, _, done) => {
        void this.take(record).finally(done)
      },
    })
  }

  web(): WritableStream<LogRecord> {
    return new WritableStream({ write: this.take }, { highWaterMark: 1 })
  }
}

describe.each(LOG_KINDS)('the streams of a consumer of a log on %s', (kind) => {
  it('reads for a Web stream what its sink asks for', async () => {
    const { log } = await groupLog(kind, { records: 50 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const sink = new Sink()
    const stop = new AbortController()
    const piped = consumer.stream().pipeTo(sink.web(), { signal: stop.signal })
    await settle()
    expect(sink.begun).toEqual(['v0'])
    expect(consumer.position(tp())).toBeLessThanOrEqual(2)
    await sink.finish()
    expect(sink.begun).toEqual(['v0', 'v1'])
    expect(consumer.position(tp())).toBeLessThanOrEqual(3)
    const cutOff = piped.catch((error: unknown) => error)
    stop.abort()
    await sink.finish()
    expect(await cutOff).toMatchObject({ name: 'AbortError' })
    await settle()
    expect(log.consumerGroup('g').describe().members).toEqual([])
    expect(committedIn(log)).toBeLessThanOrEqual(2)
  })

  it('reads for a Node stream what its sink takes, and one or two records ahead', async () => {
    const { log } = await groupLog(kind, { records: 50 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const sink = new Sink()
    const stop = new AbortController()
    const piped = pipeline(Readable.from(consumer), sink.node(), { signal: stop.signal })
    await settle()
    expect(sink.begun).toEqual(['v0'])
    expect(consumer.position(tp())).toBeLessThanOrEqual(4)
    await sink.finish()
    expect(sink.begun).toEqual(['v0', 'v1'])
    expect(consumer.position(tp())).toBeLessThanOrEqual(5)
    stop.abort()
    await expect(piped).rejects.toMatchObject({ name: 'AbortError' })
    await settle()
    expect(log.consumerGroup('g').describe().members).toEqual([])
  })

  it('leaves where what it is piped into fails, and commits nothing of what that had', async () => {
    const { log } = await groupLog(kind, { records: 5 })
    const consumer = await log.consumerGroup('g', TOPICS).join()
    const failing = new Transform({
      objectMode: true,
      highWaterMark: 1,
      transform: (_record, _encoding, done) => done(new Error('boom')),
    })
    await expect(pipeline(Readable.from(consumer), failing)).rejects.toThrow('boom')
    await settle()
    expect(log.consumerGroup('g').describe().members).toEqual([])
    expect(committedIn(log) ?? 0).toBeLessThanOrEqual(2)
  })

  it('ends when the log closes', async () => {
    const { log } = await groupLog(kind, { records: 1 })
    const group = log.consumerGroup('g', TOPICS)
    const reader = (await group.join()).stream().getReader()
    expect(await reader.read()).toMatchObject({ done: false })
    const waiting = reader.read()
    expect(await stateOf(waiting)).toBe('pending')
    await log.close()
    expect(await waiting).toMatchObject({ done: true })
  })

  it('tells a stream that waits what ends it', async () => {
    const { log } = await groupLog(kind)
    const group = log.consumerGroup('g', TOPICS)
    const consumer = await group.join({ instanceId: 'one' })
    const waiting = consumer.stream().getReader().read()
    waiting.catch(() => undefined)
    await group.join({ instanceId: 'one' })
    await expect(waiting).rejects.toMatchObject({ code: 'FENCED' })
  })
})
