/**
 * TopicTable: a table as users hold it. Asks the entries; what they are is table-follower.ts'
 * business, who hears of changes table-listeners.ts'.
 *
 *   I1  what it gives out is the user's: the table's own bytes never leave it
 *   I2  once it is over, `size` keeps its last value and everything else is refused
 */
import { invalidArgument, LogError } from '../../errors/log-error.ts'
import { checkOptions, describeValue } from '../check-options.ts'
import type { Table } from '../group-types.ts'
import { signalOf } from '../position.ts'
import type { TopicView } from '../topic-state.ts'
import { TableEntries } from './table-entries.ts'
import { TableFollower } from './table-follower.ts'
import { TableListeners, type TableListener } from './table-listeners.ts'
import { TableTypes } from './table-types.ts'

/**
 * Loads a table of a topic.
 * @throws {LogError} INVALID_ARGUMENT where the topic is not compacted; ABORTED; what reading it
 *   fails with.
 */
export async function openTable(
  view: TopicView,
  options: unknown,
): Promise<Table<unknown, unknown>> {
  const where = `${view.name}: table`
  checkOptions(options, ['signal'], where)
  // `as`: it is an object, or undefined; what is in it is checked.
  const signal = signalOf((options as { readonly signal?: unknown } | undefined)?.signal, where)
  view.state.checkUsable()
  if (!view.state.isCompacted) {
    throw invalidArgument(
      `${where}: a table is what the last record of each key says, and with cleanupPolicy ` +
        `'delete' those are deleted with the others: alterConfig({ cleanupPolicy: 'compact' })`,
      { topic: view.name, cleanupPolicy: view.config.cleanupPolicy },
    )
  }
  const table = new TopicTable(view)
  await table.load(where, signal)
  return table
}

/** A table of one topic, as one handle of it types keys and values. */
class TopicTable implements Table<unknown, unknown> {
  readonly #view: TopicView
  readonly #types: TableTypes
  readonly #entries = new TableEntries()
  readonly #listeners: TableListeners
  readonly #follower: TableFollower

  constructor(view: TopicView) {
    this.#view = view
    this.#types = new TableTypes(view.types)
    this.#listeners = new TableListeners(this.#types)
    this.#follower = new TableFollower(view, this.#entries, this.#listeners)
  }

  /** Reads the topic, unless `signal` aborts meanwhile. */
  async load(where: string, signal: AbortSignal | null): Promise<void> {
    const abort = (): void => {
      const cause: unknown = signal?.reason
      const message = `${where} was aborted by its signal`
      this.#follower.finish(() => new LogError('ABORTED', message, {}, { cause }))
    }
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      await this.#follower.load()
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  get size(): number {
    return this.#follower.size
  }

  get(key: unknown): unknown {
    if (!this.#turnTo(key)) return undefined
    const { buffer, valueStart, valueEnd } = this.#entries
    return this.#types.value(buffer, valueStart, valueEnd, this.#entries)
  }

  has(key: unknown): boolean {
    return this.#turnTo(key)
  }

  entries(): IterableIterator<readonly [unknown, unknown]> {
    this.#checkUsable()
    return new TableIterator((number) => this.#entryFrom(number))
  }

  [Symbol.iterator](): IterableIterator<readonly [unknown, unknown]> {
    return this.entries()
  }

  subscribe(listener: TableListener): () => void {
    this.#checkUsable()
    if (typeof listener !== 'function') {
      throw invalidArgument(
        `${this.#view.name}: subscribe takes a function, not ${describeValue(listener)}`,
        { listener },
      )
    }
    return this.#listeners.add(listener)
  }

  async close(): Promise<void> {
    const { name } = this.#view
    this.#follower.finish(
      () => new LogError('CLOSED', `the table of ${name} is closed`, { topic: name }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #turnTo(key: unknown): boolean {
    this.#checkUsable()
    const types = this.#types
    return types.encode(key) && this.#entries.turnToKey(types.bytes, 0, types.end)
  }

  /** The first entry from a number on, with a way to decode it; undefined where there is none. */
  #entryFrom(first: number): Found | undefined {
    this.#checkUsable()
    const entries = this.#entries
    for (let number = first; number < entries.numberCount; number++) {
      if (entries.turnTo(number)) return { number, decode: this.#decode }
    }
    return undefined
  }

  /** Of the entry turned to. */
  readonly #decode = (): readonly [unknown, unknown] => {
    const { buffer, keyStart, keyEnd, valueStart, valueEnd, partition, offset } = this.#entries
    const place = { partition, offset }
    // A copy: a serde of the user's may change the table between key and value.
    const bytes = Buffer.from(buffer.subarray(keyStart, valueEnd))
    const key = this.#types.key(bytes, 0, keyEnd - keyStart, place)
    return [key, this.#types.value(bytes, valueStart - keyStart, bytes.length, place)]
  }

  #checkUsable(): void {
    this.#follower.checkUsable()
  }
}

interface Found {
  readonly number: number
  readonly decode: () => readonly [unknown, unknown]
}

/** Entries by number. One that cannot be decoded throws, and the next call goes on behind it. */
class TableIterator implements IterableIterator<readonly [unknown, unknown]> {
  readonly #find: (first: number) => Found | undefined
  #next = 0

  constructor(find: (first: number) => Found | undefined) {
    this.#find = find
  }

  next(): IteratorResult<readonly [unknown, unknown], undefined> {
    const found = this.#next < 0 ? undefined : this.#find(this.#next)
    if (found === undefined) {
      this.#next = -1
      return { done: true, value: undefined }
    }
    this.#next = found.number + 1
    return { done: false, value: found.decode() }
  }

  return(): IteratorResult<readonly [unknown, unknown], undefined> {
    this.#next = -1
    return { done: true, value: undefined }
  }

  [Symbol.iterator](): IterableIterator<readonly [unknown, unknown]> {
    return this
  }
}
