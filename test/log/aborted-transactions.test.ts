/**
 * What a partition knows of aborted transactions: from its .txnindex files, from what was appended
 * since, and from the markers in the log where nobody vouches for the files.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskAction } from '../../src/testing/disk-faults.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import { open as openPartition, type Opened } from './faulty-partition.ts'
import { openLog, partitionOf, range } from './open-log.ts'
import { bytesOf, flip, namesEnding } from './tampering.ts'
import { appendInTransaction, appendMarker } from './transactional-batches.ts'

/** Two batches and a marker fill a segment. */
const CONFIG = { segmentBytes: 1_024, indexIntervalBytes: 0, preallocate: false }
const VALUE = 'v'.padEnd(300)

/** Who wrote what: a digit is a batch of its producer, A an abort of 1, B of 2, C and D commits. */
function write(log: PartitionLog, history: string): void {
  for (const step of history) {
    if (step === 'A' || step === 'B') appendMarker(log, step === 'A' ? 1 : 2, 'abort')
    else if (step === 'C' || step === 'D') appendMarker(log, step === 'C' ? 1 : 2, 'commit')
    else appendInTransaction(log, Number(step), VALUE)
  }
}

/** Offsets of batches that `log` says were aborted, asked in this order or in that of the log. */
function aborted(log: PartitionLog, history: string, order?: readonly number[]): readonly number[] {
  const offsets = order ?? range(0, history.length)
  const isAborted = (offset: number): boolean => {
    const producerId = Number(history[offset])
    return !Number.isNaN(producerId) && log.isAborted(producerId, offset)
  }
  return offsets.filter(isAborted).toSorted((a, b) => a - b)
}

const HISTORY = '11C2211A2D1B2112BC22111D11A1212CB'
const ABORTED = abortedIn(HISTORY)

function abortedIn(history: string): readonly number[] {
  const offsets: number[] = []
  for (const [producer, abort, commit] of [
    ['1', 'A', 'C'],
    ['2', 'B', 'D'],
  ] as const) {
    let open: number[] = []
    for (const [offset, step] of history.split('').entries()) {
      if (step === producer) open.push(offset)
      if (step === abort) offsets.push(...open)
      if (step === abort || step === commit) open = []
    }
  }
  return offsets.toSorted((a, b) => a - b)
}

async function reopened(driver: FaultDriver): Promise<PartitionLog> {
  const { log } = await openLog(driver)
  return partitionOf(log, 't')
}

async function written(): Promise<Opened> {
  const opened = await openPartition(CONFIG)
  write(opened.partition, HISTORY)
  return opened
}

