/**
 * What a commit waits for: which syncs, how many, and who shares them.
 */
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { partitionOf } from './open-log.ts'
import { add, openTransactions, partitionsOf, statesOf, TIMEOUT_MS } from './open-transactions.ts'
import { runProcedure } from '../../src/storage/procedure.ts'

/** A log whose syncs are counted, by what they are of. */
async function counted(): Promise<{ log: LogDirectory; driver: FaultDriver; syncs: string[] }> {
  const driver = new FaultDriver()
  const log = await openTransactions(driver)
  const producer = await log.transactions.initProducer(null)
  const first = log.transactions.begin(producer, TIMEOUT_MS)
  for (const one of partitionsOf(log)) add(first, one, 'first')
  await first.commit()
  await log.syncForCheckpoint()
  const syncs: string[] = []
  driver.onCall = ({ action, path }) => {
    if (action === 'flush' || action === 'flushDirectory') syncs.push(path.split('/')[0] ?? '')
    return undefined
  }
  return { log, driver, syncs }
}

describe('a commit', () => {
  it('in one partition is one sync', async () => {
    const { log, syncs } = await counted()
    const producer = await log.transactions.initProducer(null)
    for (const value of ['a', 'b']) {
      const transaction = log.transactions.begin(producer, TIMEOUT_MS)
      add(transaction, partitionOf(log, 'orders'), value)
      await transaction.commit()
    }
    expect(syncs).toEqual(['orders-0', 'orders-0'])
  })

  it('across partitions is one sync of each, side by side, and one of the decision', async () => {
    const { log, syncs } = await counted()
    const producer = await log.transactions.initProducer(null)
    for (const value of ['a', 'b']) {
      const transaction = log.transactions.begin(producer, TIMEOUT_MS)
      for (const one of partitionsOf(log)) add(transaction, one, value)
      await transaction.commit()
    }
    const round = ['orders-0', 'orders-1', 'audit-0', '__transaction_state-0']
    expect(syncs).toEqual([...round, ...round])
  })

  it('also syncs the markers of the decision before, where it writes elsewhere', async () => {
    const { log, syncs } = await counted()
    const producer = await log.transactions.initProducer('mover')
    syncs.length = 0
    const [first, second, audit] = partitionsOf(log)
    for (const pair of [
      [first, second],
      [second, audit],
    ]) {
      const transaction = log.transactions.begin(producer, TIMEOUT_MS)
      for (const one of pair) if (one) add(transaction, one, 'x')
      await transaction.commit()
    }
    const decision = '__transaction_state-0'
    expect(syncs.slice(0, 3)).toEqual(['orders-0', 'orders-1', decision])
    expect(new Set(syncs.slice(3, 6))).toEqual(new Set(['orders-0', 'orders-1', 'audit-0']))
    expect(syncs.slice(6)).toEqual([decision])
  })

  it('shares its syncs with those that are committed at the same time', async () => {
    const { log, syncs } = await counted()
    const { transactions } = log
    const inits = Array.from({ length: 64 }, () => transactions.initProducer(null))
    const producers = await Promise.all(inits)
    const commits = producers.map((producer) => {
      const transaction = transactions.begin(producer, TIMEOUT_MS)
      for (const one of partitionsOf(log)) add(transaction, one, 'x')
      return transaction.commit()
    })
    await Promise.all(commits)
    expect(syncs).toEqual(['orders-0', 'orders-1', 'audit-0', '__transaction_state-0'])
    expect(log.transactions.openCount).toBe(0)
  })

  it('is abandoned by nobody: a log that is closed has all of it', async () => {
    const { log, driver } = await counted()
    const producer = await log.transactions.initProducer('mover')
    const transaction = log.transactions.begin(producer, TIMEOUT_MS)
    for (const one of partitionsOf(log)) add(transaction, one, 'x')
    await Promise.all([transaction.commit(), runProcedure(log.close())])
    const again = await openTransactions(driver.processKill())
    expect(statesOf(again)).toEqual({ mover: 'CompleteCommit@2' })
  })
})

describe('taking an id', () => {
  it('waits for its record, and before that for the markers of its last decision', async () => {
    const { log, syncs } = await counted()
    const { transactions } = log
    const producer = await transactions.initProducer('mover')
    expect(syncs).toEqual(['__transaction_state-0'])
    const transaction = transactions.begin(producer, TIMEOUT_MS)
    for (const one of partitionsOf(log)) add(transaction, one, 'x')
    await transaction.commit()
    syncs.length = 0
    await transactions.initProducer('mover')
    expect(syncs).toEqual(['orders-0', 'orders-1', 'audit-0', '__transaction_state-0'])
  })
})

describe('a decision', () => {
  it('is complete at the next checkpoint, when its markers are on stable storage', async () => {
    const { log } = await counted()
    const { transactions } = log
    const producer = await transactions.initProducer('mover')
    const transaction = transactions.begin(producer, TIMEOUT_MS)
    for (const one of partitionsOf(log)) add(transaction, one, 'x')
    await transaction.commit()
    transactions.completeSettled()
    expect(statesOf(log)['mover']).toBe('PrepareCommit@1')
    await log.syncForCheckpoint()
    expect(statesOf(log)['mover']).toBe('CompleteCommit@2')
  })
})

describe('a log without transactions', () => {
  it('is opened, written to and closed without a call more', async () => {
    const driver = new FaultDriver()
    const paths: string[] = []
    driver.onCall = ({ path }) => void paths.push(path)
    const log = await openTransactions(driver)
    await runProcedure(log.close())
    await openTransactions(driver.processKill())
    expect(paths.filter((path) => path.includes('transaction'))).toEqual([])
  })
})
