/**
 * When snapshots of producers are written, in which order, and which of them stay.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { readSnapshot, snapshotOffsets } from '../../src/log/producer-snapshots.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { StoredPartition } from './stored-producers.ts'

const MEBIBYTE = 1_048_576
const LARGE = { segmentBytes: 64 * MEBIBYTE }
const NOBODY = { producerId: -1 }

/** Appends at least so many bytes, of a producer or of nobody. */
function appendBytes(partition: StoredPartition, producerId: number, bytes: number): void {
  for (let left = bytes; left > 0; left -= 60_000) partition.append({ producerId }, 1, 60_000)
}

/** What is done to snapshots, and to the folder, from now on. */
function callsOf(partition: StoredPartition): readonly string[] {
  const calls: string[] = []
  partition.driver.onCall = ({ action, path }: DiskCall) => {
    const isName = path === 't-0' || path.includes('.snapshot')
    if (isName && action !== 'list') calls.push(`${action} ${path}`)
    return undefined
  }
  return calls
}

describe('a snapshot is written', () => {
  it('by no checkpoint and no close where nobody has an id and little was written', async () => {
    const partition = await StoredPartition.create(LARGE)
    appendBytes(partition, -1, MEBIBYTE)
    await partition.checkpoint()
    await partition.reopen()
    expect(partition.snapshots()).toEqual([])
    expect(partition.log.snapshots.newest(partition.log)).toBeNull()
  })

  it('by a checkpoint where more than 4 MiB lie behind the last one, whoever wrote them', async () => {
    const partition = await StoredPartition.create(LARGE)
    appendBytes(partition, -1, 3 * MEBIBYTE)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual([])
    // What lies behind is counted over a close.
    await partition.reopen()
    appendBytes(partition, -1, 1.2 * MEBIBYTE)
    await partition.checkpoint()
    const written = [partition.log.logEndOffset]
    expect(partition.snapshots()).toEqual(written)
    appendBytes(partition, -1, MEBIBYTE)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual(written)
    await partition.reopen()
    appendBytes(partition, -1, 2.9 * MEBIBYTE)
    await partition.checkpoint()
    expect(partition.snapshots()).toHaveLength(1)
    await partition.reopen()
    appendBytes(partition, -1, 0.3 * MEBIBYTE)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual([partition.log.logEndOffset])
  })

  it('by a checkpoint where a producer wrote more than one read gives back', async () => {
    const partition = await StoredPartition.create(LARGE)
    appendBytes(partition, 1, 200_000)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual([])
    appendBytes(partition, -1, 100_000)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual([partition.log.logEndOffset])
    await partition.checkpoint()
    expect(partition.snapshots()).toHaveLength(1)
  })

  it('by a close where a producer wrote anything, and by no second one', async () => {
    const partition = await StoredPartition.create(LARGE)
    partition.append({ producerId: 1 })
    await partition.reopen()
    expect(partition.snapshots()).toEqual([1])
    partition.append(NOBODY)
    const calls = callsOf(partition)
    await partition.close()
    expect(calls.filter((call) => call.includes('.snapshot'))).toEqual([])
    await partition.open()
    expect(partition.log.snapshots.newest(partition.log)).toMatchObject({ offset: 1 })
    expect(partition.known()).toEqual(partition.expected())
  })

  it('by a roll, under the name of the new segment, once what is below is synced', async () => {
    const partition = await StoredPartition.create()
    while (partition.log.segments.count < 3) partition.append({ producerId: 1 }, 20)
    const bases = [...partition.log.segments].map(({ baseOffset }) => baseOffset)
    expect(partition.snapshots()).toEqual([])
    const calls: string[] = []
    partition.driver.onCall = ({ action, path }) => void calls.push(`${action} ${path}`)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual(bases.slice(1))
    const lastOf = (what: RegExp): number => calls.findLastIndex((call) => what.test(call))
    const firstSnapshot = calls.findIndex((call) => call.includes('.snapshot'))
    expect(lastOf(/^flush t-0\/.*\.(log|index)$/)).toBeLessThan(firstSnapshot)
    expect(lastOf(/^rename .*\.snapshot$/)).toBeLessThan(lastOf(/^flushDirectory t-0$/))
  })

  it('with the state at the time that it was taken, and not before what it is about', async () => {
    const partition = await StoredPartition.create()
    const base = rollOnce(partition)
    const checkpoint = partition.checkpoint()
    const next = rollOnce(partition)
    await checkpoint
    expect(partition.snapshots()).toEqual([base])
    const entries = readSnapshot(partition.driver, 't-0', base)
    expect(entries?.every(({ lastOffset }) => lastOffset === base - 1)).toBe(true)
    await partition.checkpoint()
    expect(partition.snapshots()).toEqual([base, next])
  })
})

