/**
 * One partition made by hand, batch by batch, recovered without the log around it.
 */
import { LeaderEpochs } from '../../src/log/leader-epochs.ts'
import { resolveTopicConfig, type ResolvedTopicConfig } from '../../src/log/log-config.ts'
import { recoverPartition, type RecoveredPartition } from '../../src/log/recovery.ts'
import { fileFailure, systemError } from '../../src/storage/file-failure.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { batchOf } from './stored-batches.ts'
import { overwrite, segmentFile } from './tampering.ts'

/** An index entry for each batch, and no space ahead. */
export const CONFIG: ResolvedTopicConfig = resolveTopicConfig({
  segmentBytes: 1 << 24,
  indexIntervalBytes: 0,
  preallocate: false,
})
/** What the device reads or fails as a whole. */
export const PIECE = 4_096

/** Batches by the base offset of the segment that they are in. */
export type Segments = Readonly<Record<number, readonly Buffer[]>>

/** What is known of the partition besides its folder; nothing, unless told. */
export interface Known {
  readonly recoveryPoint?: number
  /** As the recovery point, unless told. */
  readonly checkpointedPoint?: number
  readonly publishedEndOffset?: number
  readonly logStartOffset?: number | null
  readonly isGapless?: boolean
  /** As `isGapless`, unless told. */
  readonly isOwn?: boolean
}

/** Batches of one record at these offsets. */
export function at(...offsets: readonly number[]): readonly Buffer[] {
  return offsets.map((baseOffset) => batchOf({ baseOffset, leaderEpoch: baseOffset }))
}

/** Size of each of them. */
export const batchBytes: number = batchOf({ baseOffset: 0 }).length

/** A folder with these segments, and no index. */
export function folder(segments: Segments): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  for (const [baseOffset, parts] of Object.entries(segments)) {
    overwrite(driver, segmentFile(Number(baseOffset)), Buffer.concat(parts))
  }
  return driver
}

/** Recovers what the folder of `driver` holds. */
export async function recover(
  driver: FaultDriver,
  known: Known = {},
): Promise<RecoveredPartition & { readonly epochs: LeaderEpochs }> {
  const epochs = LeaderEpochs.load(driver, 't-0')
  const { recoveryPoint = 0 } = known
  const recovered = await runProcedure(
    recoverPartition({
      driver,
      topic: 't',
      partition: 0,
      directory: 't-0',
      config: CONFIG,
      recoveryPoint,
      checkpointedPoint: known.checkpointedPoint ?? recoveryPoint,
      publishedEndOffset: known.publishedEndOffset ?? 0,
      durableBefore: 0,
      logStartOffset: known.logStartOffset === undefined ? 0 : known.logStartOffset,
      isGapless: known.isGapless ?? true,
      isOwn: known.isOwn ?? known.isGapless ?? true,
      epochs,
    }),
  )
  return { ...recovered, epochs }
}

/** Base, end and size of each segment. */
export function shape({ segments }: RecoveredPartition): readonly (readonly number[])[] {
  return [...segments].map(({ baseOffset, nextOffset, sizeBytes }) => [
    baseOffset,
    nextOffset,
    sizeBytes,
  ])
}

/** Indexes as a recovery of everything leaves them: synced, so that a checkpoint may pass them. */
export async function withIndexes(segments: Segments): Promise<FaultDriver> {
  const driver = folder(segments)
  const recovered = await recover(driver, { isGapless: false })
  for (const segment of recovered.segments) segment.close()
  return driver
}

/** Piece number `piece` of a file cannot be read from now on. */
export function failReads(
  driver: FaultDriver,
  piece: number,
  failing: string = segmentFile(0),
): void {
  const openFile = driver.openFile.bind(driver)
  driver.openFile = (path, mode) => {
    const file = openFile(path, mode)
    if (path !== failing) return file
    const read = file.read.bind(file)
    file.read = (target, start, byteLength, position) => {
      const isHit = position < (piece + 1) * PIECE && position + byteLength > piece * PIECE
      if (isHit) throw fileFailure('read', path, systemError('EIO', 'a bad sector'))
      return read(target, start, byteLength, position)
    }
    return file
  }
}

/** What is written to a file from now on. */
export function writesOf(
  driver: FaultDriver,
  watched: string,
): readonly { readonly position: number; readonly byteLength: number }[] {
  const writes: { position: number; byteLength: number }[] = []
  const openFile = driver.openFile.bind(driver)
  driver.openFile = (path, mode) => {
    const file = openFile(path, mode)
    if (path !== watched) return file
    const write = file.write.bind(file)
    file.write = (source, start, byteLength, position) => {
      writes.push({ position, byteLength })
      write(source, start, byteLength, position)
    }
    return file
  }
  return writes
}
