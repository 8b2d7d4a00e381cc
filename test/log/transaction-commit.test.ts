/**
 * Transactions from begin to end: what commits is there in all its partitions, what aborts in none,
 * and what either costs.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { TRANSACTIONS_TOPIC } from '../../src/log/internal-topics.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { partitionOf } from './open-log.ts'
import {
  add,
  begin,
  committedIn,
  endOf,
  openTransactions,
  outcomeIn,
  partitionsOf,
  statesOf,
  TIMEOUT_MS,
} from './open-transactions.ts'

const WHY = new LogError('TRANSACTION_ABORTED', 'no more', {})

describe('a committed transaction', () => {
  it('is in all its partitions, and on stable storage', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    const [first, second, audit] = partitionsOf(log)
    const transaction = await begin(log)
    if (first && second && audit) {
      add(transaction, first, 'a', 'b')
      add(transaction, second, 'c')
      add(transaction, first, 'd')
      expect(first.lastStableOffset).toBe(0)
      await transaction.commit()
      expect(first.lastStableOffset).toBe(4)
    }
    expect(transaction.state).toBe('committed')
    expect(committedIn(log)).toEqual([['a', 'b', 'd'], ['c'], []])
    const again = await openTransactions(
      driver.powerCut(undefined, 'none'),
      new FakeClock(),
      'next',
    )
    expect(committedIn(again)).toEqual([['a', 'b', 'd'], ['c'], []])
  })

  it('needs no coordinator in one partition', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    const transaction = await begin(log)
    add(transaction, partitionOf(log, 'orders'), 'a')
    await transaction.commit()
    expect(log.topic(TRANSACTIONS_TOPIC)).toBeUndefined()
    const again = await openTransactions(
      driver.powerCut(undefined, 'none'),
      new FakeClock(),
      'next',
    )
    expect(committedIn(again)).toEqual([['a'], [], []])
  })

  it('that wrote nothing costs nothing', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    let calls = 0
    driver.onCall = () => void (calls += 1)
    const transaction = await begin(log)
    await transaction.commit()
    expect([transaction.state, calls]).toEqual(['committed', 0])
  })

  it('takes nothing more', async () => {
    const log = await openTransactions(new FaultDriver())
    const transaction = await begin(log)
    await transaction.commit()
    const orders = partitionOf(log, 'orders')
    expect(() => transaction.producerFor(orders)).toThrow(LogError)
    expect(await endOf(transaction.commit())).toBe('CLOSED')
    await transaction.abort(WHY)
    expect(transaction.state).toBe('committed')
  })
})

describe('an aborted transaction', () => {
  it('is in none of its partitions, and its producer goes on', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    const producer = await log.transactions.initProducer('mover')
    const transaction = log.transactions.begin(producer, TIMEOUT_MS)
    for (const partition of partitionsOf(log)) add(transaction, partition, 'no')
    const ends: string[] = []
    transaction.onEnded((state, reason) => ends.push(`${state} ${reason?.code}`))
    await transaction.abort(WHY)
    expect(ends).toEqual(['aborted TRANSACTION_ABORTED'])
    expect(() => transaction.producerFor(partitionOf(log, 'orders'))).toThrow(WHY)
    const next = log.transactions.begin(producer, TIMEOUT_MS)
    for (const partition of partitionsOf(log)) add(next, partition, 'yes')
    await next.commit()
    expect(committedIn(log)).toEqual([['yes'], ['yes'], ['yes']])
    const again = await openTransactions(
      driver.powerCut(undefined, 'none'),
      new FakeClock(),
      'next',
    )
    expect(committedIn(again)).toEqual([['yes'], ['yes'], ['yes']])
  })

  it('is one that nobody ended within its timeout', async () => {
    const clock = new FakeClock()
    const log = await openTransactions(new FaultDriver(), clock)
    const transaction = await begin(log)
    add(transaction, partitionOf(log, 'orders'), 'late')
    clock.advance(TIMEOUT_MS - 1)
    expect(transaction.state).toBe('open')
    clock.advance(1)
    expect(transaction.state).toBe('aborted')
    expect(await endOf(transaction.commit())).toBe('TRANSACTION_ABORTED')
    expect(outcomeIn(partitionOf(log, 'orders'))).toEqual({ committed: [], openCount: 0 })
    expect(clock.timerCount).toBe(0)
  })
})

describe('a transactional id', () => {
  it('is for one producer: a newer one aborts what the older has open, and fences it', async () => {
    const log = await openTransactions(new FaultDriver())
    const { transactions } = log
    const older = await transactions.initProducer('mover')
    const open = transactions.begin(older, TIMEOUT_MS)
    add(open, partitionOf(log, 'orders'), 'old')
    const newer = await transactions.initProducer('mover')
    expect([older.isFenced, newer.isFenced, open.state]).toEqual([true, false, 'aborted'])
    const refused = await open.commit().catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'TRANSACTION_ABORTED', cause: { code: 'FENCED' } })
    expect(() => transactions.begin(older, TIMEOUT_MS)).toThrow(/newer producer/u)
    const next = transactions.begin(newer, TIMEOUT_MS)
    expect([next.producerId, next.producerEpoch]).toEqual([open.producerId, 2])
  })

  it('has another epoch after each decision, and after each open', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    const producer = await log.transactions.initProducer('mover')
    const epochs: number[] = []
    for (const count of [2, 2, 1, 2]) {
      const transaction = log.transactions.begin(producer, TIMEOUT_MS)
      for (const one of partitionsOf(log).slice(0, count)) add(transaction, one, 'x')
      epochs.push(transaction.producerEpoch)
      await transaction.commit()
    }
    expect(epochs).toEqual([1, 2, 3, 3])
    expect(statesOf(log)).toEqual({ mover: 'PrepareCommit@3' })
    await runProcedure(log.close())
    const again = await openTransactions(driver.processKill())
    expect(statesOf(again)).toEqual({ mover: 'CompleteCommit@4' })
    expect((await begin(again, 'mover')).producerEpoch).toBe(5)
  })

  it('that was made up leaves nothing behind', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    const transaction = await begin(log)
    for (const partition of partitionsOf(log)) add(transaction, partition, 'x')
    await transaction.commit()
    expect(Object.values(statesOf(log))).toEqual(['PrepareCommit@0'])
    await runProcedure(log.close())
    const again = await openTransactions(driver.processKill())
    expect(statesOf(again)).toEqual({})
  })
})
