/**
 * Tables in a log that another process writes: they are what loading them anew would give, whatever
 * the writer did meanwhile, and end with their topic, their log and its directory.
 */
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { Table } from '../../../src/client/group-types.ts'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import type { LogError } from '../../../src/errors/log-error.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

const Words = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  segmentBytes: 1_024,
  deleteRetentionMs: 0,
  minCleanableDirtyRatio: 0,
  fileDeleteDelayMs: 0,
})
const NONE = { housekeepingIntervalMs: null } as const

interface Followed {
  readonly directory: string
  readonly writer: EventLog
  readonly reader: EventLog
  readonly table: Table<string, string | null>
}

async function followed(): Promise<Followed> {
  const directory = join(temporaryDirectory(), 'log')
  const writer = await EventLog.open(directory, { ...NONE, topics: [Words] })
  closeWhenDone(writer)
  put(writer, { a: '1', b: '2' })
  const reader = await EventLog.open(directory, { readOnly: true })
  closeWhenDone(reader)
  return { directory, writer, reader, table: await reader.topic(Words).table() }
}

function put(log: EventLog, values: Readonly<Record<string, string | null>>): void {
  const records = Object.entries(values).map(([key, value]) => ({ key, value }))
  log.topic(Words).partition(0).append(records)
}

function shown(table: Table<string, string | null>): Readonly<Record<string, string | null>> {
  return Object.fromEntries(table.entries())
}

/** Resolves when the table shows that. */
async function shows(
  table: Table<string, string | null>,
  expected: Readonly<Record<string, string | null>>,
): Promise<void> {
  const wanted = textOf(expected)
  await until(table, () => textOf(shown(table)) === wanted)
}

function textOf(values: Readonly<Record<string, string | null>>): string {
  const pairs = Object.entries(values).map(([key, value]) => `${key}=${value}`)
  return pairs.toSorted((a, b) => (a < b ? -1 : 1)).join()
}

/** Resolves when a change of the table makes it so. */
async function until(table: Table<string, string | null>, isSo: () => boolean): Promise<void> {
  if (isSo()) return
  await new Promise<void>((resolve) => {
    const unsubscribe = table.subscribe(() => {
      if (!isSo()) return
      unsubscribe()
      resolve()
    })
  })
}

describe('a table of a log that another process writes', () => {
  it('has what was written, and what is written from then on', async () => {
    const { writer, table } = await followed()
    await shows(table, { a: '1', b: '2' })
    put(writer, { b: null, c: '3' })
    await shows(table, { a: '1', c: '3' })
  })

  it('has what a transaction wrote once it is committed, and nothing of one that is not', async () => {
    const { writer, table } = await followed()
    const producer = writer.producer()
    const aborted = producer.transaction(async (tx) => {
      await tx.send({ topic: 'words', key: 'a', value: 'aborted' })
      throw new Error('no')
    })
    await expect(aborted).rejects.toThrow('no')
    await producer.transaction(async (tx) => {
      await tx.send({ topic: 'words', key: 'a', value: 'committed' })
    })
    await shows(table, { a: 'committed', b: '2' })
  })

  it('stays what it is while segments are compacted and let go under it', async () => {
    const { writer, table } = await followed()
    for (let round = 0; round < 5; round++) {
      for (let count = 0; count < 50; count++) put(writer, { a: `${round}`, b: `${count}` })
      put(writer, { b: null, [`k${round}`]: 'x' })
      await writer.flush()
      await writer.runHousekeeping({ force: true })
    }
    put(writer, { end: 'e' })
    const expected = Object.fromEntries([0, 1, 2, 3, 4].map((round) => [`k${round}`, 'x']))
    await shows(table, { a: '4', end: 'e', ...expected })
  })

  it('has the partitions that are added', async () => {
    const { writer, table } = await followed()
    await writer.topic(Words).addPartitions(3)
    writer.topic(Words).partition(2).append({ key: 'new', value: 'n' })
    await shows(table, { a: '1', b: '2', new: 'n' })
  })

  it('goes on with the next writer', async () => {
    const { directory, writer, table } = await followed()
    await writer.close()
    const next = await EventLog.open(directory, NONE)
    closeWhenDone(next)
    put(next, { a: 'next' })
    await shows(table, { a: 'next', b: '2' })
  })

  it('shows only what is durable where its log was opened so', async () => {
    const { directory, writer } = await followed()
    const reader = await EventLog.open(directory, { readOnly: true, visibility: 'durable' })
    closeWhenDone(reader)
    put(writer, { a: 'written' })
    const table = await reader.topic(Words).table()
    expect(table.get('a')).not.toBe('written')
    await writer.flush()
    await shows(table, { a: 'written', b: '2' })
  })

  it('ends with its topic, with its log, and with its directory', async () => {
    const { directory, writer, reader, table } = await followed()
    const other = await EventLog.open(directory, { readOnly: true })
    const closed = await other.topic(Words).table()
    await other.close()
    expect(refusal(() => closed.get('a')).code).toBe('CLOSED')
    const deleted = nextEnd(reader)
    await writer.deleteTopic(Words)
    expect((await deleted).code).toBe('TOPIC_NOT_FOUND')
    expect(refusal(() => table.get('a')).code).toBe('TOPIC_NOT_FOUND')
    await writer.createTopic(Words)
    const left = await reader.topic(Words).table()
    const lost = nextEnd(reader)
    rmSync(directory, { recursive: true })
    expect((await lost).code).toBe('IO')
    expect(refusal(() => left.get('a')).code).toBe('IO')
  })

  it('is loaded anew where its log was cut, and shows no part of it on the way', async () => {
    const root = temporaryDirectory()
    const [directory, copy] = [join(root, 'log'), join(root, 'copy')]
    mkdirSync(directory)
    const first = await EventLog.open(directory, { ...NONE, topics: [Words] })
    put(first, { a: 'kept', b: 'kept', c: 'kept' })
    await first.flush()
    cpSync(directory, copy, { recursive: true }) // Its writer has not closed it.
    put(first, { a: 'lost', d: 'lost', b: null })
    const reader = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(reader)
    const table = await reader.topic(Words).table()
    await shows(table, { a: 'lost', c: 'kept', d: 'lost' })
    await first.close()
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true })
    cpSync(copy, directory, { recursive: true })

    const told = new Map<string, string | null | undefined>()
    const seen = new Set<string>()
    table.subscribe((key, value) => {
      told.set(key, value)
      seen.add(textOf(shown(table)))
    })
    const next = await EventLog.open(directory, NONE)
    closeWhenDone(next)
    put(next, { c: 'new' })
    await shows(table, { a: 'kept', b: 'kept', c: 'new' })
    expect(Object.fromEntries(told)).toEqual({ a: 'kept', b: 'kept', c: 'new', d: undefined })
    for (const one of seen) expect(one).toContain('c=')
    put(next, { e: 'goes on' })
    await shows(table, { a: 'kept', b: 'kept', c: 'new', e: 'goes on' })
  })
})

/** What a live read of the topic ends with. */
async function nextEnd(reader: EventLog): Promise<LogError> {
  const read = reader.topic(Words).partition(0).read({ live: true })
  return await rejection(
    (async () => {
      for await (const record of read) void record
    })(),
  )
}
