/**
 * Group commit: who waits for what, in which order files are synced, and what a failed sync means.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import {
  CommitBarrier,
  DurablePrefix,
  PARTITION_UNSYNCED_BYTES,
} from '../../src/log/commit-barrier.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { SyncedLog } from './synced-log.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readFromFiles } from './open-log.ts'

describe('a sync round', () => {
  it('serves all who came before it began; who comes later shares the next one', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    const done: number[] = []
    const wait = (offset: number): void =>
      void partition.makeDurable(offset).then(() => done.push(offset))
    held.hold()
    appendMany(partition, 2)
    wait(1)
    wait(2)
    await nextTurn()
    appendMany(partition, 3)
    wait(5)
    wait(3)
    await nextTurn()
    expect(held.synced).toHaveLength(1)
    expect(partition.durableOffset).toBe(0)
    await held.release()
    await nextTurn()
    expect(held.synced).toHaveLength(2)
    expect(done).toEqual([1, 2, 3, 5])
    expect([partition.durableOffset, partition.unsyncedBytes]).toEqual([5, 0])
  })

  it('resolves at once for what is durable already', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    appendMany(partition, 2)
    await partition.makeDurable(2)
    await partition.makeDurable(1)
    expect(held.synced).toHaveLength(1)
  })

  it('syncs sealed files oldest first, then the names, then the newest file', async () => {
    const { held, log } = await SyncedLog.open({ segmentBytes: 1024 })
    const partition = partitionOf(log, 't')
    appendMany(partition, 50)
    const logs = held.driver.list('t-0').filter((name) => name.endsWith('.log'))
    expect(logs.length).toBeGreaterThan(3)
    await partition.makeDurable(50)
    const expected = [...logs.slice(0, -1), '', logs.at(-1) ?? '']
    expect(held.synced).toEqual(expected.map((name) => (name === '' ? 't-0' : `t-0/${name}`)))
  })

  it('puts a file that is sealed while it runs on the next one', async () => {
    const { held, log } = await SyncedLog.open({ segmentBytes: 1024 })
    const partition = partitionOf(log, 't')
    held.hold()
    appendMany(partition, 5)
    const first = partition.makeDurable(5)
    await nextTurn()
    appendMany(partition, 30)
    const second = partition.makeDurable(35)
    await held.release()
    await first
    expect(held.synced[0]).toBe('t-0/00000000000000000000.log')
    await second
    expect(held.synced[1]).toBe('t-0/00000000000000000000.log')
    expect(held.synced).toContain('t-0')
  })

  it('runs beside at most one other, over all partitions', async () => {
    const { held, log } = await SyncedLog.open({ partitions: 5 })
    const partitions = log.topic('t')?.partitions ?? []
    for (const partition of partitions) appendMany(partition, 1)
    held.hold()
    const all = Promise.all(partitions.map((partition) => partition.makeDurable(1)))
    await nextTurn()
    expect(held.running).toBe(2)
    await held.release()
    await all
    expect(held.mostRunning).toBe(2)
  })
})

describe('a close', () => {
  it('waits for the sync of a partition that was deleted meanwhile', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    appendMany(partition, 1)
    held.hold()
    const synced = partition.makeDurable(1)
    await nextTurn()
    held.gate = undefined // Only what is under way is held.
    await runProcedure(log.deleteTopic('t'))
    await expect(synced).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    const events: string[] = []
    const closed = runProcedure(log.close()).then(() => events.push('closed'))
    for (let turns = 0; turns < 30; turns++) await nextTurn()
    events.push('synced')
    await held.release()
    await closed
    expect(events).toEqual(['synced', 'closed'])
  })
})

describe('a checkpoint', () => {
  it('passes no batch that was appended while it ran', async () => {
    for (const count of [3, 40]) {
      const { held, log } = await SyncedLog.open({ segmentBytes: 1024 })
      const partition = partitionOf(log, 't')
      appendMany(partition, 5)
      held.holdAtLog = true
      const checkpoint = runProcedure(log.checkpoint())
      await nextTurn()
      appendMany(partition, count)
      await held.release()
      await checkpoint
      expect(partition.recoveryPoint).toBe(5)
      await runProcedure(log.checkpoint())
      expect(partition.recoveryPoint).toBe(5 + count)
      const { log: again } = await openLog(held.driver.processKill())
      expect(partitionOf(again, 't').logEndOffset).toBe(5 + count)
    }
  })
})

describe('syncs that start by themselves', () => {
  it('come after flushMessages records', async () => {
    const { held, log } = await SyncedLog.open({ flushMessages: 3 })
    const partition = partitionOf(log, 't')
    appendMany(partition, 2)
    await nextTurn()
    expect(held.synced).toEqual([])
    appendMany(partition, 1)
    await nextTurn()
    expect(partition.durableOffset).toBe(3)
  })

  it('come flushMs after the first append that was not synced', async () => {
    const { held, log } = await SyncedLog.open({ flushMs: 50 })
    const partition = partitionOf(log, 't')
    appendMany(partition, 1)
    held.clock.advance(30)
    appendMany(partition, 1)
    held.clock.advance(19)
    await nextTurn()
    expect(partition.durableOffset).toBe(0)
    held.clock.advance(1)
    await nextTurn()
    expect(partition.durableOffset).toBe(2)
    held.clock.advance(1_000)
    await nextTurn()
    expect(held.synced).toHaveLength(1)
  })

  it('come when too many bytes are unsynced, and tell those who can wait', async () => {
    const barrier = new CommitBarrier(new FakeClock())
    let [rounds, end] = [0, 0]
    let finish = (): void => undefined
    const sync = (): Promise<void> =>
      new Promise((resolve) => {
        finish = resolve
      })
    const prefix = new DurablePrefix(
      barrier,
      {
        get logEndOffset(): number {
          return end
        },
        flushMs: -1,
        beginRound: () => {
          rounds += 1
          return { targetOffset: end, steps: [sync] }
        },
        roundDone: () => undefined,
        roundFailed: () => new LogError('IO', 'failed', {}),
      },
      0,
    )
    const append = (bytes: number): void => {
      end += 1
      prefix.appended(bytes)
    }
    append(PARTITION_UNSYNCED_BYTES)
    expect([rounds, prefix.isOverloaded]).toEqual([0, false])
    append(1)
    expect([rounds, prefix.isOverloaded]).toEqual([1, false])
    append(PARTITION_UNSYNCED_BYTES)
    expect([rounds, prefix.isOverloaded]).toEqual([1, true])
    const room = prefix.room()
    finish()
    await nextTurn()
    expect([prefix.durableOffset, prefix.isOverloaded]).toEqual([2, false])
    expect(barrier.unsyncedBytes).toBe(PARTITION_UNSYNCED_BYTES)
    finish()
    await room
    expect([prefix.durableOffset, barrier.unsyncedBytes]).toEqual([3, 0])
  })
})

/** A partition that only counts: its rounds end when the test says so. */
class Counted {
  readonly prefix: DurablePrefix
  rounds = 0
  logEndOffset = 0
  finish = (): void => undefined
  readonly flushMs = -1

