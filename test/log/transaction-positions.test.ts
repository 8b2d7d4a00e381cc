/**
 * Positions of groups in transactions: they move with the data, or neither does, whatever call to
 * the disk the machine stops at; and never ahead of what was read.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { OFFSETS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { OffsetsOutcome, TransactionOffsets } from '../../src/log/staged-offsets.ts'
import type { Procedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { everyCrash } from '../support/every-crash.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { appendMany, partitionOf } from './open-log.ts'
import { add, begin, endOf, openTransactions, outcomeIn } from './open-transactions.ts'

const READ = 5

/** Says that the group has read the records of `audit`. */
function readUpTo(
  offset: number,
  ended: (outcome: OffsetsOutcome) => void = () => undefined,
): TransactionOffsets {
  const commit = { topic: 'audit', partition: 0, offset, leaderEpoch: -1, metadata: '' }
  return { groupId: 'movers', commits: [commit], check: () => undefined, ended }
}

/** Moves what was read from `audit` to `orders`, in one transaction. */
async function move(log: LogDirectory, acked: string[]): Promise<void> {
  appendMany(partitionOf(log, 'audit'), READ)
  const transaction = await begin(log, 'mover')
  add(transaction, partitionOf(log, 'orders'), 'moved')
  transaction.addOffsets(readUpTo(READ))
  await transaction.commit()
  acked.push('moved')
}

function positionOf(log: LogDirectory): number | undefined {
  return log.offsets.get('movers', 'audit', 0)?.offset
}

