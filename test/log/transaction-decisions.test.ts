/**
 * Transactions that are decided at the same time: their decisions are one batch, which is there or
 * is not. Each of them is whole all the same, after a crash at each call and where a call fails.
 */
import { describe, expect, it } from 'vitest'
import { TRANSACTIONS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import type { DiskAction, DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { everyCrash } from '../support/every-crash.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { partitionOf } from './open-log.ts'
import {
  add,
  batchesOf,
  begin,
  committedIn,
  endOf,
  openTransactions,
  partitionsOf,
  statesOf,
} from './open-transactions.ts'

/**
 * Commits a transaction of each id over all partitions, all at once; how each ended. Those that
 * were acknowledged are noted at once.
 */
async function commitAll(
  log: LogDirectory,
  ids: readonly string[],
  acked: string[] = [],
): Promise<readonly string[]> {
  const transactions = await Promise.all(ids.map((id) => begin(log, id)))
  for (const [index, transaction] of transactions.entries()) {
    for (const one of partitionsOf(log)) add(transaction, one, ids[index] ?? '')
  }
  return Promise.all(
    transactions.map(async (transaction, index) => {
      const end = await endOf(transaction.commit())
      if (end === 'ok') acked.push(ids[index] ?? '')
      return end
    }),
  )
}

/** How many records each batch of decisions holds, but for those by which ids were taken. */
function decisionCounts(log: LogDirectory, idCount: number): readonly number[] {
  const batches = batchesOf(partitionOf(log, TRANSACTIONS_TOPIC))
  return batches.slice(idCount).map(({ values }) => values.length)
}

function named(count: number, byteLength: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${index}-`.padEnd(byteLength, 'x'))
}

describe('decisions of transactions whose data is synced together', () => {
  it('are one batch', async () => {
    const log = await openTransactions(new FaultDriver())
    const ids = named(20, 10)
    expect(new Set(await commitAll(log, ids))).toEqual(new Set(['ok']))
    expect(decisionCounts(log, ids.length)).toEqual([20])
    for (const values of committedIn(log)) expect(values).toEqual(ids)
    expect(new Set(Object.values(statesOf(log)))).toEqual(new Set(['PrepareCommit@1']))
  })

  it('are several batches where they do not fit into one', async () => {
    const log = await openTransactions(new FaultDriver())
    const ids = named(40, 1_000)
    expect(new Set(await commitAll(log, ids))).toEqual(new Set(['ok']))
    const counts = decisionCounts(log, ids.length)
    expect(counts.length).toBeGreaterThan(1)
    expect(counts.length).toBeLessThan(6)
    expect(Object.keys(statesOf(log))).toHaveLength(40)
    for (const values of committedIn(log)) expect(values).toEqual(ids)
  })

  it.each<[string, DiskAction, DiskFault, string]>([
    ['abort where it cannot be written', 'write', 'ENOSPC', 'TRANSACTION_ABORTED'],
    ['are unknown where it cannot be synced', 'flush', 'EIO', 'unknown'],
  ])('%s, all of them', async (_, action, fault, end) => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    expect(await commitAll(log, ['first'])).toEqual(['ok'])
    const ids = named(5, 10)
    const taken = await Promise.all(ids.map((id) => begin(log, id)))
    for (const [index, transaction] of taken.entries()) {
      for (const one of partitionsOf(log)) add(transaction, one, ids[index] ?? '')
    }
    driver.onCall = (call) =>
      call.action === action && call.path.startsWith(TRANSACTIONS_TOPIC) ? fault : undefined
    const ends = await Promise.all(taken.map((transaction) => endOf(transaction.commit())))
    expect(ends).toEqual(ids.map(() => end))
    driver.onCall = undefined
    const again = await openTransactions(driver.processKill())
    for (const values of committedIn(again)) {
      expect(values).toEqual(end === 'unknown' ? ['first', ...ids] : ['first'])
    }
  })
})

describe('after a crash while transactions are decided together', () => {
  it('each is whole, and what was acknowledged is there', async () => {
    const ids = ['a', 'b', 'c']
    let log: LogDirectory | undefined
    const acked: string[] = []
    function* prepare(driver: StorageDriver): Procedure<void> {
      acked.length = 0
      yield async () => {
        log = await openTransactions(driver)
        await commitAll(log, ['before'])
      }
    }
    function* work(): Procedure<void> {
      yield async () => {
        if (log !== undefined) await commitAll(log, ids, acked)
      }
    }
    for await (const { driver, kind } of everyCrash(prepare, work)) {
      const again = await openTransactions(
        driver,
        new FakeClock(),
        kind === 'kill' ? 'boot' : 'next',
      )
      const [first = [], ...others] = committedIn(again)
      for (const values of others) expect(values).toEqual(first)
      expect(first[0]).toBe('before')
      for (const id of acked) expect(first).toContain(id)
      await runProcedure(again.close())
    }
  }, 120_000)
})
