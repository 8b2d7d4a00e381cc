/**
 * The limit of transactions: raw writes and awaited syncs in the order that makes them all or
 * nothing, and nothing else. In one file that is one write and one sync; over several, their files
 * side by side, then one more, for the decision.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { crc32Of, KEY_BYTES, mustEqual, type BenchRecord, type Dataset } from '../runner/dataset.ts'
import { RawFile } from './raw-file.ts'
import { sumOfTransactions, TRANSACTION_RECORDS } from './streambed-transactions.ts'

/** Preallocated files, one for each partition, and one for decisions where they are several. */
export class RawTransactions {
  readonly #files: readonly RawFile[]
  readonly #decisions: RawFile | undefined

  constructor(directory: string, partitions: number) {
    const create = (name: string): RawFile => {
      const folder = join(directory, name)
      mkdirSync(folder)
      const file = RawFile.create(folder)
      file.preallocate()
      return file
    }
    this.#files = Array.from({ length: partitions }, (_, partition) => create(`data-${partition}`))
    this.#decisions = partitions > 1 ? create('decisions') : undefined
  }

  /** Commits the transactions together, each of whose records go to the partitions in turn. */
  async commit(transactions: readonly (readonly BenchRecord[])[]): Promise<void> {
    const files = this.#files
    for (const records of transactions) {
      for (const [at, record] of records.entries()) files[at % files.length]?.add(record)
    }
    for (const file of files) file.write()
    await Promise.all(files.map((file) => file.sync()))
    if (this.#decisions === undefined) return
    for (const [decision] of transactions) if (decision) this.#decisions.add(decision)
    this.#decisions.write()
    await this.#decisions.sync()
  }

  /** Throws unless the records of the first `transactionCount` transactions are there. */
  check(dataset: Dataset, transactionCount: number): void {
    let visited = 0
    let sum = 0
    for (const file of this.#files) {
      visited += file.scan((chunk, start, length) => {
        const keyEnd = start + KEY_BYTES
        sum += crc32Of(0, chunk.subarray(start, keyEnd), chunk.subarray(keyEnd, start + length))
      })
    }
    mustEqual(visited, transactionCount * TRANSACTION_RECORDS, 'frames read back')
    mustEqual(sum, sumOfTransactions(dataset, transactionCount), 'sum of the checksums read back')
  }

  close(): void {
    for (const file of this.#files) file.close()
    this.#decisions?.close()
  }
}