/** Appends until a segment is rolled; returns where it starts. */
function rollOnce(partition: StoredPartition): number {
  const { count } = partition.log.segments
  while (partition.log.segments.count === count) partition.append({ producerId: 1 }, 20)
  return partition.log.segments.active.baseOffset
}

describe('of older snapshots', () => {
  it('those at the starts of segments stay, and others go when a newer one is durable', async () => {
    const partition = await StoredPartition.create()
    partition.append({ producerId: 1 })
    await partition.reopen()
    expect(partition.snapshots()).toEqual([1])
    const base = rollOnce(partition)
    const calls = callsOf(partition)
    await partition.checkpoint()
    const file = (offset: number): string => `t-0/${String(offset).padStart(20, '0')}.snapshot`
    expect(calls.filter((call) => !call.startsWith('flushDirectory'))).toEqual([
      `create ${file(base)}.tmp`,
      `write ${file(base)}.tmp`,
      `flush ${file(base)}.tmp`,
      `rename ${file(base)}`,
      `unlink ${file(1)}`,
    ])
    const renamed = calls.indexOf(`rename ${file(base)}`)
    expect(calls.slice(renamed + 1, -1)).toEqual(['flushDirectory t-0'])
    await partition.reopen()
    expect(partition.snapshots()).toEqual([base, partition.log.logEndOffset])
  })

  it('the newest stays where the newer one cannot be written, and is written later', async () => {
    for (const fault of ['ENOSPC', 'EIO'] as const) {
      const partition = await StoredPartition.create()
      partition.append({ producerId: 1 })
      await partition.reopen()
      const base = rollOnce(partition)
      const { recoveryPoint } = partition.log
      partition.driver.onCall = ({ action, path }) =>
        action === 'write' && path.includes('.snapshot') ? fault : undefined
      await expect(partition.log.syncForCheckpoint()).rejects.toSatisfy((error) =>
        LogError.is(error, fault === 'EIO' ? 'IO' : 'NO_SPACE'),
      )
      expect(partition.log.recoveryPoint).toBe(recoveryPoint)
      expect(partition.snapshots()).toEqual([1])
      partition.driver.onCall = undefined
      await partition.checkpoint()
      expect(partition.log.recoveryPoint).toBe(partition.log.logEndOffset)
      expect(partition.snapshots()).toEqual([base])
    }
  })

  it('is none of a folder that got another owner while one is written', async () => {
    const partition = await StoredPartition.create()
    rollOnce(partition)
    const calls = callsOf(partition)
    partition.driver.flushWait = async () => {
      if (calls.some((call) => call.startsWith('write'))) partition.log.finish('deleted')
    }
    await partition.log.syncForCheckpoint().catch(() => undefined)
    expect(calls.filter((call) => /^(rename|unlink)/.test(call))).toEqual([])
  })
})

describe('a close', () => {
  it('is not clean while a transaction is open, and loses nothing', async () => {
    const partition = await StoredPartition.create()
    partition.append({ producerId: 11, transactional: true })
    await expect(partition.close()).rejects.toSatisfy((error) => LogError.is(error, 'IO'))
    await partition.crash(new SeededRandom(1))
    expect(partition.known()).toEqual(partition.expected())
    expect(partition.log.producers.open()).toHaveLength(1)
  })

  it('does not load what nobody needed', async () => {
    const partition = await StoredPartition.create()
    partition.append({ producerId: 1 })
    await partition.reopen()
    for (let round = 0; round < 3; round++) {
      partition.append(NOBODY)
      await partition.reopen()
      expect(partition.log.producers.isLoaded).toBe(false)
    }
    expect(partition.known()).toEqual(partition.expected())
  })
})

it('snapshots are found by their names', () => {
  const names = ['00000000000000000030.snapshot', '00000000000000000009.snapshot', '9.snapshot']
  const others = ['00000000000000000009.snapshot.tmp', '00000000000000000009.log']
  expect(snapshotOffsets([...names, ...others])).toEqual([9, 30])
})
