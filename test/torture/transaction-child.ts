/**
 * The child of the kills of transactions: opens a log, tells what readers of what is committed find
 * in it, and runs transactions until it is killed: writers that put the same number into three
 * topics, and a group that moves what is in one of them to another. What it is told it writes into
 * a journal, a line for each thing: a kill takes nothing of a file.
 *
 *   life <number>              it has the log, and has written down what it found
 *   begun <number> <left|all>  before the transaction is, and which topics it writes to
 *   committed <number>         after its commit resolved
 *   aborted <number>           after its function threw
 *   drained                    everything was moved, and the log closed
 *
 * Its output says `ready` once it has the log, and then a line for each transaction that ended.
 */
import { openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { EventLog, LogError, type Consumer, type Producer, type Topic } from '../../src/index.ts'
import type { FoundRecord, TransactionLife } from './transaction-kills.ts'

const PARTITIONS = 2
const WRITERS = 3
const MOVERS = 2
const GROUP = 'movers'

const life = JSON.parse(readFileSync(0, 'utf8')) as TransactionLife // The parent wrote it.
const journal = openSync(life.journal, 'a')

function tell(...words: readonly (string | number)[]): void {
  writeSync(journal, `${words.join(' ')}\n`)
}

/** What a transaction is left with. */
class Thrown extends Error {}

const log = await EventLog.open(life.directory, {
  lockTimeoutMs: 20_000,
  onWarning: () => undefined,
})
const topics: Readonly<Record<'left' | 'right' | 'in' | 'out', Topic>> = {
  left: await log.ensureTopic('left', { partitions: PARTITIONS, segmentBytes: 65_536 }),
  right: await log.ensureTopic('right'),
  in: await log.ensureTopic('in', { partitions: PARTITIONS }),
  out: await log.ensureTopic('out', { partitions: PARTITIONS }),
}
const group = log.consumerGroup(GROUP, {
  topics: ['in'],
  autoCommit: life.number % 2 === 0,
})
look()
tell('life', life.number)
process.stdout.write('ready\n')
let count = 0
if (life.isLast) await drain()
else {
  const writers = Array.from({ length: WRITERS }, (_, index) => write(index))
  const movers = Array.from({ length: MOVERS }, () => move(() => false))
  await Promise.all([...writers, ...movers])
}

/** What readers of what is committed find, whole or not at all: it is renamed into its place. */
function look(): void {
  const found: Record<string, FoundRecord[]> = {}
  for (const [name, topic] of Object.entries(topics)) {
    const records: FoundRecord[] = (found[name] = [])
    for (const partition of topic.partitions) {
      for (const record of partition.records({ isolation: 'read_committed' })) {
        const { offset, value } = record
        records.push({ partition: partition.index, offset, value: String(value) })
      }
    }
  }
  const positions = group.offsets().map(({ partition, offset }) => ({ partition, offset }))
  writeFileSync(`${life.found}.new`, JSON.stringify({ found, positions }))
  renameSync(`${life.found}.new`, life.found)
}

/** Writes the same number into three topics, or into one, again and again. */
async function write(index: number): Promise<void> {
  const id = index === 0 ? undefined : `writer ${index}`
  let producer = log.producer({ transactionalId: id })
  for (let round = 0; ; round++) {
    const number = `${life.number}.${count++}`
    // Somebody else of that id: a fence.
    if (round % 20 === 19) producer = log.producer({ transactionalId: id })
    const throws = round % 7 === 3
    const isSmall = round % 3 === 1
    tell('begun', number, isSmall ? 'left' : 'all')
    try {
      await producer.transaction(async (tx) => {
        const partition = round % PARTITIONS
        await tx.send({ topic: 'left', partition, value: number })
        if (isSmall) return
        const sends = [
          tx.send({ topic: 'right', value: number }),
          tx.send({ topic: 'in', partition, value: number }),
        ]
        await Promise.all(sends)
        if (throws) throw new Thrown('on purpose')
      })
      tell('committed', number)
    } catch (error) {
      if (!(error instanceof Thrown)) throw error
      tell('aborted', number)
    }
    process.stdout.write('ended\n')
    if (round % 5 === 0) await delay(1)
  }
}

/** Moves what is in one topic to another, and goes on where a transaction of it has left off. */
async function move(isDone: () => boolean): Promise<void> {
  const producer = log.producer()
  let member = await group.join()
  await member.ready()
  for (let round = 0; !isDone(); round++) {
    const throws = round % 9 === 4 && !life.isLast
    if (await moveSome(member, producer, throws)) continue
    await member.leave()
    member = await group.join()
    await member.ready()
  }
  await member.leave()
}

async function moveSome(member: Consumer, producer: Producer, throws: boolean): Promise<boolean> {
  const records = await member.poll({ max: 20, timeoutMs: 5 })
  if (records.length === 0) return true
  try {
    await producer.transaction(async (tx) => {
      for (const { partition, offset } of records) {
        void tx.send({ topic: 'out', partition, value: `${partition}@${offset}` })
      }
      tx.commitOffsets(member)
      if (throws) throw new Thrown('on purpose')
    })
    return true
  } catch (error) {
    if (error instanceof Thrown || isTakenAway(error)) return false
    throw error
  }
}

/** The other mover joined meanwhile, and got a partition of which nothing was in hand. */
function isTakenAway(error: unknown): boolean {
  return LogError.is(error, 'TRANSACTION_ABORTED') && LogError.is(error.cause, 'REBALANCED')
}

async function drain(): Promise<void> {
  await move(() => group.lag().total === 0)
  look()
  await log.close()
  tell('drained')
}