  constructor(barrier: CommitBarrier) {
    this.prefix = new DurablePrefix(barrier, this, 0)
  }

  append(bytes: number): void {
    this.logEndOffset += 1
    this.prefix.appended(bytes)
  }

  beginRound(): { targetOffset: number; steps: (() => Promise<void>)[] } {
    this.rounds += 1
    const sync = (): Promise<void> => new Promise((resolve) => void (this.finish = resolve))
    return { targetOffset: this.logEndOffset, steps: [sync] }
  }

  roundDone(): void {}

  roundFailed(): LogError {
    return new LogError('IO', 'failed', {})
  }
}

describe('the bound on what a log has unsynced', () => {
  const mebibytes = (count: number): number => count * 1_048_576

  it('holds where each of many idle partitions is below its own', async () => {
    const barrier = new CommitBarrier(new FakeClock())
    const idle = Array.from({ length: 6 }, () => new Counted(barrier))
    for (const one of idle.slice(0, 4)) one.append(mebibytes(60))
    expect(idle.map(({ rounds }) => rounds)).toEqual([0, 0, 0, 0, 0, 0])
    idle[4]?.append(mebibytes(17))
    // One round takes the log below its bound, and the first is who has waited for longest.
    expect(idle.map(({ rounds }) => rounds)).toEqual([1, 0, 0, 0, 0, 0])
    idle[4]?.append(mebibytes(30))
    expect(idle.map(({ rounds }) => rounds)).toEqual([1, 0, 0, 0, 0, 0])
    idle[5]?.append(mebibytes(30))
    expect(idle.map(({ rounds }) => rounds)).toEqual([1, 1, 0, 0, 0, 0])
    for (const one of idle) one.finish()
    await nextTurn()
    expect(barrier.unsyncedBytes).toBe(mebibytes(60 + 60 + 47 + 30))
  })

  it('lets a wait for room end though nobody had begun a round', async () => {
    const barrier = new CommitBarrier(new FakeClock())
    const [busy, quiet] = [new Counted(barrier), new Counted(barrier)]
    busy.append(mebibytes(65))
    busy.append(mebibytes(513)) // Behind the round that runs: only the next one covers it.
    busy.finish()
    await nextTurn()
    expect([busy.rounds, quiet.prefix.isOverloaded]).toEqual([1, true])
    const room = quiet.prefix.room()
    expect(busy.rounds).toBe(2)
    busy.finish()
    await room
    expect([quiet.prefix.isOverloaded, quiet.rounds]).toEqual([false, 0])
  })

  it('is no matter for what ends: nobody waits for bytes that will never be synced', async () => {
    const barrier = new CommitBarrier(new FakeClock())
    const [ending, quiet] = [new Counted(barrier), new Counted(barrier)]
    ending.append(mebibytes(600))
    const room = quiet.prefix.room()
    ending.prefix.close(new LogError('CLOSED', 'closed', {}))
    await room
    expect([barrier.unsyncedBytes, barrier.isOverloaded]).toEqual([0, false])
  })
})

