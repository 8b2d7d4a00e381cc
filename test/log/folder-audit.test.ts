/**
 * What is wrong with the small files of a partition's folder: producer snapshots, and the file that
 * names the topic.
 */
import { describe, expect, it } from 'vitest'
import {
  encodeProducerSnapshot,
  type ProducerSnapshotEntry,
} from '../../src/format/producer-snapshot.ts'
import { auditMetadata, auditSnapshots } from '../../src/log/folder-audit.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import { formatPartitionMetadata } from '../../src/storage/partition-metadata.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { overwrite } from './tampering.ts'

const OWN = formatTopicId(Buffer.alloc(16, 1))
const OTHER = formatTopicId(Buffer.alloc(16, 2))

function folder(): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  return driver
}

function snapshotFlaws(
  driver: FaultDriver,
  syncedTo: number,
  vouched?: number,
): readonly unknown[] {
  return [...auditSnapshots(driver, 't-0', { syncedTo, vouched })]
}

describe('the snapshots of a partition', () => {
  const nameOf = (offset: number): string => `t-0/${String(offset).padStart(20, '0')}.snapshot`
  const snapshot = (lastOffset: number, currentTransactionFirstOffset: number = -1): Buffer => {
    const entry: ProducerSnapshotEntry = {
      producerId: 1,
      producerEpoch: 0,
      lastSequence: 4,
      lastOffset,
      offsetDelta: 0,
      timestamp: 1_000,
      coordinatorEpoch: -1,
      currentTransactionFirstOffset,
    }
    return encodeProducerSnapshot([entry])
  }

  it('are sound where they speak of what is before their offset', () => {
    const driver = folder()
    overwrite(driver, nameOf(5), snapshot(4))
    overwrite(driver, nameOf(9), snapshot(8, 7))
    overwrite(driver, 't-0/leader-epoch-checkpoint', Buffer.from('?'))
    expect(snapshotFlaws(driver, 9)).toEqual([])
  })

  it.each([
    ['names its own offset', snapshot(5), 'it names offsets behind its own'],
    ['has a transaction that begins there', snapshot(4, 5), 'it names offsets behind its own'],
    ['is damaged', snapshot(4).subarray(0, -1), 'it cannot be read'],
    ['is empty', Buffer.alloc(0), 'it cannot be read'],
  ])('are damage where one %s, as long as it was synced', (_, bytes, reason) => {
    const driver = folder()
    overwrite(driver, nameOf(5), bytes)
    const flaw = { file: nameOf(5), position: 0, bytes: bytes.length, reason }
    expect(snapshotFlaws(driver, 5)).toEqual([flaw])
    // Behind what was synced it may be torn.
    expect(snapshotFlaws(driver, 4)).toEqual([])
  })

  it('are damage where the one is missing that the clean marker names', () => {
    const driver = folder()
    overwrite(driver, nameOf(5), snapshot(4))
    expect(snapshotFlaws(driver, Infinity, 5)).toEqual([])
    const flaw = { file: nameOf(9), position: 0, bytes: 0, reason: 'missing' }
    expect(snapshotFlaws(driver, Infinity, 9)).toEqual([flaw])
  })

  it('are damage where a folder is in the place of one, or the device cannot read it', () => {
    const driver = folder()
    driver.createDirectory(nameOf(5))
    overwrite(driver, nameOf(6), snapshot(5))
    const openFile = driver.openFile.bind(driver)
    driver.openFile = (path, mode) => {
      if (path !== nameOf(6)) return openFile(path, mode)
      const file = openFile(path, mode)
      file.read = () => {
        throw fileFailure('read', path, systemError('EIO', 'a bad sector'))
      }
      return file
    }
    expect(snapshotFlaws(driver, 9)).toMatchObject([
      { file: nameOf(5), reason: 'it is not a file' },
      { file: nameOf(6), reason: 'the device cannot read it' },
    ])
  })
})

describe('the file that names the topic', () => {
  const FILE = 't-0/partition.metadata'
  const audit = (driver: FaultDriver, isRequired: boolean): readonly unknown[] => [
    ...auditMetadata(driver, 't-0', { topicId: OWN, isRequired }),
  ]

  it('is missed where it has to be there', () => {
    expect(audit(folder(), false)).toEqual([])
    expect(audit(folder(), true)).toEqual([
      { file: FILE, position: 0, bytes: 0, reason: 'missing' },
    ])
  })

  it('names the topic that the folder is of', () => {
    const driver = folder()
    overwrite(driver, FILE, formatPartitionMetadata(OWN))
    expect(audit(driver, true)).toEqual([])
    const other = formatPartitionMetadata(OTHER)
    overwrite(driver, FILE, other)
    const flaw = { file: FILE, position: 0, bytes: other.length }
    expect(audit(driver, false)).toEqual([{ ...flaw, reason: 'it names another topic' }])
    overwrite(driver, FILE, Buffer.from('version: 0'))
    expect(audit(driver, true)).toMatchObject([{ file: FILE, reason: 'it cannot be read' }])
  })
})