describe('a position in a transaction', () => {
  it('moves with what was written, after a crash at any call', async () => {
    let log: LogDirectory | undefined
    const acked: string[] = []
    function* prepare(driver: StorageDriver): Procedure<void> {
      acked.length = 0
      yield async () => {
        log = await openTransactions(driver)
        await log.transactions.prepareOffsets()
        await log.transactions.prepareTransactions()
      }
    }
    function* work(): Procedure<void> {
      yield async () => log && (await move(log, acked))
    }
    for await (const { driver, kind } of everyCrash(prepare, work)) {
      const boot = kind === 'kill' ? 'boot' : 'next'
      const again = await openTransactions(driver, new FakeClock(), boot)
      const { committed } = outcomeIn(partitionOf(again, 'orders'))
      const isMoved = committed.length > 0
      if (acked.length > 0) expect(isMoved).toBe(true)
      expect(positionOf(again)).toBe(isMoved ? READ : undefined)
      if (isMoved) expect(partitionOf(again, 'audit').logEndOffset).toBe(READ)
      const offsets = again.topic(OFFSETS_TOPIC)?.partitions[0]
      if (offsets !== undefined) expect(outcomeIn(offsets).openCount).toBe(0)
    }
  }, 120_000)

  it('stays where it was when the transaction is aborted', async () => {
    const log = await openTransactions(new FaultDriver())
    appendMany(partitionOf(log, 'audit'), READ)
    const transaction = await begin(log, 'mover')
    const outcomes: OffsetsOutcome[] = []
    transaction.addOffsets(readUpTo(READ, (outcome) => outcomes.push(outcome)))
    await transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {}))
    expect([positionOf(log), outcomes]).toEqual([undefined, ['aborted']])
  })

  it('stays where it was when that is before its topic is there', async () => {
    const log = await openTransactions(new FaultDriver())
    appendMany(partitionOf(log, 'audit'), READ)
    const transaction = await begin(log, 'mover')
    transaction.addOffsets(readUpTo(READ))
    const commit = endOf(transaction.commit())
    await transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {}))
    expect([await commit, transaction.state]).toEqual(['TRANSACTION_ABORTED', 'aborted'])
    expect(positionOf(log)).toBeUndefined()
  })

  it('that may not be committed any more aborts the transaction', async () => {
    const log = await openTransactions(new FaultDriver())
    appendMany(partitionOf(log, 'audit'), READ)
    const transaction = await begin(log, 'mover')
    add(transaction, partitionOf(log, 'orders'), 'moved')
    const outcomes: OffsetsOutcome[] = []
    const offsets = readUpTo(READ, (outcome) => outcomes.push(outcome))
    transaction.addOffsets({
      ...offsets,
      check() {
        throw new LogError('REBALANCED', 'not yours', {})
      },
    })
    const failed = await transaction.commit().catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'TRANSACTION_ABORTED', cause: { code: 'REBALANCED' } })
    expect([positionOf(log), outcomes]).toEqual([undefined, ['aborted']])
    expect(outcomeIn(partitionOf(log, 'orders'))).toEqual({ committed: [], openCount: 0 })
  })

  it('is whole behind a marker that had to wait for room', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    appendMany(partitionOf(log, 'audit'), READ)
    const producer = await log.transactions.initProducer('mover')
    const first = log.transactions.begin(producer, 60_000)
    first.addOffsets(readUpTo(READ - 1))
    let isFull = false
    driver.onCall = ({ action, path }) => {
      isFull ||= action === 'write' && path.startsWith('__transaction_state')
      return isFull && action === 'write' && path.startsWith(OFFSETS_TOPIC) ? 'ENOSPC' : undefined
    }
    await first.commit()
    expect([positionOf(log), log.transactions.markers.count]).toEqual([READ - 1, 1])
    driver.onCall = undefined
    const next = log.transactions.begin(producer, 60_000)
    next.addOffsets(readUpTo(READ))
    await next.commit()
    expect([positionOf(log), log.transactions.markers.count]).toEqual([READ, 0])
    const again = await openTransactions(driver.processKill())
    expect(positionOf(again)).toBe(READ)
  })

  it('that was aborted is not taken for one of the next transaction', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    await log.transactions.prepareOffsets()
    appendMany(partitionOf(log, 'audit'), READ)
    const producer = await log.transactions.initProducer('mover')
    const aborted = log.transactions.begin(producer, 60_000)
    aborted.addOffsets(readUpTo(READ))
    let [isStaged, isDecided] = [false, false]
    driver.onCall = ({ action, path }) => {
      if (action !== 'write' || !path.endsWith('.log')) return undefined
      isDecided ||= path.startsWith('__transaction_state')
      const isOfOffsets = path.startsWith(OFFSETS_TOPIC)
      const isFull = isOfOffsets ? isStaged : isDecided && path.startsWith('orders-1')
      isStaged ||= isOfOffsets
      return isFull ? 'ENOSPC' : undefined
    }
    expect(await endOf(aborted.commit())).toBe('TRANSACTION_ABORTED')
    expect(log.transactions.markers.count).toBe(1)
    const next = log.transactions.begin(producer, 60_000)
    for (const partition of [0, 1]) add(next, partitionOf(log, 'orders', partition), 'moved')
    await next.commit()
    const left = driver.processKill()
    const recovered = new Set<string>()
    left.onCall = ({ action, path }) => {
      if (!/^(?:orders-1|__consumer_offsets-0).*log$/u.test(path)) return undefined
      if (action === 'flush') recovered.add(path)
      return recovered.has(path) && action === 'write' ? 'ENOSPC' : undefined
    }
    const again = await openTransactions(left)
    expect(again.transactions.markers.count).toBe(2)
    expect(positionOf(again)).toBeUndefined()
  })

  it('is as unknown as its transaction', async () => {
    const driver = new FaultDriver()
    const log = await openTransactions(driver)
    appendMany(partitionOf(log, 'audit'), READ)
    const transaction = await begin(log, 'mover')
    add(transaction, partitionOf(log, 'orders'), 'moved')
    const outcomes: OffsetsOutcome[] = []
    transaction.addOffsets(readUpTo(READ, (outcome) => outcomes.push(outcome)))
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('__transaction_state') ? 'EIO' : undefined
    expect(await endOf(transaction.commit())).toBe('unknown')
    expect([positionOf(log), outcomes]).toEqual([undefined, ['unknown']])
    const pending = log.offsets.pendingOf('movers', 'audit', 0)
    expect(await endOf(pending ?? Promise.resolve())).toBe('unknown')
    driver.onCall = undefined
    const again = await openTransactions(driver.processKill())
    expect(positionOf(again)).toBe(READ)
  })
})
