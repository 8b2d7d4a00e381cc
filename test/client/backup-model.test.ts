/**
 * Random writers, plain and transactional, over two topics, with backups at random moments while
 * they go on: what each copy holds is a prefix of every partition of the log, every transaction of
 * it is there in all partitions or in none, and what was acknowledged before the backup was asked
 * for is in it. Positions of groups that move with transactions are of transactions that are there.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog, Producer } from '../../src/index.ts'
import { historySeed, SeededRandom } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { nowhere, openSmall } from './backup-support.ts'

const TOPICS = ['one', 'two'] as const
const PARTITIONS = 2
const GROUP = 'readers'

/** What became of everything that was written, by its value. */
class Book {
  readonly acknowledged = new Set<string>()
  /** Values of each transaction that was begun. */
  readonly transactions: string[][] = []
  readonly committed = new Set<number>()
  readonly aborted = new Set<number>()
  count = 0

  next(kind: string): string {
    return `${kind} ${this.count++}`
  }
}

async function writePlain(log: EventLog, book: Book, random: SeededRandom): Promise<void> {
  const value = book.next('plain')
  const topic = TOPICS[random.below(2)] ?? 'one'
  await log.topic(topic).send({ value, partition: random.below(PARTITIONS) })
  book.acknowledged.add(value)
}

async function writeTogether(
  log: EventLog,
  producer: Producer,
  book: Book,
  random: SeededRandom,
): Promise<void> {
  const number = book.transactions.length
  const values: string[] = []
  book.transactions.push(values)
  const isMeantToAbort = random.below(4) === 0
  const places = 1 + random.below(4)
  const running = producer.transaction(async (tx) => {
    for (let place = 0; place < places; place++) {
      const value = book.next(`transaction ${number}`)
      values.push(value)
      const topic = TOPICS[random.below(2)] ?? 'one'
      await tx.send(log.topic(topic), { value, partition: random.below(PARTITIONS) })
      await turns(random.below(3))
    }
    if (isMeantToAbort) throw new Error('meant')
  })
  if (isMeantToAbort) {
    await expect(running).rejects.toThrow('meant')
    book.aborted.add(number)
  } else {
    await running
    book.committed.add(number)
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Values by partition, with their offsets. */
function valuesOf(log: EventLog, isolation: 'read_committed' | 'read_uncommitted'): string[][] {
  return TOPICS.flatMap((topic) =>
    log
      .topic(topic)
      .partitions.map((partition) =>
        [...partition.records({ isolation })].map(
          ({ offset, value }) => `${offset} ${value?.toString() ?? ''}`,
        ),
      ),
  )
}

function withoutOffset(entry: string): string {
  return entry.slice(entry.indexOf(' ') + 1)
}

/** What was known when a backup was asked for. */
interface Moment {
  readonly destination: string
  readonly acknowledged: readonly string[]
  readonly committed: readonly number[]
}

async function check(log: EventLog, book: Book, moment: Moment): Promise<void> {
  const copy = await openSmall(moment.destination)
  const [all, ofLog] = [copy, log].map((one) => valuesOf(one, 'read_uncommitted'))
  for (const [index, entries] of (all ?? []).entries()) {
    expect(entries).toEqual(ofLog?.[index]?.slice(0, entries.length))
  }
  const visible = new Set(valuesOf(copy, 'read_committed').flat().map(withoutOffset))
  for (const value of moment.acknowledged) expect(visible).toContain(value)
  for (const [number, values] of book.transactions.entries()) {
    const seen = values.filter((value) => visible.has(value)).length
    expect([0, values.length], `transaction ${number}`).toContain(seen)
    if (moment.committed.includes(number)) expect(seen).toBe(values.length)
    if (book.aborted.has(number)) expect(seen).toBe(0)
  }
  expect(copy.recovery.positions).toEqual([])
  await copy.close()
}

async function play(seed: number): Promise<void> {
  const random = new SeededRandom(seed)
  const log = await openSmall(temporaryDirectory(), { topicDefaults: { segmentBytes: 1_024 } })
  for (const topic of TOPICS) await log.createTopic(topic, { partitions: PARTITIONS })
  const book = new Book()
  const moments: Moment[] = []
  const producers = [log.producer({ transactionalId: 'fixed' }), log.producer()]
  const writers = [
    ...producers.map(async (producer) => {
      for (let count = 0; count < 12; count++) {
        await writeTogether(log, producer, book, random)
        await turns(random.below(4))
      }
    }),
    ...[1, 2].map(async () => {
      for (let count = 0; count < 25; count++) {
        await writePlain(log, book, random)
        await turns(random.below(3))
      }
    }),
  ]
  const again = nowhere()
  const backups = (async () => {
    for (let count = 0; count < 4; count++) {
      await turns(random.below(30))
      // The same directory brought up to date, and new ones.
      const destination = count % 2 === 0 ? nowhere() : again
      const moment = {
        destination,
        acknowledged: [...book.acknowledged],
        committed: [...book.committed],
      }
      await log.backup(destination)
      if (destination !== again || count === 3) moments.push(moment)
    }
  })()
  await Promise.all([...writers, backups])
  for (const moment of moments) await check(log, book, moment)
  await log.close()
}

describe('backups beside random writers', () => {
  it.each([0, 1, 2, 3])('hold a prefix, transactions whole (history %i)', async (index) => {
    await play(historySeed * 1_000 + index)
  })

  it('hold positions of groups with what they are committed of', async () => {
    const log = await openSmall(temporaryDirectory())
    await log.createTopic('one')
    await log.createTopic('two')
    const consumer = await log.consumerGroup(GROUP, { topics: ['one'] }).join()
    const producer = log.producer()
    const destinations: string[] = []
    const copying = (async () => {
      for (let count = 0; count < 5; count++) {
        await turns(8)
        const destination = nowhere()
        await log.backup(destination)
        destinations.push(destination)
      }
    })()
    for (let count = 0; count < 25; count++) {
      await log.topic('one').send({ value: `${count}` })
      const [record] = await consumer.poll({ max: 1 })
      await producer.transaction(async (tx) => {
        await tx.send(log.topic('two'), { value: record?.value?.toString() ?? '' })
        tx.commitOffsets(consumer)
      })
    }
    await copying
    await consumer.leave()
    for (const destination of destinations) {
      const copy = await openSmall(destination)
      const results = copy.topic('two').partition(0).records({ isolation: 'read_committed' })
      const count = [...results].length
      const [position] = copy.consumerGroup(GROUP).offsets()
      expect(position?.offset ?? 0).toBe(count)
      expect(copy.recovery.positions).toEqual([])
      await copy.close()
    }
  })
})
