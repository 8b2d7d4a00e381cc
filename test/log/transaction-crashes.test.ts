/**
 * Transactions of one producer, one behind the other, ended by a kill or a power cut at each call
 * to the disk: each is there in all its partitions or in none, what was acknowledged is there, and
 * no open one is taken for the decided one before it. The same with the end at each call of the
 * recovery that follows.
 */
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { type CrashState, everyCrash } from '../support/every-crash.ts'
import { FakeClock } from '../support/fake-clock.ts'
import {
  add,
  batchesOf,
  committedIn,
  openTransactions,
  outcomeIn,
  partitionsOf,
  statesOf,
  TIMEOUT_MS,
} from './open-transactions.ts'

/** Which of the three partitions each transaction writes to, and how it ends. */
interface Step {
  readonly name: string
  readonly partitions: readonly number[]
  readonly end: 'commit' | 'abort' | 'none'
  /** A newer producer has taken the id before. */
  readonly isTakenOver?: true
}

const ACROSS: readonly Step[] = [
  { name: 'first', partitions: [0, 1], end: 'commit' },
  { name: 'second', partitions: [0, 2], end: 'commit' },
  { name: 'left', partitions: [0, 1, 2], end: 'none' },
]
const MIXED: readonly Step[] = [
  { name: 'first', partitions: [0, 1, 2], end: 'commit' },
  { name: 'alone', partitions: [1], end: 'commit', isTakenOver: true },
  { name: 'dropped', partitions: [1, 2], end: 'abort' },
  { name: 'third', partitions: [0, 2], end: 'commit' },
  { name: 'open', partitions: [0], end: 'none' },
]

/** Runs the steps, and notes which commits were acknowledged. */
async function run(log: LogDirectory, steps: readonly Step[], acked: string[]): Promise<void> {
  const { transactions } = log
  let producer = await transactions.initProducer('mover')
  for (const { name, partitions, end, isTakenOver } of steps) {
    if (isTakenOver) producer = await transactions.initProducer('mover')
    const transaction = transactions.begin(producer, TIMEOUT_MS)
    const logs = partitionsOf(log).filter((_, index) => partitions.includes(index))
    for (const one of logs) add(transaction, one, `${name} 1`, `${name} 2`)
    for (const one of logs) add(transaction, one, `${name} 3`)
    if (end === 'abort') await transaction.abort(new LogError('TRANSACTION_ABORTED', 'no', {}))
    if (end !== 'commit') continue
    await transaction.commit()
    acked.push(name)
  }
}

/** Every transaction as a whole, in the order of the steps, and nothing else. */
function checkWhole(log: LogDirectory, steps: readonly Step[], acked: readonly string[]): void {
  const found = committedIn(log)
  const there = steps.filter(({ name }) => found.some((values) => values.includes(`${name} 1`)))
  for (const { name, end } of there) expect([name, end]).toEqual([name, 'commit'])
  for (const name of acked) expect(there.map((step) => step.name)).toContain(name)
  for (const [index, values] of found.entries()) {
    const expected = there
      .filter(({ partitions }) => partitions.includes(index))
      .flatMap(({ name }) => [1, 2, 3].map((number) => `${name} ${number}`))
    expect(values).toEqual(expected)
  }
}

/** Nothing is open, each transaction was ended once, and what is written goes on. */
async function checkAtRest(log: LogDirectory): Promise<void> {
  for (const one of partitionsOf(log)) {
    expect(outcomeIn(one).openCount).toBe(0)
    expect(one.lastStableOffset).toBe(one.logEndOffset)
    expect(needlessMarkers(one)).toBe(0)
  }
  const before = committedIn(log)
  await run(log, [{ name: 'next', partitions: [0, 1, 2], end: 'commit' }], [])
  const next = ['next 1', 'next 2', 'next 3']
  expect(committedIn(log)).toEqual(before.map((values) => [...values, ...next]))
  await runProcedure(log.close())
}

function bootAfter(kind: CrashState['kind']): string {
  return kind === 'kill' ? 'boot' : 'next boot'
}

/** Markers that end nothing: each is written once. */
function needlessMarkers(log: PartitionLog): number {
  const open = new Set<string>()
  let count = 0
  for (const { producer, marker } of batchesOf(log)) {
    if (marker === undefined) open.add(producer)
    else if (!open.delete(producer)) count += 1
  }
  return count
}

describe.each([
  ['two commits and one that is open', ACROSS],
  ['commits across and in one partition, and an abort', MIXED],
])('after a crash in %s', (_, steps) => {
  it('every transaction is whole, and what was acknowledged is there', async () => {
    let log: LogDirectory | undefined
    let acked: string[] = []
    function* prepare(driver: StorageDriver): Procedure<void> {
      yield async () => (log = await openTransactions(driver))
    }
    function* work(): Procedure<void> {
      acked = []
      yield async () => log && (await run(log, steps, acked))
    }
    for await (const { driver, kind } of everyCrash(prepare, work)) {
      const again = await openTransactions(driver, new FakeClock(), bootAfter(kind))
      checkWhole(again, steps, acked)
      await checkAtRest(again)
    }
  }, 120_000)
})

describe('after a crash in the recovery of transactions', () => {
  it('every transaction is whole, and what was acknowledged is there', async () => {
    const acked: string[] = []
    function* prepare(driver: StorageDriver): Procedure<void> {
      acked.length = 0
      yield async () => {
        const log = await openTransactions(driver)
        const { transactions } = log
        await run(log, ACROSS, acked)
        const other = await transactions.initProducer('other')
        const transaction = transactions.begin(other, TIMEOUT_MS)
        for (const one of partitionsOf(log)) add(transaction, one, 'other')
      }
    }
    function* work(driver: StorageDriver): Procedure<void> {
      yield () => openTransactions(driver)
    }
    for await (const { driver, kind } of everyCrash(prepare, work)) {
      const again = await openTransactions(driver, new FakeClock(), bootAfter(kind))
      checkWhole(again, ACROSS, acked)
      expect(Object.keys(statesOf(again))).toEqual(['mover', 'other'])
      await checkAtRest(again)
    }
  }, 120_000)
})
