/**
 * Handling: what a run's handler is called with: each record of a take, or the whole of it as a
 * batch. A unit is what one call gets; units of a take are numbered from 0.
 */
import { invalidArgument } from '../../errors/log-error.ts'
import { describeValue } from '../check-options.ts'
import type { AnyRecord, Batch, RunContext } from '../group-types.ts'
import type { Coverage, Covered } from './coverage.ts'
import type { TakenRecords } from './member-feed.ts'

/** How takes become calls of a handler. */
export interface Handling<R extends AnyRecord> {
  unitCount(taken: TakenRecords<R>): number
  /** Calls the handler: throws or rejects where it does. Hot. */
  call(taken: TakenRecords<R>, unit: number, context: RunContext): void | Promise<unknown>
  /** Behind the unit, and behind a gap that follows it. */
  endOf(taken: TakenRecords<R>, unit: number): number
  /** The records of a unit. */
  recordsOf(taken: TakenRecords<R>, unit: number): readonly R[]
}

/** One call a record. */
export class RecordHandling<R extends AnyRecord> implements Handling<R> {
  readonly #handler: (record: R, context: RunContext) => void | Promise<unknown>

  /** @throws {LogError} INVALID_ARGUMENT for what is no function. */
  constructor(handler: (record: R, context: RunContext) => void | Promise<unknown>) {
    checkHandler(handler, 'group.run')
    this.#handler = handler
  }

  unitCount({ records }: TakenRecords<R>): number {
    return records.length
  }

  call(taken: TakenRecords<R>, unit: number, context: RunContext): void | Promise<unknown> {
    const handler = this.#handler
    const record = taken.records[unit]
    return record === undefined ? undefined : handler(record, context)
  }

  endOf({ records, nextOffset }: TakenRecords<R>, unit: number): number {
    const next = records[unit + 1]
    return next === undefined ? nextOffset : next.offset
  }

  recordsOf({ records }: TakenRecords<R>, unit: number): readonly R[] {
    return records.slice(unit, unit + 1)
  }
}

/** One call a take. */
export class BatchHandling<R extends AnyRecord> implements Handling<R> {
  readonly #handler: (batch: Batch<R>, context: RunContext) => void | Promise<unknown>

  /** @throws {LogError} INVALID_ARGUMENT for what is no function. */
  constructor(handler: (batch: Batch<R>, context: RunContext) => void | Promise<unknown>) {
    checkHandler(handler, 'group.runBatches')
    this.#handler = handler
  }

  unitCount(): number {
    return 1
  }

  call(taken: TakenRecords<R>, _: number, context: RunContext): void | Promise<unknown> {
    const handler = this.#handler
    return handler(new TakenBatch(taken), context)
  }

  endOf({ nextOffset }: TakenRecords<R>): number {
    return nextOffset
  }

  recordsOf({ records }: TakenRecords<R>): readonly R[] {
    return records
  }
}

/** A take as the user's handler sees it. */
class TakenBatch<R extends AnyRecord> implements Batch<R>, Covered {
  readonly #taken: TakenRecords<R>
  readonly topic: R['topic']
  readonly partition: number
  readonly records: readonly R[]
  readonly highWatermark: number

  constructor(taken: TakenRecords<R>) {
    const { topic, partition, records, highWatermark } = taken
    this.#taken = taken
    this.topic = topic
    this.partition = partition
    this.records = records
    this.highWatermark = highWatermark
  }

  async commit(): Promise<void> {
    this.#taken.commit()
  }

  /** What a transaction commits of it. */
  coveredOffsets(): Coverage {
    return this.#taken.cover(this.#taken.nextOffset)
  }
}

function checkHandler(handler: unknown, where: string): void {
  if (typeof handler === 'function') return
  throw invalidArgument(`${where}: the handler is a function, not ${describeValue(handler)}`, {
    value: handler,
  })
}
