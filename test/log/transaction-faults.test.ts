/**
 * Transactions over a disk on which one call fails, each call once: what `commit` says is so, in
 * memory and after the log was opened anew, and it says unknown exactly where that is all that can
 * be said.
 */
import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { DiskCall, DiskFault } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  add,
  committedIn,
  endOf,
  openTransactions,
  outcomeIn,
  partitionsOf,
  TIMEOUT_MS,
} from './open-transactions.ts'

/** What a commit came to over a disk that failed once. */
interface FaultyRun {
  /** The call that failed. */
  readonly failed: DiskCall
  readonly end: string
  /** While the log was open. */
  readonly committed: readonly string[]
  /** Partitions whose readers wait once what failed has had time to be tried again. */
  readonly waiting: readonly string[]
  /** After a kill or a power cut, in each of the partitions that it wrote to. */
  readonly found: readonly string[]
}

/** Lets each call of a commit in `count` partitions fail, one a run. */
async function* everyFault(fault: DiskFault, count: number): AsyncGenerator<FaultyRun> {
  for (let at = 0, hasFailed = true; hasFailed; at++) {
    for (const isKill of [true, false]) {
      const driver = new FaultDriver()
      const clock = new FakeClock()
      const log = await openTransactions(driver, clock)
      const producer = await log.transactions.initProducer('mover')
      const before = log.transactions.begin(producer, TIMEOUT_MS)
      for (const one of partitionsOf(log)) add(before, one, 'before')
      await before.commit()
      const written = partitionsOf(log).slice(0, count)
      const transaction = log.transactions.begin(producer, TIMEOUT_MS)
      for (const one of written) add(transaction, one, 'x')
      let callsLeft = at
      let failed: DiskCall | undefined
      driver.onCall = (call) => {
        const isSync = call.action === 'flush' || call.action === 'flushDirectory'
        if ((isSync && fault === 'ENOSPC') || callsLeft-- !== 0) return undefined
        failed = call
        return fault
      }
      const end = await endOf(transaction.commit())
      driver.onCall = undefined
      hasFailed = failed !== undefined
      if (failed === undefined) return
      const committed = written.map(lastOf)
      clock.advance(1_000)
      const waiting = written.filter(isWaiting).map(({ directory }) => directory)
      const random = new SeededRandom(at)
      const left = isKill ? driver.processKill() : driver.powerCut(random, 'some')
      const again = await openTransactions(left, new FakeClock(), isKill ? 'boot' : 'next')
      for (const one of partitionsOf(again)) expect(isWaiting(one)).toBe(false)
      const found = committedIn(again)
        .slice(0, count)
        .map((values) => values.at(-1) ?? '')
      yield { failed, end, committed, waiting, found }
    }
  }
}

function lastOf(log: PartitionLog): string {
  return outcomeIn(log).committed.at(-1) ?? ''
}

function isWaiting({ lastStableOffset, logEndOffset }: PartitionLog): boolean {
  return lastStableOffset < logEndOffset
}

/** How the runs ended, by what failed. */
async function endsOf(
  runs: AsyncGenerator<FaultyRun>,
): Promise<Readonly<Record<string, readonly string[]>>> {
  const ends = new Map<string, Set<string>>()
  for await (const { failed, end, committed, waiting, found } of runs) {
    const isThere = found.map((value) => value === 'x')
    expect(new Set(isThere).size).toBe(1)
    if (end === 'ok') expect(isThere).not.toContain(false)
    if (end === 'TRANSACTION_ABORTED') {
      expect(isThere).not.toContain(true)
      expect(committed).not.toContain('x')
    }
    const folder = failed.path.slice(0, failed.path.indexOf('/'))
    // After a failed sync nothing is appended any more, no marker either.
    if (end !== 'unknown') expect(waiting).toEqual(failed.action === 'flush' ? [folder] : [])
    const what = `${failed.action} ${folder}`
    ends.set(what, (ends.get(what) ?? new Set()).add(end))
  }
  return Object.fromEntries([...ends].map(([what, of]) => [what, [...of]]))
}

describe('a commit across partitions, where one call to the disk fails', () => {
  it('with an I/O error, is aborted before its decision, unknown at it, done behind it', async () => {
    expect(await endsOf(everyFault('EIO', 3))).toEqual({
      'flush orders-0': ['TRANSACTION_ABORTED'],
      'flush orders-1': ['TRANSACTION_ABORTED'],
      'flush audit-0': ['TRANSACTION_ABORTED'],
      'write __transaction_state-0': ['TRANSACTION_ABORTED'],
      'flush __transaction_state-0': ['unknown'],
      'write orders-0': ['ok'],
      'write orders-1': ['ok'],
      'write audit-0': ['ok'],
    })
  }, 120_000)

  it('with a full disk, is aborted before its decision and done behind it', async () => {
    expect(await endsOf(everyFault('ENOSPC', 3))).toEqual({
      'write __transaction_state-0': ['TRANSACTION_ABORTED'],
      'write orders-0': ['ok'],
      'write orders-1': ['ok'],
      'write audit-0': ['ok'],
    })
  }, 120_000)
})

describe('a commit in one partition, where one call to the disk fails', () => {
  it('is aborted where its marker cannot be written, and unknown where it is not synced', async () => {
    expect(await endsOf(everyFault('EIO', 1))).toEqual({
      'write orders-0': ['TRANSACTION_ABORTED'],
      'flush orders-0': ['unknown'],
    })
  }, 120_000)
})
