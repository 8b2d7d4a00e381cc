/**
 * A log that is shorter than what a reader of it has seen: its directory is put back to what it was
 * before, as a power cut may leave it, between two writers and under a reader that lives on.
 */
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { Partition } from '../../../src/client/partition.ts'
import type { RecordStream } from '../../../src/client/record-stream.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone, textOf, texts } from '../open-log.ts'

const TOPIC = 't'
const KEPT = 10
const LOST = 20

interface Shortened {
  readonly directory: string
  readonly reader: EventLog
  /** Has seen what is lost, and waits for more. */
  readonly read: RecordStream<Shown>
}

interface Shown {
  readonly value: Buffer | null
}

/**
 * A reader that saw all that the first writer wrote; its directory has only what is kept. `begin`
 * is called while all of it is there: from then on it may find out at any moment.
 */
async function shortened(
  begin: (partition: Partition) => void | Promise<void> = () => undefined,
): Promise<Shortened> {
  const root = temporaryDirectory()
  const [directory, copy] = [join(root, 'log'), join(root, 'copy')]
  mkdirSync(directory)
  const writer = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const topic = await writer.createTopic(TOPIC)
  for (let n = 0; n < KEPT; n += 1) topic.partition(0).append({ value: `kept ${n}` })
  await writer.flush()
  cpSync(directory, copy, { recursive: true }) // Its writer has not closed it.
  for (let n = 0; n < LOST; n += 1) topic.partition(0).append({ value: `lost ${n}` })
  const reader = await EventLog.open(directory, { readOnly: true })
  closeWhenDone(reader)
  const read = reader.topic(TOPIC).partition(0).read({ live: true })
  for (let n = 0; n < KEPT + LOST; n += 1) await read.next()
  await begin(reader.topic(TOPIC).partition(0))
  await writer.close()
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true })
  cpSync(copy, directory, { recursive: true })
  return { directory, reader, read }
}

/** The next writer, which appends `count` records. */
async function write(directory: string, count: number): Promise<EventLog> {
  const writer = await EventLog.open(directory, { housekeepingIntervalMs: null })
  closeWhenDone(writer)
  const partition = writer.topic(TOPIC).partition(0)
  for (let n = 0; n < count; n += 1) partition.append({ value: `new ${n}` })
  return writer
}

function shown(result: IteratorResult<Shown, undefined>): string | undefined {
  return result.done === true ? undefined : textOf(result.value)
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ value }),
    (error: unknown) => (LogError.is(error) ? { code: error.code, details: error.details } : error),
  )
}

describe('a log that is shorter than what a reader saw', () => {
  it.each([0, 3, LOST + 5])(
    'ends its read with both offsets, and lets a new one go on, where %i records came since',
    async (count) => {
      const { directory, reader, read } = await shortened()
      const waits = failureOf(read.next())
      await write(directory, count)
      expect(await waits).toEqual({
        code: 'OFFSET_OUT_OF_RANGE',
        details: {
          topic: TOPIC,
          partition: 0,
          offset: KEPT + LOST,
          logStartOffset: 0,
          logEndOffset: KEPT,
        },
      })
      const partition = reader.topic(TOPIC).partition(0)
      const expected = [
        ...Array.from({ length: KEPT }, (_, n) => `kept ${n}`),
        ...Array.from({ length: count }, (_, n) => `new ${n}`),
      ]
      while (partition.logEndOffset !== KEPT + count) await nextTurn()
      expect(texts(partition.records())).toEqual(expected)
      await read.return?.()
    },
  )

  it('shows a read that goes on at its end what comes next, live', async () => {
    const { directory, reader, read } = await shortened()
    const waits = failureOf(read.next())
    const writer = await write(directory, 1)
    await waits
    const again = reader.topic(TOPIC).partition(0).read({ live: true, from: KEPT })
    const first = await again.next()
    writer.topic(TOPIC).partition(0).append({ value: 'next' })
    const second = await again.next()
    expect([first, second].map(shown)).toEqual(['new 0', 'next'])
    await again.return?.()
  })

  it('ends a read where it would go on behind the cut, and no other', async () => {
    const reads: RecordStream<Shown>[] = []
    const { directory, reader } = await shortened((log) => {
      for (const from of [KEPT - 1, KEPT + 1, 'latest'] as const)
        reads.push(log.read({ from, live: true }))
    })
    const [below, behind, atEnd] = reads
    if (below === undefined || behind === undefined || atEnd === undefined) throw new Error('none')
    const partition = reader.topic(TOPIC).partition(0)
    await write(directory, 2)
    while (partition.logEndOffset !== KEPT + 2) await nextTurn()
    for (const [read, offset] of [
      [behind, KEPT + 1],
      [atEnd, KEPT + LOST],
    ] as const) {
      expect(await failureOf(read.next())).toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
        details: { offset, logStartOffset: 0, logEndOffset: KEPT },
      })
    }
    const seen = [shown(await below.next()), shown(await below.next()), shown(await below.next())]
    expect(seen).toEqual([`kept ${KEPT - 1}`, 'new 0', 'new 1'])
    await below.return?.()
  })

  it('ends a read that has what is lost at hand when it has given it', async () => {
    const reads: RecordStream<Shown>[] = []
    const { directory } = await shortened(async (log) => {
      const one = log.read({ live: true })
      for (let n = 0; n <= KEPT; n += 1) await one.next()
      reads.push(one)
    })
    const [read] = reads
    if (read === undefined) throw new Error('none')
    await write(directory, LOST + 5)
    const seen: string[] = []
    const all = (async () => {
      for await (const record of read) seen.push(textOf(record))
    })()
    expect(await failureOf(all)).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect(seen.filter((text) => text.startsWith('new'))).toEqual([])
  })
})
