/**
 * Who ends a transaction that its producer has in hand, and when: until the decision is handed over
 * anybody may, from then on nobody; and markers that cannot be written wait for room.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { CoordinatedTransaction } from '../../src/log/coordinated-transaction.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { TransactionalProducer } from '../../src/log/transaction-coordinator.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskCall, DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  add,
  committedIn,
  endOf,
  openTransactions,
  outcomeIn,
  partitionsOf,
  statesOf,
  TIMEOUT_MS,
} from './open-transactions.ts'

/** A transaction of three partitions, and what may be done to it. */
interface Held {
  readonly driver: FaultDriver
  readonly clock: FakeClock
  readonly log: LogDirectory
  readonly producer: TransactionalProducer
  readonly transaction: CoordinatedTransaction
  /** Syncs of `folder` wait from now on, until the next call with undefined. */
  hold(folder: string | undefined): void
}

async function begun(): Promise<Held> {
  const driver = new FaultDriver()
  const clock = new FakeClock()
  const log = await openTransactions(driver, clock)
  const producer = await log.transactions.initProducer('mover')
  const transaction = log.transactions.begin(producer, TIMEOUT_MS)
  for (const one of partitionsOf(log)) add(transaction, one, 'x')
  const hold = (folder: string | undefined): void => {
    const { machine } = driver
    machine.holds =
      folder === undefined
        ? undefined
        : ({ action, path }) => action === 'flush' && path.startsWith(folder)
    if (folder === undefined) for (const flush of machine.held) flush.end()
  }
  return { driver, clock, log, producer, transaction, hold }
}

/** The disk of that partition is full once a decision was written. */
function fullSinceDecision(folder: string): (call: DiskCall) => DiskFault | undefined {
  let isFull = false
  return ({ action, path }) => {
    isFull ||= action === 'write' && path.startsWith('__transaction_state')
    return isFull && action === 'write' && path.startsWith(folder) ? 'ENOSPC' : undefined
  }
}

const ENDS: Readonly<Record<string, (held: Held) => Promise<unknown>>> = {
  'its producer': ({ transaction }) =>
    transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {})),
  'a newer producer': ({ log }) => log.transactions.initProducer('mover'),
  'its timeout': async ({ clock }) => clock.advance(TIMEOUT_MS),
  'a producer that is done': async ({ log, producer }) => log.transactions.release(producer),
}

describe.each(Object.entries(ENDS))('%s', (_, end) => {
  it('aborts it while it is open', async () => {
    const held = await begun()
    await end(held)
    expect(held.transaction.state).toBe('aborted')
    expect(await endOf(held.transaction.commit())).toBe('TRANSACTION_ABORTED')
    expect(committedIn(held.log)).toEqual([[], [], []])
  })

  it('aborts it while its data is on the way to the disk', async () => {
    const held = await begun()
    held.hold('orders-1')
    const commit = endOf(held.transaction.commit())
    await nextTurn()
    const ended = end(held)
    await nextTurn()
    expect(held.transaction.state).toBe('aborted')
    held.hold(undefined)
    await ended
    expect(await commit).toBe('TRANSACTION_ABORTED')
    expect(committedIn(held.log)).toEqual([[], [], []])
    const again = await openTransactions(held.driver.processKill())
    expect(committedIn(again)).toEqual([[], [], []])
  })

  it('waits for it once its decision is on the way', async () => {
    const held = await begun()
    held.hold('__transaction_state')
    const commit = endOf(held.transaction.commit())
    await nextTurn()
    await nextTurn()
    const ended = end(held)
    await nextTurn()
    expect(held.transaction.state).toBe('committing')
    expect(committedIn(held.log)).toEqual([[], [], []])
    held.hold(undefined)
    await ended
    expect(await commit).toBe('ok')
    expect(committedIn(held.log)).toEqual([['x'], ['x'], ['x']])
  })
})

