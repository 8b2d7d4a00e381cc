/**
 * IndexWatch: after an open the indexes on the disk are true: each entry of an .index names a batch
 * and where it is, each of a .timeindex the largest timestamp up to a batch, and a segment that is
 * sealed ends with its largest. They are hints, so that a wrong one costs a reader no more than
 * time; but recovery takes segments below the recovery point as their indexes say, and has synced
 * the others. Read past the library, from the disk.
 */
import {
  baseOffsetOf,
  BATCH_HEADER_BYTES,
  batchSizeBytesOf,
  lastOffsetOf,
  maxTimestampOf,
} from '../../src/format/record-batch.ts'
import type { DiskMachine } from '../../src/testing/disk-machine.ts'
import type { DirectoryNode } from '../../src/testing/disk-tree.ts'
import { must } from './simulation-failure.ts'
import type { TopicModel } from './topic-model.ts'

const INDEX_ENTRY_BYTES = 8
const TIME_ENTRY_BYTES = 12

/** What the batches of one .log say that its indexes may say. */
interface TrueEntries {
  /** Position by last offset. */
  readonly positions: ReadonlyMap<number, number>
  /** Largest timestamp so far, by the last offset of the batch that has it. */
  readonly times: ReadonlyMap<number, number>
  readonly largestTimestamp: number
}

/** Looks at every index of the topics that are there. */
export function checkIndexes(disk: DiskMachine, topics: readonly TopicModel[]): void {
  for (const topic of topics) {
    if (topic.isLive) for (const { name } of topic.partitions) checkFolder(disk, name)
  }
}

function checkFolder(disk: DiskMachine, folder: string): void {
  const directory = disk.tree.find(folder)
  if (directory?.kind !== 'directory') return
  const logs = [...directory.children.keys()].filter((name) => name.endsWith('.log')).sort()
  for (const [index, name] of logs.entries()) {
    const stem = name.slice(0, -'.log'.length)
    const entries = trueEntries(bytesOf(directory, name))
    checkOffsets(`${folder}/${stem}.index`, bytesOf(directory, `${stem}.index`), entries, stem)
    const isSealed = index < logs.length - 1
    const times = bytesOf(directory, `${stem}.timeindex`)
    checkTimes(`${folder}/${stem}.timeindex`, times, { entries, isSealed, stem })
  }
}

function checkOffsets(path: string, bytes: Buffer, { positions }: TrueEntries, stem: string): void {
  for (let at = 0; at + INDEX_ENTRY_BYTES <= bytes.length; at += INDEX_ENTRY_BYTES) {
    const offset = Number(stem) + bytes.readInt32BE(at)
    const position = bytes.readInt32BE(at + 4)
    must(positions.get(offset) === position, () => {
      return `${path}: says ${position} of ${offset}, which is at ${positions.get(offset)}`
    })
  }
}

function checkTimes(
  path: string,
  bytes: Buffer,
  {
    entries,
    isSealed,
    stem,
  }: { readonly entries: TrueEntries; readonly isSealed: boolean; readonly stem: string },
): void {
  let last = -1
  for (let at = 0; at + TIME_ENTRY_BYTES <= bytes.length; at += TIME_ENTRY_BYTES) {
    const time = Number(bytes.readBigInt64BE(at))
    const offset = Number(stem) + bytes.readInt32BE(at + 8)
    must(entries.times.get(offset) === time && time > last, () => {
      return `${path}: says ${time} of ${offset}, which is ${entries.times.get(offset)}`
    })
    last = time
  }
  must(!isSealed || last === entries.largestTimestamp, () => {
    return `${path}: ends with ${last}, the segment with ${entries.largestTimestamp}`
  })
}

function trueEntries(log: Buffer): TrueEntries {
  const positions = new Map<number, number>()
  const times = new Map<number, number>()
  let largestTimestamp = -1
  let at = 0
  while (at + BATCH_HEADER_BYTES <= log.length && log.readInt32BE(at + 8) > 0) {
    const offset = lastOffsetOf(log, at)
    const time = maxTimestampOf(log, at)
    if (offset < baseOffsetOf(log, at)) break
    positions.set(offset, at)
    if (time > largestTimestamp) {
      largestTimestamp = time
      times.set(offset, time)
    }
    at += batchSizeBytesOf(log, at)
  }
  return { positions, times, largestTimestamp }
}

function bytesOf(directory: DirectoryNode, name: string): Buffer {
  const node = directory.children.get(name)
  if (node?.kind !== 'file') return Buffer.alloc(0)
  const bytes = Buffer.allocUnsafe(node.bytes.sizeBytes)
  node.bytes.read(bytes, 0, bytes.length, 0)
  return bytes
}
