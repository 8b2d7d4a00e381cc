/** .kafka_cleanshutdown: ours, a broker's, garbage, and crashes while it is written or removed. */

import { describe, expect, it } from 'vitest'
import { readWholeFile, replaceFile } from '../../src/storage/checkpoint-file.ts'
import {
  CLEAN_MARKER_FILE,
  type CleanMarker,
  readCleanMarker,
  removeCleanMarker,
  writeCleanMarker,
} from '../../src/storage/clean-marker.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { completeProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { everyCrash } from '../support/every-crash.ts'

const SEGMENT = {
  baseOffset: 0,
  sizeBytes: 4_096,
  nextOffset: 42,
  largestTimestamp: 1_700_000_000_000,
  offsetOfLargestTimestamp: 41,
  firstTimestamp: 1_600_000_000_000,
  recordCount: 42,
  abortedCount: 2,
  abortedCrc: 0xdeadbeef,
}
const EMPTY_SEGMENT = {
  baseOffset: 42,
  sizeBytes: 0,
  nextOffset: 42,
  largestTimestamp: -1,
  offsetOfLargestTimestamp: -1,
  firstTimestamp: -1,
  recordCount: null,
  abortedCount: null,
  abortedCrc: 0,
}
const PARTITION = {
  topic: 'orders',
  topicId: 'AAAAAAAAAAAAAAAAAAAAKg',
  partition: 0,
  logStartOffset: 3,
  logEndOffset: 42,
  producers: { offset: 40, behindBytes: 512 },
  segments: [SEGMENT, EMPTY_SEGMENT],
}
const MARKER: CleanMarker = { partitions: [PARTITION] }

describe('clean marker', () => {
  it('gives back what was written', () => {
    const driver = openMemoryDriver()
    expect(readCleanMarker(driver)).toBeUndefined()
    const unknown = { partitions: [{ ...PARTITION, producers: null }] }
    for (const marker of [MARKER, unknown, { partitions: [] }]) {
      completeProcedure(writeCleanMarker(driver, marker))
      expect(readCleanMarker(driver)).toEqual(marker)
    }
  })

  it('is what a broker reads: version and brokerEpoch, and a member it passes over', () => {
    const driver = openMemoryDriver()
    completeProcedure(writeCleanMarker(driver, MARKER))
    expect(JSON.parse(textOf(driver))).toMatchObject({ version: 0, brokerEpoch: -1, streambed: {} })
  })

  it.each([
    ["a broker's", '{"version":0,"brokerEpoch":17}'],
    ["an older broker's, empty", ''],
    ['no JSON', 'garbage'],
    ['zeros', '\0\0\0\0'],
    ['a list', '[]'],
    ['ours without a checksum', '{"version":0,"streambed":{"partitions":[]}}'],
  ])('%s is clean, without detail', (_whose, text) => {
    const driver = openMemoryDriver()
    completeProcedure(replaceFile(driver, CLEAN_MARKER_FILE, Buffer.from(text)))
    expect(readCleanMarker(driver)).toBe('kafka')
  })

  it('one that was changed or cut is clean, without detail', () => {
    const driver = openMemoryDriver()
    completeProcedure(writeCleanMarker(driver, MARKER))
    const text = textOf(driver)
    for (const damaged of [text.replace('4096', '4097'), text.slice(0, -1)]) {
      completeProcedure(replaceFile(driver, CLEAN_MARKER_FILE, Buffer.from(damaged)))
      expect(readCleanMarker(driver)).toBe('kafka')
    }
  })

  it.each([
    ['a partition', { ...PARTITION, partition: -1 }],
    ['a start', { ...PARTITION, logStartOffset: -1 }],
    ['an end', { ...PARTITION, logEndOffset: 0.5 }],
    ['a snapshot', { ...PARTITION, producers: { offset: 40, behindBytes: -1 } }],
    ['no word on producers', { ...PARTITION, producers: undefined }],
    ['a list of segments', { ...PARTITION, segments: {} }],
    ['a size', { ...PARTITION, segments: [{ ...SEGMENT, sizeBytes: '4096' }] }],
    ['a count', { ...PARTITION, segments: [{ ...SEGMENT, recordCount: -1 }] }],
    ['a timestamp', { ...PARTITION, segments: [{ ...SEGMENT, firstTimestamp: undefined }] }],
  ])('one with %s that is none is clean, without detail', (_what, partition) => {
    const driver = openMemoryDriver()
    // `as`: what the types forbid, a file may say.
    const marker = { partitions: [partition] } as unknown as CleanMarker
    completeProcedure(writeCleanMarker(driver, marker))
    expect(readCleanMarker(driver)).toBe('kafka')
  })

  it('is gone from memory without any waiting', () => {
    const driver = openMemoryDriver()
    completeProcedure(writeCleanMarker(driver, MARKER))
    completeProcedure(removeCleanMarker(driver))
    expect(readCleanMarker(driver)).toBeUndefined()
    completeProcedure(removeCleanMarker(driver))
    expect(driver.list('')).toEqual([])
  })

  it('a crash while it is written leaves none or all of it, and all once through', async () => {
    const crashes = everyCrash(
      function* nothing() {},
      (driver) => writeCleanMarker(driver, MARKER),
    )
    for await (const { kind, stoppedAt, driver } of crashes) {
      const read = readCleanMarker(driver)
      const through = stoppedAt === Number.POSITIVE_INFINITY
      expect(
        through ? [MARKER] : [undefined, MARKER],
        `${kind} at call ${stoppedAt}`,
      ).toContainEqual(read)
    }
  })

  it('once removed it does not come back, not after a power cut', async () => {
    const crashes = everyCrash((driver) => writeCleanMarker(driver, MARKER), removeCleanMarker)
    for await (const { stoppedAt, driver } of crashes) {
      const read = readCleanMarker(driver)
      const through = stoppedAt === Number.POSITIVE_INFINITY
      expect(through ? [undefined] : [undefined, MARKER]).toContainEqual(read)
    }
  })

  it('its absence is made durable, though an earlier process removed it and died', async () => {
    const crashes = everyCrash(function* removedAndDied(driver) {
      yield* writeCleanMarker(driver, MARKER)
      yield () => driver.unlink(CLEAN_MARKER_FILE)
    }, removeCleanMarker)
    for await (const { stoppedAt, driver } of crashes) {
      const through = stoppedAt === Number.POSITIVE_INFINITY
      expect(through ? [undefined] : [undefined, MARKER]).toContainEqual(readCleanMarker(driver))
    }
  })
})

function textOf(driver: StorageDriver): string {
  return String(readWholeFile(driver, CLEAN_MARKER_FILE))
}