describe('a log that is closed', () => {
  it('aborts what is open, and is at rest', async () => {
    const { log, driver, transaction } = await begun()
    await runProcedure(log.close())
    expect(transaction.state).toBe('aborted')
    const again = await openTransactions(driver.processKill())
    expect(partitionsOf(again).map(outcomeIn)).toEqual(
      [0, 1, 2].map(() => ({ committed: [], openCount: 0 })),
    )
    expect(statesOf(again)).toEqual({ mover: 'Empty@1' })
  })

  it.each(['orders-1', '__transaction_state'])(
    'finishes what is being committed, while %s is synced',
    async (folder) => {
      const { log, driver, transaction, hold } = await begun()
      hold(folder)
      const commit = endOf(transaction.commit())
      await nextTurn()
      const closed = runProcedure(log.close())
      await nextTurn()
      expect(transaction.state).toBe('committing')
      hold(undefined)
      expect(await commit).toBe('ok')
      await closed
      const again = await openTransactions(driver.processKill())
      expect(committedIn(again)).toEqual([['x'], ['x'], ['x']])
      expect(statesOf(again)).toEqual({ mover: 'CompleteCommit@2' })
    },
  )

  it('begins nothing more', async () => {
    const { log, producer } = await begun()
    await log.transactions.close()
    expect(() => log.transactions.begin(producer, TIMEOUT_MS)).toThrow(LogError)
    expect(await endOf(log.transactions.initProducer('mover'))).toBe('CLOSED')
  })
})

describe('a decision on its way to the disk', () => {
  it('stays the last record of its id, whatever was complete before it', async () => {
    const { log, driver, transaction, producer, hold } = await begun()
    await transaction.commit()
    const next = log.transactions.begin(producer, TIMEOUT_MS)
    for (const one of partitionsOf(log)) add(next, one, 'next')
    hold('__transaction_state')
    const commit = next.commit()
    await nextTurn()
    await nextTurn()
    log.transactions.completeSettled() // As a checkpoint does.
    expect(statesOf(log)).toEqual({ mover: 'PrepareCommit@2' })
    hold(undefined)
    await commit
    const again = await openTransactions(
      driver.powerCut(undefined, 'none'),
      new FakeClock(),
      'next',
    )
    expect(committedIn(again)).toEqual([0, 1, 2].map(() => ['x', 'next']))
  })
})

describe('a decision of unknown outcome', () => {
  it('stays as it is, and nothing begins before the log is opened again', async () => {
    const { log, driver, transaction, producer } = await begun()
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('__transaction_state') ? 'EIO' : undefined
    expect(await endOf(transaction.commit())).toBe('unknown')
    expect(transaction.state).toBe('unknown')
    await transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {}))
    for (const one of partitionsOf(log)) {
      expect([outcomeIn(one).openCount, one.lastStableOffset]).toEqual([1, 0])
    }
    expect(() => log.transactions.begin(producer, TIMEOUT_MS)).toThrow(/unknown outcome/u)
    expect(await endOf(log.transactions.initProducer('other'))).toBe('READ_ONLY')
    driver.onCall = undefined
    await expect(runProcedure(log.close())).rejects.toMatchObject({ code: 'IO' })
    const again = await openTransactions(driver.processKill())
    expect(committedIn(again)).toEqual([['x'], ['x'], ['x']])
  })
})

describe('a transaction whose data is on its way when another becomes unknown', () => {
  it('is aborted', async () => {
    const { log, driver, transaction, hold } = await begun()
    const producer = await log.transactions.initProducer('other')
    const other = log.transactions.begin(producer, TIMEOUT_MS)
    hold('orders-1')
    const commit = transaction.commit().catch((error: unknown) => error)
    const [first, , audit] = partitionsOf(log)
    for (const one of [first, audit]) if (one) add(other, one, 'other')
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('__transaction_state') ? 'EIO' : undefined
    expect(await endOf(other.commit())).toBe('unknown')
    driver.onCall = undefined
    hold(undefined)
    expect(await commit).toMatchObject({
      code: 'TRANSACTION_ABORTED',
      cause: { code: 'READ_ONLY', cause: { code: 'IO' } },
    })
    const again = await openTransactions(driver.processKill())
    expect(committedIn(again)).toEqual([['other'], [], ['other']])
  })
})

describe('a producer that takes an id', () => {
  it('writes nothing once the log closes', async () => {
    const { log, driver, transaction, hold } = await begun()
    await transaction.commit()
    hold('orders-1')
    const taking = endOf(log.transactions.initProducer('mover'))
    await nextTurn()
    const closed = runProcedure(log.close())
    hold(undefined)
    expect(await taking).toBe('CLOSED')
    await closed
    const again = await openTransactions(driver.processKill())
    expect(statesOf(again)).toEqual({ mover: 'CompleteCommit@2' })
  })
})