describe('a sync that failed', () => {
  interface Failed {
    readonly held: SyncedLog
    readonly log: LogDirectory
    readonly errors: readonly LogError[]
  }

  async function failedLog(): Promise<Failed> {
    const { held, log } = await SyncedLog.open({ partitions: 2 })
    const partition = partitionOf(log, 't')
    appendMany(partition, 2)
    await partition.makeDurable(2)
    appendMany(partition, 3)
    held.driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('t-0/') ? 'drop' : undefined
    const results = await Promise.allSettled([partition.makeDurable(3), partition.makeDurable(5)])
    held.driver.onCall = undefined
    const errors = results.flatMap((result) =>
      result.status === 'rejected' && LogError.is(result.reason) ? [result.reason] : [],
    )
    return { held, log, errors }
  }

  it('rejects all who wait, and is final though the disk is well again', async () => {
    const { log, errors } = await failedLog()
    const partition = partitionOf(log, 't')
    expect(errors).toMatchObject([
      { code: 'IO', details: { outcome: 'unknown' } },
      { code: 'IO', details: { outcome: 'unknown' } },
    ])
    expect(() => appendMany(partition, 1)).toThrow(expect.objectContaining({ code: 'READ_ONLY' }))
    await expect(partition.makeDurable(5)).rejects.toMatchObject({ code: 'IO' })
    await partition.makeDurable(2)
    expect([partition.durableOffset, partition.logEndOffset]).toEqual([2, 5])
    expect(offsetsOf(readFromFiles(partition))).toEqual(range(0, 5))
  })

  it('holds up nobody else', async () => {
    const { log } = await failedLog()
    expect(log.barrier.unsyncedBytes).toBe(0)
    const other = partitionOf(log, 't', 1)
    appendMany(other, 2)
    await other.makeDurable(2)
    expect(other.durableOffset).toBe(2)
  })

  it('leaves no clean marker, and its records to the next open', async () => {
    const { held, log } = await failedLog()
    await expect(runProcedure(log.close())).rejects.toMatchObject({ code: 'IO' })
    const left = held.driver.processKill()
    expect(left.list('')).not.toContain('.kafka_cleanshutdown')
    const { log: again, report } = await openLog(left)
    expect(report.clean).toBe(false)
    expect(offsetsOf(readFromFiles(partitionOf(again, 't')))).toEqual(range(0, 5))
    expect(partitionOf(again, 't').durableOffset).toBe(5)
  })

  it('lets no checkpoint pass what it lost', async () => {
    const { held, log } = await failedLog()
    await runProcedure(log.checkpoint())
    expect(partitionOf(log, 't').recoveryPoint).toBe(0)
    expect(partitionOf(log, 't', 1).recoveryPoint).toBe(0)
    expect(held.driver.list('')).toContain('recovery-point-offset-checkpoint')
  })
})

describe('the end of a partition', () => {
  it('rejects who waits for a sync, and needs no sync of what was deleted', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    held.hold()
    appendMany(partition, 1)
    const waits = partition.makeDurable(1)
    partition.finish('deleted')
    await expect(waits).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    expect(log.barrier.unsyncedBytes).toBe(0)
    await held.release()
    expect(() => appendMany(partition, 1)).toThrow(
      expect.objectContaining({ code: 'TOPIC_NOT_FOUND' }),
    )
  })

  it('passes no index that another one is still syncing', async () => {
    const { held, log } = await SyncedLog.open({ segmentBytes: 1024 })
    const partition = partitionOf(log, 't')
    appendMany(partition, 40)
    await partition.makeDurable(40)
    held.hold()
    const first = partition.syncForCheckpoint()
    await nextTurn()
    held.gate = undefined // Only what is under way is held.
    const second = partition.syncForCheckpoint()
    for (let turns = 0; turns < 9; turns++) await nextTurn()
    expect(partition.recoveryPoint).toBe(0)
    await held.release()
    await Promise.all([first, second])
    expect(partition.recoveryPoint).toBe(40)
  })
})
