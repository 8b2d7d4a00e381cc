/**
 * Who hears of a table's changes: in which order, in the middle of what, and what that may break.
 */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { Table } from '../../../src/client/group-types.ts'
import { serdes } from '../../../src/client/serde.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { closeWhenDone } from '../open-log.ts'
import { refusal } from '../refusal.ts'

const Words = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  partitions: 2,
})
type Words = Topic<string, string | null, 'words'>

interface World {
  readonly log: EventLog
  readonly words: Words
  readonly table: Table<string, string>
  readonly told: string[]
  /** Appends words such as `a=1`, or `a` alone for a tombstone, as one batch. */
  put(...pairs: readonly string[]): void
}

async function world(): Promise<World> {
  const log = EventLog.inMemory({ topics: [Words] })
  closeWhenDone(log)
  const words = log.topic(Words)
  const table = await words.table()
  const put = (...pairs: readonly string[]): void => {
    const records = pairs.map((pair) => {
      const [key = '', value = null] = pair.split('=')
      return { key, value }
    })
    words.partition(0).append(records)
  }
  return { log, words, table, told: [], put }
}

/** What escapes the listeners of a table while `work` runs. */
async function uncaught(work: () => void): Promise<readonly unknown[]> {
  const errors: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => errors.push(error))
  try {
    work()
    for (let turn = 0; turn < 5; turn++) await nextTurn()
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
  }
  return errors
}

