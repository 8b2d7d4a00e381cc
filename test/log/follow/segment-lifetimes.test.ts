/** Followed segments by the thousand: nothing of them stays when they are closed. */
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { summaryOfBatch } from '../../../src/log/batch-summary.ts'
import { followActive, followSealed } from '../../../src/log/follow/segment-opening.ts'
import { openDiskDriver } from '../../../src/storage/disk-driver.ts'
import { MappingPool } from '../../../src/storage/mapping-pool.ts'
import { nativeBinding } from '../../../src/storage/native-binding.ts'
import { Segment } from '../../../src/storage/segment.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import {
  canCountResources,
  descriptorCount,
  mappingCount,
} from '../../support/process-resources.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { batchOf } from '../stored-batches.ts'

const SETTINGS = { indexIntervalBytes: 200, segmentBytes: 1 << 20, preallocate: true }
const BATCHES_PER_SEGMENT = 10
const SEALED = 40
const ROUNDS = 20
const LIMITS = { maxWindows: 8, maxBytes: 1 << 24, windowBytes: 1 << 16 }

/** A log of `SEALED` sealed segments and an active one; where its segments start. */
function writeLog(driver: StorageDriver): readonly number[] {
  driver.createDirectory('t-0')
  const bases: number[] = []
  for (let at = 0; at <= SEALED; at++) {
    const baseOffset = at * BATCHES_PER_SEGMENT
    const segment = Segment.create({ driver, directory: 't-0', baseOffset }, SETTINGS)
    for (let batch = 0; batch < BATCHES_PER_SEGMENT; batch++) {
      const buffer = batchOf({ baseOffset: baseOffset + batch, timestamp: baseOffset + batch })
      segment.append({ buffer, start: 0, ...summaryOfBatch(buffer, 0) })
    }
    if (at < SEALED) segment.seal()
    else segment.writeIndexes()
    segment.close()
    bases.push(baseOffset)
  }
  return bases
}

/** Opens every segment, looks into each, closes them all; how many mappings there were then. */
function visit(driver: StorageDriver, bases: readonly number[]): number {
  const bytes = Buffer.alloc(61)
  const opened = bases.map((baseOffset, at) => {
    const place = { driver, directory: 't-0', baseOffset }
    const next = bases[at + 1]
    if (next === undefined) {
      return followActive(place, SETTINGS, { below: Infinity, trustsIndexes: true })
    }
    const sizeBytes = driver.status(logPathOf(baseOffset))?.sizeBytes ?? 0
    return followSealed(place, SETTINGS, { sizeBytes, nextOffset: next })
  })
  for (const [at, segment] of opened.entries()) {
    // What is read often enough is mapped.
    for (let times = 0; times < 4; times++) expect(segment.read(bytes, 0, 61, 0)).toBe(61)
    if (at % 3 === 0) expect(segment.largestTimestamp).toBeGreaterThanOrEqual(segment.baseOffset)
    if (at % 5 === 0) segment.borrow(61, 0)
    if (segment.isSealed) continue
    segment.seal()
    segment.lend(61, 0)
  }
  const mapped = mappingCount('/t-0/')
  for (const segment of opened) segment.close()
  return mapped
}

function logPathOf(baseOffset: number): string {
  return `t-0/${String(baseOffset).padStart(20, '0')}.log`
}

describe.runIf(canCountResources)('followed segments', () => {
  it.each([
    ['read by positioned reads', false],
    ['mapped', true],
  ])('leave neither descriptors nor mappings when they are closed: %s', (_, isMapped) => {
    if (isMapped && nativeBinding() === null) return
    const directory = temporaryDirectory()
    const writing = openDiskDriver(directory)
    const bases = writeLog(writing)
    writing.close()
    const mappings = isMapped ? new MappingPool('everything', LIMITS) : undefined
    expect(mappings?.enable(join(directory, logPathOf(0))) ?? null).toBeNull()
    const descriptors = { maxOpenFiles: 16 }
    const driver = openDiskDriver(directory, { readOnly: true, descriptors, mappings })
    onTestFinished(() => driver.close())
    const before = descriptorCount()
    let mapped = 0
    for (let round = 0; round < ROUNDS; round++) {
      mapped = Math.max(mapped, visit(driver, bases))
      expect(mappingCount(directory)).toBe(0)
      expect(descriptorCount()).toBeLessThanOrEqual(before)
    }
    expect(mapped).toBeLessThanOrEqual(isMapped ? LIMITS.maxWindows : 0)
    expect(mapped > 0).toBe(isMapped)
    driver.close()
    expect(mappingCount(directory)).toBe(0)
  })

  it('whose files are removed and replaced meanwhile free their space when they are closed', () => {
    const directory = temporaryDirectory()
    const writing = openDiskDriver(directory)
    const bases = writeLog(writing)
    const driver = openDiskDriver(directory, { readOnly: true })
    onTestFinished(() => driver.close())
    const before = descriptorCount()
    const opened = bases.slice(0, SEALED).map((baseOffset) => {
      const sizeBytes = driver.status(logPathOf(baseOffset))?.sizeBytes ?? 0
      const end = { sizeBytes, nextOffset: baseOffset + BATCHES_PER_SEGMENT }
      return followSealed({ driver, directory: 't-0', baseOffset }, SETTINGS, end)
    })
    const bytes = Buffer.alloc(61)
    for (const segment of opened) segment.read(bytes, 0, 61, 0)
    expect(descriptorCount()).toBe(before + SEALED)
    for (const segment of opened) writing.rename(segment.logPath, `${segment.logPath}.deleted`)
    for (const segment of opened) expect(segment.read(bytes, 0, 61, 0)).toBe(61)
    for (const segment of opened) segment.close()
    expect(descriptorCount()).toBe(before)
    writing.close()
  })
})
