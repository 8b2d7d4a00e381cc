/**
 * The small files of a partition's folder that no batch is held against: partition.metadata, and
 * the .snapshot files, whether each can be read, and speaks of nothing behind the offset in its
 * name. A snapshot is a hint, whose loss costs a longer look at the log. What was never synced for
 * certain is not judged: a stop may have left any part of it.
 */
import { CorruptBytes } from '../errors/corrupt-bytes.ts'
import { decodeProducerSnapshot } from '../format/producer-snapshot.ts'
import { parseSegmentFileName, segmentFileName } from '../format/segment-name.ts'
import { readWholeFile, UNREADABLE_FILE } from '../storage/checkpoint-file.ts'
import { parsePartitionMetadata } from '../storage/partition-metadata.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import type { FoundFlaw } from './damage-list.ts'
import { UNREADABLE } from './sector-reads.ts'

/**
 * What is wrong with the snapshots in `directory` whose offset is at or below `syncedTo`; the clean
 * marker vouches for `vouched`, if there is one.
 */
export function* auditSnapshots(
  driver: StorageDriver,
  directory: string,
  { syncedTo, vouched }: { readonly syncedTo: number; readonly vouched: number | undefined },
): Generator<FoundFlaw, void, undefined> {
  const names = driver.list(directory)
  const required = vouched === undefined ? undefined : segmentFileName(vouched, '.snapshot')
  if (required !== undefined && !names.includes(required)) {
    yield { file: `${directory}/${required}`, position: 0, bytes: 0, reason: 'missing' }
  }
  for (const name of names) {
    const parsed = parseSegmentFileName(name)
    if (parsed?.suffix !== '.snapshot' || parsed.baseOffset > syncedTo) continue
    const file = `${directory}/${name}`
    const reason = flawOf(driver, file, parsed.baseOffset)
    const bytes = driver.status(file)?.sizeBytes ?? 0
    if (reason !== undefined) yield { file, position: 0, bytes, reason }
  }
}

/** What is wrong with partition.metadata; one that is not required may be missing. */
export function* auditMetadata(
  driver: StorageDriver,
  directory: string,
  of: { readonly topicId: string; readonly isRequired: boolean },
): Generator<FoundFlaw, void, undefined> {
  const file = `${directory}/partition.metadata`
  const bytes = readWholeFile(driver, file)
  const flaw = { file, position: 0, bytes: bytes?.length ?? 0 }
  if (bytes === undefined) {
    if (of.isRequired) yield { ...flaw, reason: 'missing' }
    return
  }
  const found = parsePartitionMetadata(bytes)
  if (found === undefined) yield { ...flaw, reason: 'it cannot be read' }
  else if (found !== of.topicId) yield { ...flaw, reason: 'it names another topic' }
}

function flawOf(driver: StorageDriver, file: string, offset: number): string | undefined {
  const status = driver.status(file)
  if (status === undefined) return undefined
  if (status.kind !== 'file') return 'it is not a file'
  const bytes = readWholeFile(driver, file)
  if (bytes === undefined) return undefined
  if (bytes === UNREADABLE_FILE) return UNREADABLE
  try {
    const entries = decodeProducerSnapshot(bytes)
    const isBehind = entries.some(({ lastOffset, currentTransactionFirstOffset }) => {
      return lastOffset >= offset || currentTransactionFirstOffset >= offset
    })
    return isBehind ? 'it names offsets behind its own' : undefined
  } catch (error) {
    if (error instanceof CorruptBytes) return 'it cannot be read'
    throw error
  }
}
