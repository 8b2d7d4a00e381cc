/**
 * A reader of the model of housekeeping: it takes a few records at a time, while segments are
 * deleted and replaced around where it stands.
 *   I1  what it passes over is gone, or is none of what it reads
 *   I2  it fails only where the log starts behind it by now
 */
import { LogError } from '../../../src/errors/log-error.ts'
import type { Isolation, LogRecord } from '../../../src/index.ts'
import { must } from '../transactions/transaction-book.ts'
import type { HousekeepingWorld } from './housekeeping-world.ts'

/** See the file's header. */
export class ModelReader {
  readonly #world: HousekeepingWorld
  readonly #topic: string
  readonly #isolation: Isolation
  readonly #records: AsyncIterator<LogRecord, unknown>
  #next: number
  isOver = false

  constructor(world: HousekeepingWorld, topic: string) {
    const { random } = world
    this.#world = world
    this.#topic = topic
    this.#isolation = random.oneOf('read_committed', 'read_uncommitted')
    const partition = world.partition(topic)
    this.#next = partition.logStartOffset
    this.#records = partition.read({ from: this.#next, isolation: this.#isolation })
  }

  /** Takes so many records, or what there are. */
  async take(count: number): Promise<void> {
    for (let left = count; left > 0 && !this.isOver; left -= 1) {
      try {
        const next = await this.#records.next()
        if (next.done === true) this.isOver = true
        else this.#took(next.value)
      } catch (error) {
        this.isOver = true
        this.#failed(error)
      }
    }
  }

  #took({ offset }: LogRecord): void {
    must(offset >= this.#next, () => `${offset} comes again: ${this.#next} was next`)
    for (let passed = this.#next; passed < offset; passed += 1) this.#mustBeHidden(passed)
    this.#next = offset + 1
    this.#world.tally.read += 1
  }

  #mustBeHidden(offset: number): void {
    const record = this.#world.bookOf(this.#topic).records.get(offset)
    if (record === undefined) return
    const isSeen = this.#isolation === 'read_uncommitted' || record.fate.outcome === 'committed'
    must(
      record.isGone || !isSeen || this.#world.partition(this.#topic).get(offset) === undefined,
      () => `I1: a reader of ${this.#topic} passes ${offset} over`,
    )
  }

  #failed(error: unknown): void {
    if (this.#world.isStopped) return
    if (LogError.is(error) && error.code === 'OFFSET_OUT_OF_RANGE') {
      const { logStartOffset } = this.#world.partition(this.#topic)
      must(this.#next < logStartOffset, () => `I2: at ${this.#next}, of ${logStartOffset}`)
      return
    }
    throw error
  }
}
