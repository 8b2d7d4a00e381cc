/**
 * What opening reads to know a partition's producers again: after a clean stop nothing, after any
 * other the newest snapshot that can be used and what lies behind it; damage costs a longer look.
 */
import { describe, expect, it } from 'vitest'
import { encodeProducerSnapshot } from '../../src/format/producer-snapshot.ts'
import type { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { StoredPartition } from './stored-producers.ts'
import { bytesOf, flip, overwrite, resize, segmentFile } from './tampering.ts'

const MEBIBYTE = 1_048_576
const LARGE = { segmentBytes: 256 * MEBIBYTE, indexIntervalBytes: 4_096 }

/** Bytes read of files whose names end so, from now on. */
function readsOf(
  driver: FaultDriver,
  suffix: string,
): { bytes: number; readonly files: Set<string> } {
  const reads = { bytes: 0, files: new Set<string>() }
  const openFile = driver.openFile.bind(driver)
  driver.openFile = (path, mode) => {
    const file = openFile(path, mode)
    if (!path.endsWith(suffix)) return file
    const read = file.read.bind(file)
    file.read = (target, start, byteLength, position) => {
      const byteCount = read(target, start, byteLength, position)
      reads.bytes += byteCount
      reads.files.add(path)
      return byteCount
    }
    return file
  }
  return reads
}

/** Three producers, transactions that end and one that stays open, over several segments. */
async function written(): Promise<StoredPartition> {
  const partition = await StoredPartition.create({ segmentBytes: 1_024 })
  for (let round = 0; round < 8; round++) {
    partition.append({ producerId: 1 }, 10)
    partition.append({ producerId: 11, transactional: true }, 5)
    partition.append({ producerId: -1 }, 3)
    partition.end(11, round % 2 === 0 ? 'abort' : 'commit')
    if (round % 3 === 0) await partition.checkpoint()
  }
  partition.append({ producerId: 12, transactional: true })
  await partition.checkpoint()
  return partition
}

describe('after a stop that was not clean', () => {
  it('a snapshot that is torn, flipped, missing, foreign or unreadable costs nothing', async () => {
    const ways: readonly ((driver: FaultDriver, path: string) => void)[] = [
      (driver, path) => resize(driver, path, bytesOf(driver, path).length - 1),
      (driver, path) => resize(driver, path, 0),
      (driver, path) => flip(driver, path, 12),
      (driver, path) => flip(driver, path, 1),
      (driver, path) => void driver.unlink(path),
      (driver, path) => overwrite(driver, path, snapshotOfLater()),
      (driver, path) => failReads(driver, path),
      (driver, path) => {
        void driver.unlink(path)
        driver.createDirectory(path)
      },
    ]
    for (const [index, damage] of ways.entries()) {
      for (const count of [1, 2, Infinity]) {
        const partition = await written()
        const { driver } = partition
        const found = partition.snapshots()
        expect(found.length).toBeGreaterThan(3)
        for (const offset of found.slice(-count)) damage(driver, segmentFile(offset, '.snapshot'))
        await partition.crash()
        expect(partition.known(), `way ${index}, ${count}`).toEqual(partition.expected())
        // The next one reads what is left, and the one after that a new one.
        driver.machine.faults.clear()
        await partition.checkpoint()
        await partition.crash(new SeededRandom(index))
        expect(partition.known(), `way ${index}, ${count}`).toEqual(partition.expected())
      }
    }
  })

  it('a log without any snapshot is read from its start', async () => {
    const partition = await written()
    for (const offset of partition.snapshots()) {
      await partition.driver.unlink(segmentFile(offset, '.snapshot'))
    }
    await partition.crash()
    expect(partition.known()).toEqual(partition.expected())
    expect(partition.expected().entries).toHaveLength(3)
  })

  it('what a producer sent before is recognised, and goes on behind it', async () => {
    const partition = await StoredPartition.create({ segmentBytes: MEBIBYTE })
    for (let sent = 0; sent < 3_000; sent++) partition.append({ producerId: 7 })
    await partition.crash()
    for (const { offset, producer, recordCount } of partition.batches.slice(-5)) {
      const again = partition.send(producer, recordCount)
      expect(again).toMatchObject({ baseOffset: offset, lastOffset: offset, isDuplicate: true })
    }
    expect(partition.append({ producerId: 7 })).toMatchObject({ baseOffset: 3_000 })
  })

  it('no more is read for it than the unsynced part and 4 MiB', async () => {
    for (const producerId of [-1, 1]) {
      const partition = await StoredPartition.create(LARGE)
      const append = (bytes: number): void => {
        for (let done = 0; done < bytes; done += 50_000) partition.append({ producerId }, 1, 50_000)
      }
      for (const mebibytes of [5, 3, 4, 2, 3]) {
        append(mebibytes * MEBIBYTE)
        await partition.checkpoint()
      }
      const syncedBytes = partition.log.segments.active.sizeBytes
      append(2 * MEBIBYTE)
      const unsyncedBytes = partition.log.segments.active.sizeBytes - syncedBytes
      partition.driver = partition.driver.processKill()
      const reads = readsOf(partition.driver, '.log')
      await partition.open()
      // Recovery checks the unsynced part and writes it again; the replay reads it once more.
      expect(reads.bytes).toBeLessThan(3 * unsyncedBytes + 4 * MEBIBYTE + MEBIBYTE / 2)
      expect(partition.known()).toEqual(partition.expected())
    }
  })

  it('entries of aborts whose markers did not come are gone, and others are as they were', async () => {
    const partition = await written()
    partition.append({ producerId: 11, transactional: true }, 5)
    const before = partition.expected().aborted
    expect(before).toHaveLength(4)
    const offset = partition.log.logEndOffset
    const entry = { producerId: 11, firstOffset: offset - 5, lastOffset: offset }
    partition.log.segments.active.addAborted({ ...entry, lastStableOffset: offset + 1 })
    await partition.crash()
    expect(partition.known()).toEqual(partition.expected())
    expect(partition.known().aborted).toEqual(before)
    expect(partition.log.producers.openTransactionOf(11)).toBeDefined()
  })

  it('damage in the log costs what was in it, and nothing behind it', async () => {
    const partition = await written()
    for (const offset of partition.snapshots()) {
      await partition.driver.unlink(segmentFile(offset, '.snapshot'))
    }
    const [first] = partition.log.segments
    partition.driver = partition.driver.processKill()
    flip(partition.driver, segmentFile(first?.baseOffset ?? 0), 70)
    await partition.open()
    expect(partition.known().entries).toEqual(partition.expected().entries)
    expect(partition.known().open).toEqual(partition.expected().open)
  })
})

describe('after a clean stop', () => {
  it('nothing is read before somebody needs it, and then one snapshot', async () => {
    const partition = await written()
    partition.end(12, 'commit')
    await partition.close()
    const logs = readsOf(partition.driver, '.log')
    const snapshots = readsOf(partition.driver, '.snapshot')
    await partition.open()
    partition.append({ producerId: -1 })
    expect([logs.bytes, snapshots.bytes]).toEqual([0, 0])
    expect(partition.known()).toEqual(partition.expected())
    expect(logs.bytes).toBe(0)
    expect(snapshots.files.size).toBe(1)
  })

  it('a snapshot that was flipped since costs a look at the log when it is needed', async () => {
    const partition = await written()
    partition.end(12, 'commit')
    await partition.close()
    const [newest] = partition.snapshots().slice(-1)
    flip(partition.driver, segmentFile(newest ?? 0, '.snapshot'), 20)
    await partition.open()
    partition.append({ producerId: -1 })
    expect(partition.known()).toEqual(partition.expected())
    const [last] = partition.batches.slice(-1)
    if (last === undefined) throw new Error('somebody wrote')
    expect(partition.log.producers.isLoaded).toBe(true)
  })

  it('a partition whose snapshot is gone is recovered', async () => {
    const partition = await written()
    partition.end(12, 'commit')
    await partition.close()
    const [newest] = partition.snapshots().slice(-1)
    await partition.driver.unlink(segmentFile(newest ?? 0, '.snapshot'))
    await partition.open()
    expect(partition.log.producers.isLoaded).toBe(true)
    expect(partition.known()).toEqual(partition.expected())
  })

  it('one that a broker left is read as after any other stop', async () => {
    const partition = await written()
    partition.end(12, 'commit')
    const [newest] = partition.snapshots().slice(-1)
    partition.isBrokerClean = true
    await partition.crash()
    expect(partition.known()).toEqual(partition.expected())
    expect(newest).toBeGreaterThan(0)
    for (const offset of partition.snapshots()) {
      await partition.driver.unlink(segmentFile(offset, '.snapshot'))
    }
    // A broker would take it that there are no producers; a file that got lost looks the same.
    await partition.crash()
    expect(partition.known()).toEqual(partition.expected())
  })
})

/** Sound, but of another place. */
function snapshotOfLater(): Buffer {
  const entry = { producerId: 1, producerEpoch: 0, lastSequence: 9, lastOffset: 1_000_000 }
  const none = { offsetDelta: 0, coordinatorEpoch: -1, currentTransactionFirstOffset: -1 }
  return encodeProducerSnapshot([{ ...entry, ...none, timestamp: 0 }])
}

/** The device gives nothing of the file back, until another one takes its name. */
function failReads(driver: FaultDriver, path: string): void {
  driver.machine.faults.inject({ fault: 'EIO', action: 'read', path, count: Infinity })
}
