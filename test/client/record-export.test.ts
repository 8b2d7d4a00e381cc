/**
 * Export and import of records as text: what comes out goes in again as it was, whatever the pieces
 * that it comes in; what is no record is refused with its line, and everything before it is there.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog, LogError, type LogRecord } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

function openLog(): EventLog {
  const log = EventLog.inMemory()
  onTestFinished(() => log.close())
  return log
}

async function linesOf(lines: AsyncIterable<string>): Promise<string> {
  let text = ''
  for await (const line of lines) text += line
  return text
}

/** Everything of a record that export and import keep. */
function kept(record: LogRecord): unknown {
  const { partition, timestamp, keyBytes, valueBytes, headers } = record
  return { partition, timestamp, keyBytes, valueBytes, headers: [...headers.entries()] }
}

async function recordsOf(log: EventLog, topic: string): Promise<readonly unknown[][]> {
  const { partitions } = log.topic(topic)
  return await Promise.all(
    partitions.map(async (one) => {
      const records: unknown[] = []
      for await (const record of one.read()) records.push(kept(record))
      return records
    }),
  )
}

/** The text in pieces of these lengths, over and over. */
function* piecesOf(text: string, lengths: readonly number[]): Generator<Buffer> {
  const bytes = Buffer.from(text)
  const reused = Buffer.alloc(1_000)
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = Math.min(lengths[turn % lengths.length] ?? 1, bytes.length - at)
    bytes.copy(reused, 0, at, at + length)
    yield reused.subarray(0, length)
    at += length
  }
}

const anyBytes = fc.option(fc.uint8Array({ maxLength: 12 }).map((some) => Buffer.from(some)))
const record = fc.record({
  key: anyBytes,
  value: fc.oneof(
    anyBytes,
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  ),
  headers: fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 3 }), anyBytes), {
    maxLength: 3,
  }),
  timestamp: fc.nat(),
  partition: fc.nat(2),
})

describe('export and import', () => {
  it('keep every record as it was, in whatever pieces the text comes', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 12 }), lengths, async (records, cuts) => {
        const log = EventLog.inMemory()
        const topic = await log.createTopic('from', { partitions: 3 })
        await topic.sendAll(records)
        await log.createTopic('to', { partitions: 3 })
        const text = await linesOf(log.exportRecords('from'))
        const report = await log.importRecords('to', piecesOf(text, cuts))
        expect(report.records).toBe(records.length)
        expect(await recordsOf(log, 'to')).toEqual(await recordsOf(log, 'from'))
        await log.close()
      }),
      { numRuns: 40 },
    )
  })

  it('go through a file, as streams, from one log to another', async () => {
    const [one, other] = [openLog(), openLog()]
    const topic = await one.createTopic('orders')
    await topic.sendAll(Array.from({ length: 3_000 }, (_, index) => ({ value: `v${index}` })))
    const file = join(temporaryDirectory(), 'orders.ndjson')
    await pipeline(one.exportRecords(topic), createWriteStream(file))
    await other.createTopic('orders')
    const { records } = await other.importRecords('orders', createReadStream(file))
    expect(records).toBe(3_000)
    expect(await recordsOf(other, 'orders')).toEqual(await recordsOf(one, 'orders'))
  })

  it('take values that are larger than any piece', async () => {
    const log = openLog()
    const topic = await log.createTopic('large', { maxMessageBytes: 8_000_000 })
    await topic.send({ value: Buffer.alloc(5_000_000, 0xff) })
    const text = await linesOf(log.exportRecords('large'))
    await log.importRecords('large', piecesOf(text, [1_000]))
    const [records] = await recordsOf(log, 'large')
    expect(records?.length).toBe(2)
  })
})

