/**
 * A log with a table beside a Map that is told the same: what a random history does to both, and
 * whether they agree.
 */
import { deepEqual, equal } from 'node:assert/strict'
import type { EventLog } from '../../../src/client/event-log.ts'
import type { OpenTransaction, Table } from '../../../src/client/group-types.ts'
import { serdes } from '../../../src/client/serde.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import { nextTurn } from '../../../src/log/clock.ts'
import { FaultDisk } from '../../../src/testing/fault-disk.ts'
import { SeededRandom } from '../../../src/testing/seeded-random.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const STEPS = 160
const KEYS = 25

const Words = defineTopic('words', {
  key: serdes.string,
  value: serdes.string,
  cleanupPolicy: 'compact',
  partitions: 3,
  segmentBytes: 1_024,
  minCleanableDirtyRatio: 0,
  deleteRetentionMs: 1_000,
  fileDeleteDelayMs: 0,
})

/** What one partition holds. */
interface Cell {
  readonly value: string
  readonly offset: number
}

/** One history. */
export class TableWorld {
  readonly #random: SeededRandom
  readonly #clock = new FakeClock()
  readonly #disk: FaultDisk
  readonly #cells: readonly Map<string, Cell>[] = [0, 1, 2].map(() => new Map<string, Cell>())
  readonly #told = new Map<string, string>()
  #log: EventLog | undefined
  #table: Table<string, string> | undefined
  #nextValue = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#disk = new FaultDisk({ seed, clock: this.#clock })
  }

  /** Runs it, and compares after each step. */
  async run(): Promise<void> {
    await this.#open()
    for (let step = 0; step < STEPS; step++) {
      await this.#step()
      this.#clock.advance(this.#below(400))
      await this.#compare(step % 10 === 0)
    }
    await this.#log?.close()
  }

  async #step(): Promise<void> {
    const chance = this.#below(100)
    if (chance < 60) this.#append()
    else if (chance < 74) await this.#transact()
    else if (chance < 82) await this.log.runHousekeeping({ force: true })
    else if (chance < 88) await this.#deleteRecords()
    else if (chance < 91) await this.#reopen(true)
    else if (chance < 93) await this.#reopen(false)
    else this.#append(40)
  }

  #append(most: number = 6): void {
    const partition = this.#below(3)
    const records = this.#records(partition, 1 + this.#below(most))
    const { baseOffset } = this.words.partition(partition).append(records)
    this.#apply(partition, records, baseOffset)
  }

  async #transact(): Promise<void> {
    const tx = await this.log.producer().begin()
    const sent = await this.#sendIn(tx)
    if (this.#below(3) === 0) {
      await tx.abort()
      return
    }
    const partition = this.#below(3)
    const records = this.#records(partition, 2)
    const { baseOffset } = this.words.partition(partition).append(records)
    await tx.commit()
    const behind = { partition, records, baseOffset }
    const all = [...sent, behind].toSorted((a, b) => a.baseOffset - b.baseOffset)
    for (const one of all) this.#apply(one.partition, one.records, one.baseOffset)
  }

  async #sendIn(tx: OpenTransaction): Promise<readonly Written[]> {
    const written: Written[] = []
    for (let count = this.#below(4); count >= 0; count--) {
      const partition = this.#below(3)
      const records = this.#records(partition, 1)
      const [record] = records
      if (record === undefined) continue
      const { offset } = await tx.send(this.words, { ...record, partition })
      written.push({ partition, records, baseOffset: offset })
    }
    return written
  }

  async #deleteRecords(): Promise<void> {
    const partition = this.#below(3)
    const { logStartOffset, highWatermark } = this.words.partition(partition)
    const before = logStartOffset + this.#below(1 + (highWatermark - logStartOffset) / 3)
    await this.words.partition(partition).deleteRecords(before)
    for (const [key, { offset }] of this.#cells[partition] ?? []) {
      if (offset < before) this.#cells[partition]?.delete(key)
    }
    for (let turn = 0; turn < 5; turn++) await nextTurn()
  }

  async #reopen(isClean: boolean): Promise<void> {
    if (isClean) await this.log.close()
    else await this.#disk.kill()
    await this.#open()
  }

  async #open(): Promise<void> {
    const clock = this.#clock
    const onWarning = (): void => undefined
    this.#log = await this.#disk.open({ topics: [Words], clock, onWarning })
    this.#table = await this.words.table()
    this.#told.clear()
    for (const [key, value] of this.#table) this.#told.set(key, value)
    this.#table.subscribe((key, value) => {
      if (value === undefined) this.#told.delete(key)
      else this.#told.set(key, value)
    })
  }

  async #compare(withFresh: boolean): Promise<void> {
    const expected = new Map<string, string>()
    for (const cells of this.#cells) for (const [key, { value }] of cells) expected.set(key, value)
    const table = this.#table
    deepEqual(new Map(table), expected)
    equal(table?.size, expected.size)
    deepEqual(this.#told, expected)
    for (let number = 0; number < KEYS; number++) {
      for (let partition = 0; partition < 3; partition++) {
        const key = `${partition}-${number}`
        equal(table?.get(key), expected.get(key))
        equal(table?.has(key), expected.has(key))
      }
    }
    if (!withFresh) return
    const fresh = await this.words.table()
    deepEqual(new Map(fresh), expected)
    await fresh.close()
  }

  #records(partition: number, count: number): readonly Word[] {
    return Array.from({ length: count }, () => {
      const key = `${partition}-${this.#below(KEYS)}`
      const text = `${this.#nextValue++}`.padEnd(this.#below(30), '.')
      return { key, value: this.#below(5) === 0 ? null : text }
    })
  }

  #apply(partition: number, records: readonly Word[], baseOffset: number): void {
    for (const [index, { key, value }] of records.entries()) {
      if (value === null) this.#cells[partition]?.delete(key)
      else this.#cells[partition]?.set(key, { value, offset: baseOffset + index })
    }
  }

  #below(limit: number): number {
    return this.#random.below(limit)
  }

  get log(): EventLog {
    if (this.#log === undefined) throw new Error('the log is open')
    return this.#log
  }

  get words(): Topic<string, string | null, 'words'> {
    return this.log.topic(Words)
  }
}

interface Word {
  readonly key: string
  readonly value: string | null
}

interface Written {
  readonly partition: number
  readonly records: readonly Word[]
  readonly baseOffset: number
}
