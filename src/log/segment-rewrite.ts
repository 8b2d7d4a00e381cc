/**
 * Making a segment anew, for repair: its .log out of the stretches that are as they were written
 * and of empty batches for what is lost, then its indexes. The old .log is never written to: the
 * new one is whole and on stable storage before it takes the name, and what is not in it is kept
 * before that, in .salvaged files (log-cut.ts).
 */
import {
  baseOffsetOf,
  batchSizeBytesOf,
  leaderEpochOf,
  assignOffsets,
  nextOffsetOf,
} from '../format/record-batch.ts'
import { emptyBatch } from '../format/empty-batch.ts'
import type { Procedure } from '../storage/procedure.ts'
import { Segment, type SegmentSettings } from '../storage/segment.ts'
import { emptyContents } from '../storage/segment-contents.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import { parentOf } from '../storage/storage-path.ts'
import type { StorageDriver, StorageFile } from '../storage/storage-driver.ts'
import { BatchWalk } from './batch-walk.ts'
import { summaryOfBatch } from './batch-summary.ts'
import { nextTurn } from './clock.ts'
import { LogCut, openAnew } from './log-cut.ts'
import type { SegmentPart, SegmentStep } from './repair-plan.ts'
import { SectorReads } from './sector-reads.ts'

const WRITE_BYTES = 1_048_576

/** The leader epoch that the batch at an offset has to have, where batches have wrong ones. */
export type EpochAt = (offset: number) => number

/** Gives what lies in the way of a file another name: a directory, say. */
export function* clearWay(driver: StorageDriver, path: string): Procedure<void> {
  const status = driver.status(path)
  if (status === undefined || status.kind === 'file') return
  yield* setFileAside(driver, path)
}

/** Gives a file, or what lies in its place, a name that is passed over, durably. */
export function* setFileAside(driver: StorageDriver, path: string): Procedure<void> {
  driver.rename(path, salvagedName(driver, path))
  yield () => driver.flushDirectory(parentOf(path))
}

/** A free name beside `path` for what it held. */
export function salvagedName(driver: StorageDriver, path: string): string {
  let name = `${path}.salvaged`
  for (let again = 1; driver.status(name) !== undefined; again++) name = `${path}.${again}.salvaged`
  return name
}

/** Makes the .log of a segment anew. Its indexes are wrong afterwards. */
export function* rewriteLog(
  place: SegmentPlace,
  step: Extract<SegmentStep, { kind: 'make' }>,
  epochAt: EpochAt | undefined,
): Procedure<void> {
  const { driver, directory, baseOffset } = place
  const path = segmentPath(place, '.log')
  const temporary = `${path}.tmp`
  yield* clearWay(driver, path)
  const old = driver.status(path) === undefined ? undefined : driver.openFile(path, 'read')
  try {
    const output = new BatchOutput(openAnew(driver, temporary))
    try {
      const fileBytes = step.source?.fileBytes ?? 0
      const walk = old && new BatchWalk({ log: new SectorReads(old), baseOffset, fileBytes })
      yield* writeParts(step.parts, walk, output, epochAt)
      output.end()
      yield () => output.file.flush()
      if (walk !== undefined) yield* keepRemoved(driver, directory, step, walk)
    } finally {
      output.file.close()
    }
  } finally {
    old?.close()
  }
  driver.rename(temporary, path)
  yield () => driver.flushDirectory(directory)
}