describe('a listener of a table', () => {
  it('hears of each change in the append that brings it, in order', async () => {
    const { table, put, told } = await world()
    table.subscribe((key, value) => told.push(`${key}=${value}`))
    put('a=1', 'b=2', 'a=3')
    expect(told).toEqual(['a=1', 'b=2', 'a=3'])
    put('a', 'c', 'b=2')
    expect(told.slice(3)).toEqual(['a=undefined', 'b=2'])
  })

  it('finds everything in the table that came with what it hears of', async () => {
    const { table, put, told } = await world()
    table.subscribe((key) => told.push(`${key}: ${table.get('a')} ${table.get('b')}`))
    put('a=1', 'b=2')
    expect(told).toEqual(['a: 1 2', 'b: 1 2'])
  })

  it('hears of changes that listeners make after those that were made before', async () => {
    const { table, put, told } = await world()
    table.subscribe((key, value) => {
      told.push(`first ${key}=${value}`)
      if (key !== 'a') return
      put(`from a=${value}`)
      told.push(`seen ${table.get('from a')}`)
    })
    table.subscribe((key, value) => told.push(`second ${key}=${value}`))
    put('a=1', 'b=2')
    expect(told).toEqual([
      'first a=1',
      'seen 1',
      'second a=1',
      'first b=2',
      'second b=2',
      'first from a=1',
      'second from a=1',
    ])
  })

  it('may end its own and other subscriptions, and begin new ones, while it is called', async () => {
    const { table, put, told } = await world()
    const endFirst = table.subscribe((key) => {
      told.push(`first ${key}`)
      endFirst()
      endFirst()
      endSecond()
      table.subscribe((later) => told.push(`third ${later}`))
    })
    const endSecond = table.subscribe((key) => told.push(`second ${key}`))
    put('a=1', 'b=2')
    expect(told).toEqual(['first a'])
    put('c=3')
    expect(told).toEqual(['first a', 'third c'])
  })

  it('is called as often as it subscribed, and its ends are its own', async () => {
    const { table, put, told } = await world()
    const listener = (key: string): number => told.push(key)
    const end = table.subscribe(listener)
    table.subscribe(listener)
    put('a=1')
    end()
    put('b=2')
    expect(told).toEqual(['a', 'a', 'b'])
  })

  it('that throws breaks neither the append nor the others, and is uncaught', async () => {
    const { table, put, told } = await world()
    const failure = new Error('a listener failed')
    table.subscribe(() => {
      throw failure
    })
    table.subscribe((key) => told.push(key))
    const errors = await uncaught(() => put('a=1', 'b=2'))
    expect(errors).toEqual([failure, failure])
    expect(told).toEqual(['a', 'b'])
    expect(table.get('b')).toBe('2')
  })

  it('may send, begin transactions and delete records', async () => {
    const { log, words, table, told, put } = await world()
    const work: Promise<unknown>[] = []
    table.subscribe((key, value) => {
      told.push(`${key}=${value}`)
      if (key !== 'a' || value === undefined) return
      log.producer().enqueue(words, { key: 'sent', value: 'x', partition: 0 })
      work.push(
        log.producer().transaction(async (tx) => {
          await tx.send(words, { key: 'tx', value: 'y', partition: 1 })
        }),
        words.partition(0).deleteRecords(1),
      )
    })
    put('a=1', 'b=2')
    await Promise.all(work)
    await log.flush()
    await nextTurn()
    expect(told.toSorted()).toEqual(['a=1', 'a=undefined', 'b=2', 'sent=x', 'tx=y'])
    expect(Object.fromEntries(table)).toEqual({ b: '2', sent: 'x', tx: 'y' })
  })

  it('may send in the middle of a commit, of a batch that a producer appends, and of a sync', async () => {
    const { log, words, table } = await world()
    let depth = 0
    const producer = log.producer()
    table.subscribe((key) => {
      if (key.startsWith('echo')) return
      depth += 1
      producer.enqueue(words, { key: `echo ${key}`, value: `${depth}` })
      words.partition(0).append({ key: `echo of ${key}`, value: 'x' })
    })
    const tx = await producer.begin()
    await tx.send(words, { key: 'in a transaction', value: '1' })
    await Promise.all(
      Array.from({ length: 50 }, (_, number) =>
        producer.send(words, { key: `k${number}`, value: 'v' }),
      ),
    )
    await tx.commit()
    await producer.flush()
    expect(table.size).toBe(3 * 51)
  })

  it('may close the table, and hears nothing more', async () => {
    const { table, put, told } = await world()
    table.subscribe((key) => {
      told.push(key)
      void table.close()
    })
    put('a=1', 'b=2')
    put('c=3')
    expect(told).toEqual(['a'])
    expect(refusal(() => table.get('a')).code).toBe('CLOSED')
  })

  it('may delete the topic and close the log', async () => {
    const { log, table, put, told } = await world()
    const work: Promise<unknown>[] = []
    table.subscribe((key) => {
      told.push(key)
      work.push(log.deleteTopic('words'), log.close())
    })
    put('a=1')
    await Promise.allSettled(work)
    expect(told).toEqual(['a'])
    expect(refusal(() => table.get('a')).code).toMatch(/CLOSED|TOPIC_NOT_FOUND/)
  })

  it('gets values of its own', async () => {
    const { log } = await world()
    const bytes = await log.topic('words').table()
    const told: string[] = []
    for (let number = 0; number < 2; number++) {
      bytes.subscribe((key, value) => {
        told.push(`${String(key)}=${String(value)}`)
        key?.fill(0)
        value?.fill(0)
      })
    }
    log.topic('words').partition(0).append({ key: 'a', value: '1' })
    expect(told).toEqual(['a=1', 'a=1'])
    expect(bytes.get(Buffer.from('a'))?.toString()).toBe('1')
  })

  it('is no function but a listener’s: anything else is refused', async () => {
    const { table } = await world()
    // @ts-expect-error no function
    expect(refusal(() => table.subscribe('x')).code).toBe('INVALID_ARGUMENT')
  })

  it('is passed over where it cannot be given a value, which is uncaught', async () => {
    const { log, put } = await world()
    const Numbers = defineTopic('words', {
      key: serdes.string,
      value: serdes.int32,
      cleanupPolicy: 'compact',
    })
    const table = await log.topic(Numbers).table()
    const told: unknown[] = []
    table.subscribe((key, value) => told.push([key, value]))
    const errors = await uncaught(() => put('a=no number', 'b=four', 'a'))
    expect(errors).toMatchObject([{ code: 'INVALID_RECORD' }])
    expect(told).toEqual([
      ['b', 0x666f_7572],
      ['a', undefined],
    ])
  })
})
