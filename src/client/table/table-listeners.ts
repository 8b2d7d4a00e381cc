/**
 * TableListeners: who hears of a table's changes, and in which order.
 *
 *   I1  every change is told once to everybody who subscribed before it and is still subscribed, in
 *       the order in which the changes were made
 *   I2  no listener runs inside another, nor while the table takes records in: a change that a
 *       listener makes is told after those that were made before
 *   I3  what a listener throws, or cannot be given, is uncaught: it gets neither into the append
 *       that it hears of, nor to other listeners
 * Without listeners nothing is kept.
 */
import type { RecordBatchReader } from '../../format/record-batch-reader.ts'
import { afterTurn } from '../../log/clock.ts'
import { Fifo } from '../fifo.ts'
import type { TableEntries } from './table-entries.ts'
import type { TableTypes } from './table-types.ts'

/** Hears of a key whose value was put, or is gone. */
export type TableListener = (key: unknown, value: unknown) => void

interface Subscription {
  readonly listener: TableListener
  /** Number of the first change it hears of. */
  readonly since: number
}

interface ToldChange {
  readonly number: number
  /** Copies: the entry may be another one by the time it is told. */
  readonly key: Buffer
  readonly value: Buffer | null
  readonly partition: number
  readonly offset: number
}

/** The listeners of one table. */
export class TableListeners {
  readonly #types: TableTypes
  readonly #subscriptions = new Set<Subscription>()
  readonly #changes = new Fifo<ToldChange>()
  #nextNumber = 0
  #isTelling = false

  constructor(types: TableTypes) {
    this.#types = types
  }

  /** Subscribes; returns how to end that. */
  add(listener: TableListener): () => void {
    const subscription = { listener, since: this.#nextNumber }
    this.#subscriptions.add(subscription)
    return () => void this.#subscriptions.delete(subscription)
  }

  /** Somebody hears of changes. */
  get hasAny(): boolean {
    return this.#subscriptions.size > 0
  }

  /** Notes what a record changed: its key was put, or is gone. */
  note(record: RecordBatchReader, partition: number): void {
    if (this.#subscriptions.size === 0) return
    const { buffer, keyStart, keyLength, valueStart, valueLength, offset } = record
    const key = copyOf(buffer, keyStart, keyStart + keyLength)
    const value = valueLength < 0 ? null : copyOf(buffer, valueStart, valueStart + valueLength)
    this.#changes.push({ number: this.#nextNumber++, key, value, partition, offset })
  }

  /** Notes the entry turned to, which is about to be put. */
  notePut(entry: TableEntries): void {
    if (this.#subscriptions.size === 0) return
    const { buffer, keyStart, keyEnd, valueStart, valueEnd, partition, offset } = entry
    const key = copyOf(buffer, keyStart, keyEnd)
    const value = copyOf(buffer, valueStart, valueEnd)
    this.#changes.push({ number: this.#nextNumber++, key, value, partition, offset })
  }

  /** Notes that the key of the entry turned to is about to be gone. */
  noteGone({ buffer, keyStart, keyEnd, partition, offset }: TableEntries): void {
    if (this.#subscriptions.size === 0) return
    const key = copyOf(buffer, keyStart, keyEnd)
    this.#changes.push({ number: this.#nextNumber++, key, value: null, partition, offset })
  }

  /** Tells what was noted. */
  tell(): void {
    if (this.#isTelling) return // I2: it is told behind what is told now.
    this.#isTelling = true
    for (let change = this.#changes.shift(); change !== undefined; change = this.#changes.shift()) {
      // Who subscribes on the way hears of later changes only.
      for (const subscription of [...this.#subscriptions]) this.#tellOne(subscription, change)
    }
    this.#isTelling = false
  }

  /** Tells nothing any more. */
  end(): void {
    this.#subscriptions.clear()
    while (this.#changes.shift() !== undefined);
  }

  #tellOne(subscription: Subscription, { number, key, value, ...place }: ToldChange): void {
    const isSubscribed = this.#subscriptions.has(subscription)
    if (!isSubscribed || number < subscription.since) return
    const types = this.#types
    try {
      // Decoded for each: what one of them does to it is nothing to the others.
      const shownKey = types.key(key, 0, key.length, place)
      const shownValue = value === null ? undefined : types.value(value, 0, value.length, place)
      subscription.listener(shownKey, shownValue)
    } catch (error) {
      afterTurn(() => {
        throw error
      })
    }
  }
}

function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  return Buffer.from(buffer.subarray(start, end))
}