/** Builds the indexes of a segment anew from its first `fileBytes` bytes, all whole batches. */
export function* rewriteIndexes(
  place: SegmentPlace,
  settings: SegmentSettings,
  fileBytes: number,
): Procedure<void> {
  const { driver, baseOffset } = place
  for (const kind of ['.index', '.timeindex'] as const) {
    yield* clearWay(driver, segmentPath(place, kind))
  }
  const segment = Segment.open(place, settings, emptyContents(baseOffset))
  try {
    segment.rewind(emptyContents(baseOffset))
    const walk = new BatchWalk({ log: segment, baseOffset, fileBytes })
    let sliceEnd = WRITE_BYTES
    while (segment.sizeBytes < fileBytes) {
      const nextOffset = segment.sizeBytes === 0 ? 0 : segment.nextOffset
      if (walk.check(segment.sizeBytes, { nextOffset, isGapless: false }) !== 'ok') break
      segment.admit(summaryOfBatch(walk.buffer, walk.at(segment.sizeBytes)))
      if (segment.sizeBytes < sliceEnd) continue
      sliceEnd = segment.sizeBytes + WRITE_BYTES
      yield nextTurn
    }
    segment.completeIndexes()
    yield () => segment.flushIndexes()
  } finally {
    segment.close()
  }
}

function* writeParts(
  parts: readonly SegmentPart[],
  source: BatchWalk | undefined,
  output: BatchOutput,
  epochAt: EpochAt | undefined,
): Procedure<void> {
  for (const part of parts) {
    if (part.kind === 'fill') {
      const batch = emptyBatch(part.range, part.leaderEpoch)
      output.add(batch, 0, batch.length, epochAt)
      continue
    }
    if (source === undefined) continue // A segment without a file has nothing to copy.
    const { end } = part.stretch
    let sliceEnd = part.stretch.position + WRITE_BYTES
    for (let position = part.stretch.position; position < end;) {
      const at = source.at(position)
      const batchBytes = batchSizeBytesOf(source.buffer, at)
      output.add(source.buffer, at, batchBytes, epochAt)
      position += batchBytes
      if (position < sliceEnd) continue
      sliceEnd = position + WRITE_BYTES
      yield nextTurn
    }
  }
}

/** What lies between the stretches that were copied. */
function* keepRemoved(
  driver: StorageDriver,
  directory: string,
  step: Extract<SegmentStep, { kind: 'make' }>,
  walk: BatchWalk,
): Procedure<void> {
  const cut = new LogCut(driver, directory)
  const { baseOffset } = step
  let position = 0
  for (const stretch of step.source?.stretches ?? []) {
    if (stretch.position > position) {
      yield* cut.salvage(walk, { baseOffset, position }, stretch.position - position)
    }
    position = stretch.end
  }
  const contentBytes = (yield* walk.endOfContent(position)) - position
  if (contentBytes > 0) yield* cut.salvage(walk, { baseOffset, position }, contentBytes)
}

/** Batches on their way into a file, many with one call. */
class BatchOutput {
  readonly file: StorageFile
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(WRITE_BYTES)
  #heldBytes = 0
  #position = 0

  constructor(file: StorageFile) {
    this.file = file
  }

  /** Takes a copy of the batch at `at`, with the leader epoch that it has to have. */
  add(source: Buffer, at: number, batchBytes: number, epochAt: EpochAt | undefined): void {
    if (this.#heldBytes + batchBytes > WRITE_BYTES) this.end()
    const isLarge = batchBytes > WRITE_BYTES
    const target = isLarge ? Buffer.from(source.subarray(at, at + batchBytes)) : this.#buffer
    const start = isLarge ? 0 : this.#heldBytes
    if (!isLarge) source.copy(target, start, at, at + batchBytes)
    correctEpoch(target, start, epochAt)
    if (isLarge) this.#write(target, batchBytes)
    else this.#heldBytes += batchBytes
  }

  /** Writes out what is held. */
  end(): void {
    if (this.#heldBytes > 0) this.#write(this.#buffer, this.#heldBytes)
    this.#heldBytes = 0
  }

  #write(source: Buffer, byteLength: number): void {
    this.file.write(source, 0, byteLength, this.#position)
    this.#position += byteLength
  }
}

function correctEpoch(batch: Buffer, at: number, epochAt: EpochAt | undefined): void {
  const leaderEpoch = epochAt?.(nextOffsetOf(batch, at) - 1) ?? -1
  if (leaderEpoch < 0 || leaderEpoch === leaderEpochOf(batch, at)) return
  assignOffsets(batch, at, baseOffsetOf(batch, at), leaderEpoch)
}
