/**
 * Moves records of the topic `a` to the topic `out`, with a group's members: what they were handed
 * is sent and the positions committed in one transaction, which may throw. However histories go,
 * `out` has a copy of exactly those records that lie below the positions of the group.
 */
import { LogError } from '../../../src/errors/log-error.ts'
import type { Consumer, Producer } from '../../../src/index.ts'
import { must, placeOf, type BookedTransaction, type Shown } from './transaction-book.ts'
import type { TransactionWorld } from './transaction-world.ts'

const GROUP = 'mover'
const SOURCES: readonly string[] = ['a-0', 'a-1']
const TARGETS: readonly string[] = ['out-0', 'out-1']
const MEMBERS = 2
const TIMEOUT_MS = 60_000

interface Member {
  consumer: Consumer | undefined
  producer: Producer | undefined
  isBusy: boolean
}

/** See the file's header. */
export class RecordMover {
  readonly #world: TransactionWorld
  readonly #autoCommit: boolean
  #members: readonly Member[] = newMembers()

  constructor(world: TransactionWorld) {
    this.#world = world
    this.#autoCommit = world.random.below(2) === 0
  }

  /** One member takes what there is, copies it, and commits, or throws on the way. */
  move(): void {
    const { random } = this.#world
    const member = this.#members[random.below(MEMBERS)]
    if (member === undefined || member.isBusy) return
    member.isBusy = true
    const moved = this.#move(member, 1 + random.below(6), random.below(4) === 0)
    this.#world.track('move', moved, ['CLOSED', 'REBALANCED'], () => void (member.isBusy = false))
  }

  /** The process is gone. */
  ended(): void {
    this.#members = newMembers()
  }

  /** The log closes. */
  ending(): void {
    for (const member of this.#members) member.isBusy = true
  }

  check(shown: ReadonlyMap<string, Shown>): void {
    const copies = new Set<string>()
    for (const target of TARGETS) {
      for (const { source } of shown.get(target)?.committed ?? []) {
        must(source !== undefined, () => `${target} shows what nobody copied`)
        const name = `${source.place}@${source.offset}`
        must(!copies.has(name), () => `${name} was moved twice`)
        copies.add(name)
      }
    }
    const offsets = this.#world.offsetsOf(GROUP)
    let expected = 0
    for (const place of SOURCES) {
      const found = offsets.find((one) => placeOf(one) === place)?.offset ?? 0
      for (const { offset } of shown.get(place)?.committed ?? []) {
        if (offset >= found) break
        expected += 1
        must(copies.has(`${place}@${offset}`), () => `${place}@${offset} is passed over`)
      }
    }
    must(copies.size === expected, () => `${copies.size} were moved, ${expected} are committed`)
  }

  async #move(member: Member, max: number, throws: boolean): Promise<void> {
    const { log, tally, book, life } = this.#world
    const options = { topics: ['a'], autoCommit: this.#autoCommit, visibility: 'written' } as const
    member.consumer ??= await log.consumerGroup(GROUP, options).join()
    member.producer ??= log.producer({ transactionTimeoutMs: TIMEOUT_MS })
    const { consumer, producer } = member
    const records = await consumer.poll({ max, timeoutMs: 0 })
    if (records.length === 0) return
    const booked = book.begin(this.#world.nowMs + TIMEOUT_MS)
    tally.transactions += 1
    try {
      await producer.transaction(async (tx) => {
        for (const [index, { topic, partition, offset }] of records.entries()) {
          const place = TARGETS[(offset + index) % TARGETS.length] ?? 'out-0'
          const copy = book.send(place, booked, { place: placeOf({ topic, partition }), offset })
          const part = { topic: 'out', partition: Number(place.slice(-1)) }
          const sent = await tx.send({ ...part, value: `${copy.id}` })
          copy.offset = sent.offset
          copy.state = 'appended'
        }
        tx.commitOffsets(consumer)
        if (throws) {
          booked.outcome = 'aborted'
          throw new Thrown('on purpose')
        }
        booked.outcome = 'ending'
      })
      if (life !== this.#world.life) return
      this.#over(booked, 'committed')
      tally.moved += records.length
    } catch (error) {
      if (life !== this.#world.life || this.#world.isStopped) return
      this.#checkError(booked, error)
      this.#over(booked, 'aborted')
      member.consumer = undefined
      // It has gone on beyond what was committed: the next one begins there.
      await (this.#world.random.below(2) === 0 ? consumer.leave() : consumer[Symbol.asyncDispose]())
    }
  }

  /** A member that lost its partitions meanwhile cannot commit for them. */
  #checkError(booked: BookedTransaction, error: unknown): void {
    if (error instanceof Thrown || LogError.is(error, 'REBALANCED', 'CLOSED')) return
    if (LogError.is(error, 'TRANSACTION_ABORTED')) {
      if (LogError.is(error.cause, 'REBALANCED', 'CLOSED')) return
      if (this.#world.nowMs >= booked.expiresAtMs) return
      if (this.#members.every(({ isBusy }) => isBusy)) return // The log is closing.
    }
    throw error
  }

  #over(booked: BookedTransaction, outcome: 'committed' | 'aborted'): void {
    const { tally } = this.#world
    booked.outcome = outcome
    booked.isSettled = true
    tally[outcome] += 1
  }
}

/** What a transaction is left with. */
class Thrown extends Error {}

function newMembers(): readonly Member[] {
  return Array.from({ length: MEMBERS }, () => ({
    consumer: undefined,
    producer: undefined,
    isBusy: false,
  }))
}
