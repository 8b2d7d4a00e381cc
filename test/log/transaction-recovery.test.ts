/**
 * What opening a log makes of transactions that it finds open, whoever wrote them: what a record
 * decided, under the epoch of the batches and for that partition, is committed, and nothing else.
 */
import { describe, expect, it } from 'vitest'
import type { TransactionState, TransactionStatus } from '../../src/format/transaction-state.ts'
import type { CoordinatedTransaction } from '../../src/log/coordinated-transaction.ts'
import { TRANSACTIONS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { endLeftOpen } from '../../src/log/transaction-recovery.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { openLog, partitionOf } from './open-log.ts'
import {
  add,
  begin,
  committedIn,
  openTransactions,
  outcomeIn,
  partitionsOf,
  statesOf,
  TIMEOUT_MS,
} from './open-transactions.ts'
import { flip } from './tampering.ts'

/** A log with the topic of transactions, and one of `mover` open in three partitions. */
async function leftOpen(driver: FaultDriver): Promise<{
  log: LogDirectory
  transaction: CoordinatedTransaction
}> {
  const log = await openTransactions(driver)
  const transaction = await begin(log, 'mover')
  for (const one of partitionsOf(log)) add(transaction, one, 'x')
  return { log, transaction }
}

function stateOf(
  { producerId, producerEpoch }: CoordinatedTransaction,
  status: TransactionStatus,
  partitions: readonly number[] = [0, 1],
): Omit<TransactionState, 'lastUpdateTimestampMs'> {
  const topics = [
    { topic: 'audit', partitions: [0] },
    { topic: 'orders', partitions },
  ]
  return { producerId, producerEpoch, status, topics, timeoutMs: 60_000, startTimestampMs: 1_000 }
}

describe('a transaction that was open when the log stopped', () => {
  it('is committed where its decision lists the partition, and there alone', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    log.transactions.log.append('mover', stateOf(transaction, 'PrepareCommit', [1]))
    const again = await openTransactions(driver.processKill())
    expect(committedIn(again)).toEqual([[], ['x'], ['x']])
    expect(partitionsOf(again).map((one) => outcomeIn(one).openCount)).toEqual([0, 0, 0])
    expect(statesOf(again)).toEqual({ mover: 'CompleteCommit@2' })
    // What was open behind the decision may have been under the epoch behind it.
    expect((await begin(again, 'mover')).producerEpoch).toBe(3)
  })

  it.each([-1, 1])('is aborted where the decision is of an epoch %i from its own', async (by) => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    const state = stateOf(transaction, 'PrepareCommit')
    log.transactions.log.append('mover', { ...state, producerEpoch: state.producerEpoch + by })
    const again = await openTransactions(driver.processKill())
    expect(committedIn(again)).toEqual([[], [], []])
  })

  it.each<[TransactionStatus, string]>([
    ['Ongoing', 'CompleteAbort@1'],
    ['PrepareAbort', 'CompleteAbort@1'],
    ['PrepareEpochFence', 'CompleteAbort@1'],
    ['CompleteCommit', 'CompleteCommit@1'],
    ['Empty', 'Empty@1'],
  ])('is aborted where a broker says %s', async (status, left) => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    log.transactions.log.append('mover', stateOf(transaction, status))
    const next = driver.processKill()
    const again = await openTransactions(next)
    expect(committedIn(again)).toEqual([[], [], []])
    expect(statesOf(again)).toEqual({ mover: left })
    const newer = await begin(again, 'mover')
    expect(newer.producerId).toBe(transaction.producerId)
    expect(newer.producerEpoch).toBe(transaction.producerEpoch + 1)
  })

  it("is committed by a newer broker's decision, whose epoch is one ahead", async () => {
    const { log, transaction } = await leftOpen(new FaultDriver())
    const state = stateOf(transaction, 'PrepareCommit')
    const producerEpoch = state.producerEpoch + 1
    const stored = {
      ...state,
      producerEpoch,
      lastUpdateTimestampMs: 1,
      clientTransactionVersion: 2,
    }
    const states = new Map([['mover', stored]])
    endLeftOpen(log.transactions, partitionsOf(log), states, () => () => undefined)
    expect(committedIn(log)).toEqual([['x'], ['x'], ['x']])
  })

  it.each([true, false])(
    'has a successor that can write where the last records of the id are damaged (killed: %s)',
    async (isKilled) => {
      const driver = new FaultDriver()
      const log = await openTransactions(driver)
      await begin(log, 'mover')
      const sizeBytes = partitionOf(log, TRANSACTIONS_TOPIC).logBytes
      await begin(log, 'mover')
      const transaction = await begin(log, 'mover')
      for (const one of partitionsOf(log)) add(transaction, one, 'x')
      await log.syncForCheckpoint()
      await runProcedure(isKilled ? log.writeCheckpoints() : log.close())
      const next = isKilled ? driver.powerCut(undefined, 'none') : driver.processKill()
      const folder = `${TRANSACTIONS_TOPIC}-0`
      const [file] = next.list(folder).filter((name) => name.endsWith('.log'))
      for (const count of [2, 3]) flip(next, `${folder}/${file}`, count * sizeBytes - 1)
      const { log: again } = await openLog(next, { bootId: 'next' })
      const newer = await begin(again, 'mover')
      for (const one of partitionsOf(again)) add(newer, one, 'y')
      await newer.commit()
      expect(committedIn(again)).toEqual([['y'], ['y'], ['y']])
    },
  )

  it('is what its markers say where the record of its decision is damaged', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    await transaction.commit()
    await log.syncForCheckpoint()
    await runProcedure(log.writeCheckpoints())
    const next = driver.powerCut(undefined, 'none')
    const [file] = next.list(`${TRANSACTIONS_TOPIC}-0`).filter((name) => name.endsWith('.log'))
    flip(next, `${TRANSACTIONS_TOPIC}-0/${file}`, 80) // In the record of the id, which comes first.
    const { log: again, report } = await openLog(next, { bootId: 'next' })
    expect(committedIn(again)).toEqual([['x'], ['x'], ['x']])
    expect(report.partitions.map(({ topic }) => topic)).toContain(TRANSACTIONS_TOPIC)
  })
})