describe('a marker that finds no room', () => {
  it('is written once there is room, and readers wait for it', async () => {
    const { log, driver, clock, transaction } = await begun()
    const [, second] = partitionsOf(log)
    driver.onCall = fullSinceDecision('orders-1')
    const told: unknown[] = []
    log.transactions.markers.onDelayed = (cause) => void told.push(cause)
    expect(await endOf(transaction.commit())).toBe('ok')
    expect(committedIn(log)).toEqual([['x'], [], ['x']])
    expect(second?.lastStableOffset).toBe(0)
    clock.advance(5_000)
    expect(second?.lastStableOffset).toBe(0)
    driver.onCall = undefined
    clock.advance(1_000)
    expect(committedIn(log)).toEqual([['x'], ['x'], ['x']])
    expect([second?.lastStableOffset, clock.timerCount]).toEqual([2, 0])
    expect(told).toMatchObject([{ code: 'NO_SPACE' }])
  })

  it('keeps its producer from writing behind it, and from deciding anew', async () => {
    const { log, driver, clock, transaction, producer } = await begun()
    const [first, second, audit] = partitionsOf(log)
    driver.onCall = fullSinceDecision('orders-1')
    await transaction.commit()
    const next = log.transactions.begin(producer, TIMEOUT_MS)
    if (first && second && audit) {
      expect(() => next.producerFor(second)).toThrow(/space|room/u)
      add(next, first, 'next')
      add(next, audit, 'next')
    }
    expect(await endOf(next.commit())).toBe('TRANSACTION_ABORTED')
    driver.onCall = undefined
    clock.advance(1_000)
    const last = log.transactions.begin(producer, TIMEOUT_MS)
    for (const one of partitionsOf(log)) add(last, one, 'last')
    await last.commit()
    expect(committedIn(log)).toEqual([
      ['x', 'last'],
      ['x', 'last'],
      ['x', 'last'],
    ])
  })

  it('of an abort keeps nobody but its producer from that partition', async () => {
    const { log, driver, transaction, producer } = await begun()
    const [first, second, audit] = partitionsOf(log)
    driver.onCall = ({ action, path }) =>
      action === 'write' && path.startsWith('orders-1') ? 'ENOSPC' : undefined
    await transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {}))
    const next = log.transactions.begin(producer, TIMEOUT_MS)
    if (first && second && audit) {
      expect(() => next.producerFor(second)).toThrow(/space|room/u)
      add(next, first, 'next')
      add(next, audit, 'next')
    }
    await next.commit()
    expect(committedIn(log)).toEqual([['next'], [], ['next']])
    const again = await openTransactions(driver.processKill())
    expect(committedIn(again)).toEqual([['next'], [], ['next']])
    expect(partitionsOf(again).map((one) => outcomeIn(one).openCount)).toEqual([0, 0, 0])
  })

  it('when the log is opened again does not keep it from opening', async () => {
    const { driver, transaction } = await begun()
    driver.onCall = fullSinceDecision('orders-1')
    await transaction.commit()
    const clock = new FakeClock()
    const next = driver.processKill()
    let isRecovered = false
    next.onCall = ({ action, path }) => {
      if (!/^orders-1.*log$/u.test(path)) return undefined
      isRecovered ||= action === 'flush' // What recovery had accepted is written and synced.
      return isRecovered && action === 'write' ? 'ENOSPC' : undefined
    }
    const again = await openTransactions(next, clock)
    expect(committedIn(again)).toEqual([['x'], [], ['x']])
    next.onCall = undefined
    clock.advance(1_000)
    expect(committedIn(again)).toEqual([['x'], ['x'], ['x']])
    await runProcedure(again.close())
    expect(statesOf(await openTransactions(next.processKill()))).toEqual({
      mover: 'CompleteCommit@2',
    })
  })

  it('is not tried again by a log that could not be opened', async () => {
    const { driver, transaction } = await begun()
    driver.onCall = fullSinceDecision('orders-1')
    await transaction.commit()
    const clock = new FakeClock()
    const next = driver.processKill()
    let isRecovered = false
    next.onCall = ({ action, path }) => {
      if (path === 'streambed.control' && action !== 'open') return 'EIO'
      if (!/^orders-1.*log$/u.test(path)) return undefined
      isRecovered ||= action === 'flush'
      return isRecovered && action === 'write' ? 'ENOSPC' : undefined
    }
    expect(await endOf(openTransactions(next, clock))).toBe('IO')
    expect(clock.timerCount).toBe(0)
  })
})