describe('export', () => {
  it('leaves out what was aborted, unless it is asked for', async () => {
    const log = openLog()
    const topic = await log.createTopic('orders')
    await topic.send({ value: 'kept' })
    const failing = log.producer().transaction(async (tx) => {
      await tx.send(topic, { value: 'aborted' })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await linesOf(log.exportRecords('orders'))).not.toContain('aborted')
    const all = await linesOf(log.exportRecords('orders', { isolation: 'read_uncommitted' }))
    expect(all).toContain('aborted')
  })

  it('refuses a record whose headers are too many bytes for a line', async () => {
    const log = openLog()
    const topic = await log.createTopic('large', { maxMessageBytes: 80_000_000 })
    const half = Buffer.alloc(34_000_000)
    topic.partition(0).append({ value: 'v', headers: { one: half, two: half } })
    const error = await linesOf(log.exportRecords('large')).catch((cause: unknown) => cause)
    expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE' })
  })

  it('gives the bytes of a topic, whatever types its handle has', async () => {
    const log = openLog()
    await log.createTopic('orders')
    await log.topic('orders').send({ value: 'no JSON' })
    const { defineTopic, serdes } = await import('../../src/index.ts')
    const Orders = defineTopic('orders', { value: serdes.json() })
    expect(await linesOf(log.exportRecords(log.topic(Orders)))).toContain('"value":"no JSON"')
  })

  it('reads no further than its lines are taken', async () => {
    const log = openLog()
    const topic = await log.createTopic('orders')
    await topic.sendAll([{ value: 'one' }, { value: 'two' }])
    const lines = log.exportRecords('orders', { from: 1 })
    expect((await lines.next()).value).toContain('two')
    expect((await lines.next()).done).toBe(true)
  })

  it('refuses at the call what cannot be', () => {
    const log = openLog()
    expect(() => log.exportRecords('nothing')).toThrow(LogError)
    const options: object = { form: 1 }
    expect(() => log.exportRecords('nothing', options)).toThrow(LogError)
  })

  it('refuses at the call where to begin, what to read and how', async () => {
    const log = openLog()
    await log.createTopic('orders')
    for (const wrong of [{ from: 'start' }, { partitions: 1 }, { isolation: 'none' }]) {
      const options: object = wrong
      expect(() => log.exportRecords('orders', options)).toThrow(LogError)
    }
  })

  it('ends where the topic ended at the call, not where its first line was asked for', async () => {
    const log = openLog()
    const topic = await log.createTopic('orders')
    await topic.send({ value: 'before' })
    const lines = log.exportRecords('orders')
    await topic.send({ value: 'behind' })
    const text = await linesOf(lines)
    expect(text).toContain('before')
    expect(text).not.toContain('behind')
  })
})

describe('import', () => {
  it('ends at a line that is no record, with all before it in the topic and none behind', async () => {
    const log = openLog()
    await log.createTopic('orders')
    const text = '{"value":"1"}\n\n{"value":"2"}\r\n{"valu":"3"}\n{"value":"4"}\n'
    const importing = log.importRecords('orders', text)
    await expect(importing).rejects.toMatchObject({
      code: 'INVALID_RECORD',
      details: { issues: [{ path: [4] }] },
    })
    expect((await recordsOf(log, 'orders'))[0]).toHaveLength(2)
  })

  it('takes a last line without an end, and a mark of UTF-8 before the first', async () => {
    const log = openLog()
    await log.createTopic('orders')
    const { records } = await log.importRecords('orders', '\uFEFF{"value":"1"}\n{"value":null}')
    expect(records).toBe(2)
  })

  it('refuses a partition that there is not, and no key where the topic is compacted', async () => {
    const log = openLog()
    await log.createTopic('orders')
    await log.createTopic('state', { cleanupPolicy: 'compact' })
    const far = log.importRecords('orders', '{"value":"1","partition":1}')
    await expect(far).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    const keyless = log.importRecords('state', '{"value":"1"}')
    await expect(keyless).rejects.toMatchObject({ code: 'INVALID_RECORD' })
  })

  it('refuses what is no UTF-8, and a record that is too large, with its line', async () => {
    const log = openLog()
    await log.createTopic('orders', { maxMessageBytes: 1_000 })
    const broken = Buffer.concat([
      Buffer.from('{"value":"'),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    await expect(log.importRecords('orders', broken)).rejects.toMatchObject({
      code: 'INVALID_RECORD',
    })
    const large = log.importRecords('orders', `{"value":"a"}\n{"value":"${'b'.repeat(2_000)}"}`)
    await expect(large).rejects.toMatchObject({
      code: 'INVALID_RECORD',
      details: { issues: [{ path: [2] }] },
    })
  })

  it('takes a record that is larger than the buffer of most producers', async () => {
    const log = openLog()
    const orders = await log.createTopic('orders', { maxMessageBytes: 100_000_000 })
    await log.importRecords('orders', `{"value":"${'b'.repeat(33_600_000)}"}`)
    expect(orders.partition(0).get(0)?.value?.length).toBe(33_600_000)
  })

  it('has nothing behind a record that is too large, so that one can go on from its line', async () => {
    const log = openLog()
    const orders = await log.createTopic('orders', { maxMessageBytes: 1_000 })
    const large = `{"value":"${'b'.repeat(1_000)}"}`
    const text = `{"value":"a"}\n${large}\n{"value":"c"}\n`
    await expect(log.importRecords('orders', text)).rejects.toMatchObject({
      details: { issues: [{ path: [2] }] },
    })
    const values = [...orders.partition(0).records()].map(({ value }) => value?.toString())
    expect(values).toEqual(['a'])
  })

  it('takes texts that are cut in the middle of a character, and refuses half of one', async () => {
    const log = openLog()
    const orders = await log.createTopic('orders')
    const text = '{"value":"\u{1F600}"}\n'
    await log.importRecords('orders', [text.slice(0, 11), text.slice(11)])
    expect(orders.partition(0).get(0)?.value?.toString()).toBe('\u{1F600}')
    for (const pieces of [[text.slice(0, 11), Buffer.from('"}')], ['{"value":"\udc00"}']]) {
      await expect(log.importRecords('orders', pieces)).rejects.toMatchObject({
        code: 'INVALID_RECORD',
      })
    }
    expect(orders.partition(0).logEndOffset).toBe(1)
  })

  it('is ended by its signal while it waits for more, and keeps what came', async () => {
    const log = openLog()
    await log.createTopic('orders')
    const controller = new AbortController()
    let isReturned = false
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: (() => {
          let isFirst = true
          return async () => {
            if (!isFirst) return await new Promise<never>(() => controller.abort())
            isFirst = false
            return { done: false, value: '{"value":"1"}\n' } as const
          }
        })(),
        return: async () => {
          isReturned = true
          return { done: true, value: undefined } as const
        },
      }),
    }
    const importing = log.importRecords('orders', source, { signal: controller.signal })
    await expect(importing).rejects.toMatchObject({ code: 'ABORTED' })
    expect(isReturned).toBe(true)
    expect((await recordsOf(log, 'orders'))[0]).toHaveLength(1)
  })

  it('fails with what its source fails with, and refuses what is no source', async () => {
    const log = openLog()
    await log.createTopic('orders')
    async function* failing(): AsyncGenerator<string> {
      yield '{"value":"1"}\n'
      throw new Error('the source')
    }
    await expect(log.importRecords('orders', failing())).rejects.toThrow('the source')
    const none: object = {}
    for (const wrong of [none, [7]]) {
      // `as`: what no program that is checked can give.
      const importing = log.importRecords('orders', wrong as string[])
      await expect(importing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
  })

  it('asks its source for no more than what is on its way to the topic', async () => {
    const log = openLog()
    await log.createTopic('orders')
    const topic = log.topic('orders')
    let given = 0
    let ahead = 0
    function* lines(): Generator<string> {
      for (; given < 5_000; given++) {
        ahead = Math.max(ahead, given - topic.partition(0).logEndOffset)
        yield '{"value":"1"}\n'
      }
    }
    await log.importRecords('orders', lines())
    expect(ahead).toBeLessThanOrEqual(1_000)
  })
})
