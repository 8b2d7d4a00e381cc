/**
 * A live reader of one partition: it shows every record that it has to, in order, and nothing of a
 * transaction that is open or was aborted; what it has shown of one that is durable stays.
 */
import type { LogRecord, RecordStream } from '../../../src/index.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { must, partOf, type BookedRecord, type Shown } from './transaction-book.ts'
import type { TransactionWorld } from './transaction-world.ts'

/** See the file's header. */
export class ModelReader {
  readonly place: string
  readonly isolation: 'read_committed' | 'read_uncommitted'
  readonly visibility: 'written' | 'durable'
  readonly #world: TransactionWorld
  readonly #stream: RecordStream<LogRecord>
  readonly #from: number
  /** What it has shown since the last check; all before was right. */
  #unchecked: BookedRecord[] = []
  /** Offset behind the last record that was checked. */
  #checked: number
  #isOver = false

  constructor(world: TransactionWorld) {
    const { random } = world
    this.#world = world
    this.place = random.oneOf('a-0', 'a-1', 'b-0', 'b-1', 'out-0', 'out-1')
    this.isolation = random.oneOf('read_committed', 'read_committed', 'read_uncommitted')
    this.visibility = random.oneOf('written', 'written', 'durable')
    const { logEndOffset } = world.partition(this.place)
    this.#from = random.below(2) === 0 ? 0 : random.below(logEndOffset + 1)
    this.#checked = this.#from
    const { partition, topic } = partOf(this.place)
    this.#stream = world.log.topic(topic).partition(partition).read({
      from: this.#from,
      live: true,
      isolation: this.isolation,
      visibility: this.visibility,
    })
    void this.#follow()
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#stream.return?.()
  }

  /** What it has shown is a prefix of what there is to see from where it began. */
  check(shown: ReadonlyMap<string, Shown>): void {
    const last = this.#unchecked.at(-1)
    const { all, committed } = shown.get(this.place) ?? { all: [], committed: [] }
    const there = this.isolation === 'read_committed' ? committed : all
    if (last !== undefined) {
      const range = there.filter(({ offset }) => offset >= this.#checked && offset <= last.offset)
      const isSame =
        range.length === this.#unchecked.length &&
        range.every((record, index) => record === this.#unchecked[index])
      must(
        isSame,
        () =>
          `a reader of ${this.place} (${this.isolation}) shows ` +
          `${offsetsOf(this.#unchecked)} from ${this.#checked} on, not ${offsetsOf(range)}`,
      )
      this.#checked = last.offset + 1
      this.#unchecked = []
    }
    this.#checkReach(there)
  }

  /** Nobody is kept waiting: it has shown all that it may. */
  #checkReach(there: readonly BookedRecord[]): void {
    if (this.#isOver || this.#world.isStopped) return
    const { durableOffset } = this.#world.partition(this.place)
    const end = this.visibility === 'durable' ? durableOffset : Infinity
    const missing = there.find(({ offset }) => offset >= this.#checked && offset < end)
    must(
      missing === undefined || this.visibility === 'durable',
      () => `a reader of ${this.place} (${this.isolation}) does not get ${missing?.offset}`,
    )
  }

  async #follow(): Promise<void> {
    const { life } = this.#world
    try {
      for await (const record of this.#stream) {
        if (life !== this.#world.life) return
        this.#take(record)
      }
      this.#isOver = true
    } catch (error) {
      this.#isOver = true
      if (!LogError.is(error, 'CLOSED')) this.#world.fail(error, life)
    }
  }

  #take(record: LogRecord): void {
    if (this.#world.isStopped) return
    const { book } = this.#world
    const { offset } = record
    const booked = book.find(this.place, record)
    const what = (): string => `a reader of ${this.place} (${this.isolation}): ${offset}`
    const partition = this.#world.partition(this.place)
    must(offset >= this.#checked, () => `${what()} comes again`)
    must(
      this.isolation === 'read_uncommitted' || offset < partition.lastStableOffset,
      () => `${what()} is not stable`,
    )
    must(
      this.visibility === 'written' || offset < partition.durableOffset,
      () => `${what()} is not durable`,
    )
    booked.offset = offset
    this.#unchecked.push(booked)
    this.#world.tally.read += 1
    const { transaction } = booked
    if (this.isolation === 'read_uncommitted' || transaction === null) return
    must(
      transaction.outcome === 'ending' ||
        transaction.outcome === 'committed' ||
        transaction.outcome === 'unknown',
      () => `${what()} is of a transaction that is ${transaction.outcome}`,
    )
    if (transaction.seenBy !== 'durable') transaction.seenBy = this.visibility
  }
}

function offsetsOf(records: readonly BookedRecord[]): string {
  return `[${records.map(({ offset }) => offset).join()}]`
}
