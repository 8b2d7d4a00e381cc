/**
 * Transactions that a real broker stored (test/interop/transactions.test.ts writes them down), read
 * here without Java: what its consumer read in both isolation levels, what it left open aborted.
 */
import { readFileSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  attributesOf,
  baseOffsetOf,
  batchSizeBytesOf,
  isControlBatch,
} from '../../src/format/record-batch.ts'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../src/format/compression.ts'
import { EventLog, type Isolation, type Topic } from '../../src/index.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { unpackStoredLog } from '../support/stored-log.ts'

/** Partitions by folder, as the interop tests compare them. */
type Consumed = Readonly<
  Record<
    string,
    {
      readonly endOffset: number
      readonly records: readonly { readonly offset: number; readonly value: string | null }[]
    }
  >
>

interface Facts {
  readonly uncommitted: Consumed
  readonly committed: Consumed
  /** Offsets by folder, the transactions that were left open taken as aborted. */
  readonly visible: Readonly<Record<string, readonly number[]>>
}

const TOPICS = ['ledger', 'payments']
enableZstdPackage() // As the first log that is opened does.
/** The producers of the broker compressed with each of them. */
const lacksCodec = !COMPRESSION_CODECS.every((codec) => isCodecAvailable(codec, 'decompress'))

describe.each(['stopped', 'killed'])('the log of a broker that was %s', (end) => {
  const unpack = (): { directory: string; facts: Facts } => {
    const { directory, facts } = unpackStoredLog(`broker-transactions-${end}`)
    return { directory, facts: facts as Facts } // As the interop test keeps them.
  }

  it.skipIf(lacksCodec)('shows what its consumers read, what it left open as aborted', async () => {
    const { directory, facts } = unpack()
    await using log = await openQuietly(directory)
    for (const isolation of ['read_uncommitted', 'read_committed'] as const) {
      for (const [folder, { records }] of Object.entries(facts.uncommitted)) {
        const isVisible = (offset: number): boolean =>
          isolation === 'read_uncommitted' || (facts.visible[folder] ?? []).includes(offset)
        const expected = records.filter(({ offset }) => isVisible(offset))
        expect(recordsIn(log, folder, isolation)).toEqual(
          expected.map(({ offset, value }) => ({ offset, value })),
        )
      }
    }
  })

  it('shows the same through every way of reading', async () => {
    const { directory, facts } = unpack()
    await using log = await openQuietly(directory)
    for (const partition of TOPICS.flatMap((name) => log.topic(name).partitions)) {
      const expected = facts.visible[`${partition.topic}-${partition.index}`]
      const isolation = 'read_committed'
      const read: number[] = []
      for await (const { offset } of partition.read({ isolation })) read.push(offset)
      expect(read).toEqual(expected)
      const scanned: number[] = []
      partition.scan(({ offset }) => void scanned.push(offset), { isolation })
      expect(scanned).toEqual(expected)
      // Wherever one begins.
      for (let from = 0; from <= partition.logEndOffset; from += 1) {
        const [first] = partition.records({ from, isolation })
        expect(first?.offset).toBe(expected?.find((offset) => offset >= from))
      }
    }
  })

  it('goes on with transactions, and shows the same when it is opened again', async () => {
    const { directory, facts } = unpack()
    const log = await openQuietly(directory)
    const producer = log.producer({ transactionalId: 'id-open' })
    const sent = await producer.transaction(async (tx) => {
      await tx.send({ topic: 'payments', partition: 1, value: 'ours' })
      return tx.send({ topic: 'ledger', value: 'ours' })
    })
    await log.close()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await using again = await openQuietly(directory)
    const offsets = recordsIn(again, 'ledger-0', 'read_committed').map(({ offset }) => offset)
    expect(offsets).toEqual([...(facts.visible['ledger-0'] ?? []), sent.offset])
  })
})

describe('a transaction that a broker had decided to commit when it was killed', () => {
  // Its clients speak version 2 of transactions: the decision has the epoch after that of the data.
  const MARKED = ['ledger-0', 'payments-0'] as const

  it('is committed where its markers are missing', async () => {
    const { directory, facts } = unpackStoredLog('broker-transactions-killed')
    const { visible } = facts as Facts // As the interop test keeps them.
    // The last one of the script: its markers and, in ledger-0, a batch behind them.
    const ends = MARKED.map((folder) => cutFrom(join(directory, folder), isMarker))
    cutFrom(join(directory, '__transaction_state-0'), () => true)
    await using log = await openQuietly(directory)
    for (const [index, folder] of MARKED.entries()) {
      const expected = visible[folder]?.filter((offset) => offset < (ends[index] ?? 0))
      expect(recordsIn(log, folder, 'read_committed').map(({ offset }) => offset)).toEqual(expected)
      expect(expected?.at(-1)).toBe((ends[index] ?? 0) - 1)
    }
  })

  it('is aborted where the decision is missing as well', async () => {
    const { directory, facts } = unpackStoredLog('broker-transactions-killed')
    const { visible } = facts as Facts // As the interop test keeps them.
    const ends = MARKED.map((folder) => cutFrom(join(directory, folder), isMarker))
    for (let cut = 0; cut < 2; cut += 1) {
      cutFrom(join(directory, '__transaction_state-0'), () => true)
    }
    await using log = await openQuietly(directory)
    for (const [index, folder] of MARKED.entries()) {
      // It had three records in each.
      const expected = visible[folder]?.filter((offset) => offset < (ends[index] ?? 0) - 3)
      expect(recordsIn(log, folder, 'read_committed').map(({ offset }) => offset)).toEqual(expected)
    }
  })
})

const isMarker = (file: Buffer, at: number): boolean => isControlBatch(attributesOf(file, at))

/** Cuts a partition at the last batch that is such a one; returns the offset of that. */
function cutFrom(folder: string, isCut: (file: Buffer, at: number) => boolean): number {
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
  for (const name of logs.toSorted().toReversed()) {
    const path = join(folder, name)
    const file = readFileSync(path)
    let found = -1
    for (let at = 0; at < file.length; at += batchSizeBytesOf(file, at)) {
      if (isCut(file, at)) found = at
    }
    truncateSync(path, Math.max(found, 0))
    if (found >= 0) return baseOffsetOf(file, found)
  }
  throw new Error(`${folder} has no such batch`)
}

function recordsIn(
  log: EventLog,
  folder: string,
  isolation: Isolation,
): readonly { readonly offset: number; readonly value: string | null }[] {
  const at = folder.lastIndexOf('-')
  const topic: Topic = log.topic(folder.slice(0, at))
  const records = topic.partition(Number(folder.slice(at + 1))).records({ isolation })
  return Array.from(records, ({ offset, valueBytes }) => ({
    offset,
    value: valueBytes === null ? null : Buffer.from(valueBytes).toString('hex'),
  }))
}

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}