describe('aborted transactions', () => {
  it('are known at once, whether anything was asked before or not', async () => {
    const { partition } = await openPartition(CONFIG)
    for (const done of range(0, HISTORY.length)) {
      write(partition, HISTORY.slice(done, done + 1))
      const soFar = HISTORY.slice(0, done + 1)
      const stable = soFar.slice(0, partition.lastStableOffset)
      const expected = abortedIn(soFar).filter((offset) => offset < stable.length)
      expect(aborted(partition, stable)).toEqual(expected)
    }
    const { partition: silent } = await written()
    expect(aborted(silent, HISTORY)).toEqual(ABORTED)
    expect(silent.segments.count).toBeGreaterThan(8)
  })

  it.each(['forwards', 'backwards', 'from the middle'])(
    'are read from their files after a clean close, asked %s',
    async (how) => {
      const { driver, log } = await written()
      await runProcedure(log.close())
      const partition = await reopened(driver.processKill())
      const all = range(0, HISTORY.length)
      const middle = [...all.slice(15), ...all.slice(0, 15)]
      const order = how === 'forwards' ? all : how === 'backwards' ? all.toReversed() : middle
      expect(aborted(partition, HISTORY, order)).toEqual(ABORTED)
    },
  )

  it('are found by their markers after a kill, wherever one asks', async () => {
    const { driver, log } = await written()
    await runProcedure(log.checkpoint())
    const left = driver.processKill()
    for (const name of namesEnding(left, '.txnindex')) await left.unlink(`t-0/${name}`)
    const partition = await reopened(left)
    const all = range(0, HISTORY.length)
    const zigzag = all.map((at) => (at * 7) % all.length)
    expect(aborted(partition, HISTORY, zigzag)).toEqual(ABORTED)
    write(partition, '1A2D')
    expect(aborted(partition, `${HISTORY}1A2D`)).toEqual([...ABORTED, HISTORY.length])
  })

  it('are found behind damage as well', async () => {
    const { driver, log } = await written()
    await runProcedure(log.checkpoint())
    const left = driver.processKill()
    const [, second = ''] = namesEnding(left, '.log')
    flip(left, `t-0/${second}`, 100)
    const partition = await reopened(left)
    const from = partition.segments.after(partition.segments.first)?.nextOffset ?? 0
    const behind = ABORTED.filter((offset) => offset >= from)
    const asked = range(from, HISTORY.length)
    expect(behind.length).toBeGreaterThan(3)
    expect(aborted(partition, HISTORY, asked)).toEqual(behind)
  })

  it('are forgotten with the records that the log does not have any more', async () => {
    const { log, partition } = await openPartition({ preallocate: false })
    write(partition, '1A')
    expect(partition.isAborted(1, 0)).toBe(true)
    await runProcedure(log.deleteRecordsBefore(partition, partition.logEndOffset))
    const { logEndOffset: start } = partition
    for (let count = 0; count < 4_096; count += 1) write(partition, '2B')
    const end = partition.logEndOffset
    write(partition, '1A')
    expect(partition.isAborted(1, 0)).toBe(false)
    for (const offset of [start, end - 2]) expect(partition.isAborted(2, offset)).toBe(true)
    expect(partition.isAborted(1, end)).toBe(true)
  })

  it('are asked for again where their files could not be opened', async () => {
    const { driver, log } = await written()
    await runProcedure(log.close())
    const left = driver.processKill()
    const partition = await reopened(left)
    const { machine } = left
    machine.faults.inject({ fault: 'EMFILE', action: 'open', path: /txnindex/ })
    expect(() => partition.isAborted(1, 0)).toThrow(LogError)
    expect(aborted(partition, HISTORY)).toEqual(ABORTED)
  })

  it.each([0, 1, 2, 5])(
    'are not forgotten where the one behind %i others could not',
    async (at) => {
      const { driver, log } = await written()
      await runProcedure(log.close())
      const left = driver.processKill()
      const partition = await reopened(left)
      left.machine.faults.inject({
        fault: 'EMFILE',
        action: 'open',
        path: lastTransactionIndex(left, at),
      })
      expect(() => partition.isAborted(1, 0)).toThrow(LogError)
      expect(aborted(partition, HISTORY)).toEqual(ABORTED)
    },
  )
})

/** The name of the last but `at` of them. */
function lastTransactionIndex(driver: FaultDriver, at: number): RegExp {
  return new RegExp(namesEnding(driver, '.txnindex').at(-1 - at) ?? '')
}

describe('an abort that the disk refuses', () => {
  const CALLS: readonly DiskAction[] = ['create', 'write', 'resize']

  it.each([
    [0, 'EIO'],
    [1, 'EIO'],
    [2, 'EIO'],
    [0, 'ENOSPC'],
    [1, 'ENOSPC'],
    [2, 'ENOSPC'],
  ] as const)('at its call %i with %s leaves its transaction open', async (failing, fault) => {
    for (const isKilled of [false, true]) {
      const { driver, log, partition } = await openPartition({ preallocate: false })
      write(partition, '112A')
      const stable = partition.lastStableOffset
      write(partition, '1')
      let call = 0
      driver.onCall = ({ action }) => {
        if (!CALLS.includes(action)) return undefined
        call += 1
        return call - 1 === failing ? fault : undefined
      }
      let hasFailed = false
      try {
        appendMarker(partition, 1, 'abort')
      } catch (error) {
        hasFailed = LogError.is(error, 'NO_SPACE', 'IO')
      }
      driver.onCall = undefined
      // Fewer calls than that are made: then nothing has failed.
      expect(hasFailed).toBe(call > failing)
      if (hasFailed) {
        expect([partition.lastStableOffset, stable]).toEqual([2, 2])
        appendMarker(partition, 1, 'abort')
      }
      appendMarker(partition, 2, 'commit')
      expect(aborted(partition, '112A1')).toEqual([0, 1, 4])
      if (!isKilled) await runProcedure(log.close())
      const left = driver.processKill()
      const again = await reopened(left)
      expect(aborted(again, '112A1')).toEqual([0, 1, 4])
      const [name = ''] = namesEnding(left, '.txnindex')
      expect(bytesOf(left, `t-0/${name}`)).toHaveLength(2 * 34)
    }
  })
})