describe('an id', () => {
  it('is written under another producer id where its epochs end', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    const state = stateOf(transaction, 'Empty')
    log.transactions.log.append('mover', { ...state, producerEpoch: 32_765 })
    const again = await openTransactions(driver.processKill())
    const producer = await again.transactions.initProducer('mover')
    const last = again.transactions.begin(producer, TIMEOUT_MS)
    expect([last.producerId, last.producerEpoch]).toEqual([transaction.producerId, 32_766])
    for (const one of partitionsOf(again)) add(last, one, 'last')
    await last.commit()
    const next = again.transactions.begin(producer, TIMEOUT_MS)
    expect(next.producerId).not.toBe(transaction.producerId)
    expect(next.producerEpoch).toBe(0)
    for (const one of partitionsOf(again)) add(next, one, 'next')
    await next.commit()
    expect(committedIn(again)).toEqual([0, 1, 2].map(() => ['last', 'next']))
  })

  it('goes on where it was after a clean close', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    await transaction.commit()
    await runProcedure(log.close())
    const again = await openTransactions(driver.processKill())
    const newer = await begin(again, 'mover')
    expect([newer.producerId, newer.producerEpoch]).toEqual([transaction.producerId, 3])
  })
})

describe('a topic that is deleted', () => {
  it('is left out of the transactions that wrote to it', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    await runProcedure(log.deleteTopic('audit'))
    await transaction.commit()
    const [first, second] = [0, 1].map((partition) => log.topic('orders')?.partitions[partition])
    expect([first, second].map((one) => one && outcomeIn(one).committed)).toEqual([['x'], ['x']])
    await runProcedure(log.close())
    const again = await openTransactions(driver.processKill())
    expect(again.topic('audit')).toBeUndefined()
  })

  it('while a commit is on its way does not keep it from the others', async () => {
    const driver = new FaultDriver()
    const { log, transaction } = await leftOpen(driver)
    const commit = transaction.commit()
    await runProcedure(log.deleteTopic('audit'))
    await commit
    expect(transaction.state).toBe('committed')
    await runProcedure(log.close())
  })
})
