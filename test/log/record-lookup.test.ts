/**
 * Lookups by offset: the same record as a walk through the log comes to, whatever the batches and
 * segments; and, counted, how little of the files they and scans read.
 */
import fs from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { Partition } from '../../src/client/partition.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { RecordLookup } from '../../src/log/record-lookup.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { clean, writeSegments } from './compacted-partition.ts'

const KIBIBYTE = 1_024
const MEBIBYTE = 1_048_576

interface Reads {
  count: number
  bytes: number
}

/** Counts positioned reads from now on. */
function countReads(): Reads {
  vi.restoreAllMocks()
  const reads: Reads = { count: 0, bytes: 0 }
  const { readSync } = fs
  vi.spyOn(fs, 'readSync').mockImplementation((...call: unknown[]) => {
    // `as`: one of its overloads is what was called.
    const byteLength = (readSync as (...values: unknown[]) => number)(...call)
    reads.count += 1
    reads.bytes += byteLength
    return byteLength
  })
  return reads
}

/** A partition whose batches were appended by a log before: nothing of it is in memory. */
async function reopened(
  append: (partition: Partition) => void,
  options: { readonly segmentBytes?: number; readonly io?: 'pread' | 'mmap' } = {},
): Promise<Partition> {
  const directory = temporaryDirectory()
  const { segmentBytes = 1_073_741_824, io = 'pread' } = options
  const before = await EventLog.open(directory, { io })
  append((await before.createTopic('t', { segmentBytes })).partition(0))
  await before.close()
  const log = await EventLog.open(directory, { io })
  onTestFinished(() => log.close())
  return log.topic('t').partition(0)
}

const batchesOf = (batchCount: number, recordCount: number, valueBytes: number) => {
  return (partition: Partition): void => {
    for (let batch = 0; batch < batchCount; batch += 1) {
      const records = Array.from({ length: recordCount }, (_, at) => ({
        key: `k${batch * recordCount + at}`,
        value: Buffer.alloc(valueBytes, at),
      }))
      partition.append(records)
    }
  }
}

afterEach(() => void vi.restoreAllMocks())

describe('a lookup', () => {
  const anyBatch = fc.record({
    recordCount: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 15, max: 300 })),
    valueBytes: fc.oneof(fc.constant(3), fc.integer({ min: 0, max: 300 })),
    compression: fc.constantFrom('none', 'none', 'gzip'),
    hasHeaders: fc.boolean(),
  })

  it('finds what a walk comes to, in any order, in memory and in files', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyBatch, { minLength: 1, maxLength: 25 }),
        fc.constantFrom(4 * KIBIBYTE, 50 * KIBIBYTE, MEBIBYTE),
        fc.constantFrom('pread', 'mmap'),
        fc.infiniteStream(fc.nat()),
        async (batches, segmentBytes, io, choices) => {
          let written = 0
          const check = (partition: Partition): void => {
            const walked = [...partition.records()].map((record) => JSON.stringify(record))
            expect(walked).toHaveLength(written)
            for (let lookup = 0; lookup < 200; lookup += 1) {
              const offset = Number(choices.next().value) % written
              expect(JSON.stringify(partition.get(offset))).toBe(walked[offset])
            }
          }
          const partition = await reopened(
            (empty) => {
              for (const { recordCount, valueBytes, compression, hasHeaders } of batches) {
                const records = Array.from({ length: recordCount }, (_, at) => ({
                  key: at % 7 === 3 ? null : `k${written + at}`,
                  value: Buffer.alloc(valueBytes, written + at),
                  timestamp: 1_000 + at * 50,
                  ...(hasHeaders ? { headers: { h: `${at}` } } : {}),
                }))
                empty.append(records, { compression })
                written += recordCount
              }
              check(empty)
            },
            { segmentBytes, io: io === 'mmap' ? 'mmap' : 'pread' },
          )
          check(partition)
        },
      ),
      { numRuns: 8 },
    )
  })

  it('reads a large batch once, and then little more than the record', async () => {
    const partition = await reopened(batchesOf(8, 500, 100))
    const all = countReads()
    for (let offset = 0; offset < 3_500; offset += 100) partition.get(offset)
    // Each batch of 60 KB by its header and whole, and with its index.
    expect(all.bytes).toBeLessThan(1.2 * 7 * 500 * 120)
    const again = countReads()
    for (let offset = 7; offset < 3_500; offset += 35) partition.get(offset)
    // The first batch has no index entry: for its 15 records its header is looked at.
    expect(again.count).toBe(115)
    expect(again.bytes).toBeLessThan(100 * 1.5 * KIBIBYTE)
  })

  it('reads small batches by the stretch of an index entry, in one read', async () => {
    const partition = await reopened(batchesOf(400, 3, 100))
    for (let offset = 0; offset < 1_200; offset += 1) partition.get(offset)
    const again = countReads()
    for (let offset = 0; offset < 1_000; offset += 10) partition.get(offset)
    expect(again.count).toBeLessThan(110) // 4 KiB between two entries are eleven batches.
    expect(again.bytes / 100).toBeLessThan(6 * KIBIBYTE)
  })

  it('unpacks a compressed batch once for all lookups in it, and reads nothing again', async () => {
    const partition = await reopened((empty) => {
      for (let batch = 0; batch < 3; batch += 1) {
        const records = Array.from({ length: 500 }, (_, at) => ({ value: `${batch * 500 + at}` }))
        empty.append(records, { compression: 'gzip' })
      }
    })
    partition.get(750)
    const reads = countReads()
    for (let offset = 999; offset >= 500; offset -= 1) {
      expect(partition.get(offset)?.value?.toString()).toBe(`${offset}`)
    }
    expect(reads.count).toBe(0)
    expect(partition.get(1_000)?.value?.toString()).toBe('1000')
    expect(reads.count).toBeGreaterThan(0)
  })

  it('unpacks no more than the settings of now allow, whatever it has unpacked', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory)
    onTestFinished(() => log.close())
    const topic = await log.createTopic('t')
    const partition = topic.partition(0)
    const records = Array.from({ length: 20 }, (_, at) => ({ value: Buffer.alloc(200, at) }))
    partition.append(records, { compression: 'gzip' })
    expect([partition.get(3)?.offset, partition.get(4)?.offset]).toEqual([3, 4])
    await topic.alterConfig({ maxDecompressedBytes: 1_000 })
    expect(() => partition.get(5)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    await topic.alterConfig({ maxDecompressedBytes: 10_000 })
    expect(partition.get(5)?.offset).toBe(5)
  })

  it('checks bytes of a file before it believes them', async () => {
    const directory = temporaryDirectory()
    const before = await EventLog.open(directory)
    batchesOf(3, 500, 100)((await before.createTopic('t')).partition(0))
    await before.close()
    const file = join(directory, 't-0', '00000000000000000000.log')
    const bytes = fs.readFileSync(file)
    bytes.writeUInt8((bytes[70_000] ?? 0) ^ 1, 70_000) // In the second batch.
    fs.writeFileSync(file, bytes)
    const log = await EventLog.open(directory)
    onTestFinished(() => log.close())
    const partition = log.topic('t').partition(0)
    for (let time = 0; time < 2; time += 1) {
      expect(partition.get(3)?.offset).toBe(3)
      expect(partition.get(1_200)?.offset).toBe(1_200)
      for (const offset of [500, 777, 999]) {
        expect(() => partition.get(offset)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
      }
    }
  })
})

describe('a lookup in a compacted log', () => {
  it('finds nothing in a batch without records, whatever it found there before', async () => {
    const driver = new FaultDriver()
    const compacted = await runProcedure(writeSegments(driver, 3))
    const lookup = new RecordLookup(compacted.partition)
    compacted.partition.tail.clear()
    expect(lookup.find(2)?.offset).toBe(2)
    await runProcedure(clean(driver, compacted, [0, 2], () => false))
    expect(lookup.find(2)).toBeUndefined()
  })

  it('finds what compaction left of a batch that it had unpacked', async () => {
    const log = EventLog.inMemory()
    onTestFinished(() => log.close())
    const settings = { cleanupPolicy: 'compact', segmentBytes: 1_024 } as const
    const partition = (await log.createTopic('t', settings)).partition(0)
    const records = Array.from({ length: 40 }, (_, at) => ({ key: `k${at % 4}`, value: `${at}` }))
    partition.append(records, { compression: 'gzip' })
    expect([partition.get(7)?.offset, partition.get(39)?.offset]).toEqual([7, 39])
    partition.append({ key: 'k9', value: Buffer.alloc(2_000) })
    partition.append({ key: 'k9', value: 'end' })
    await log.runHousekeeping({ force: true })
    const walked = [...partition.records()].map(({ offset }) => offset)
    expect(walked).toEqual([36, 37, 38, 39, 40, 41])
    const found = Array.from({ length: 42 }, (_, offset) => partition.get(offset)?.offset)
    expect(found.filter((offset) => offset !== undefined)).toEqual(walked)
  })
})

describe('a scan', () => {
  it('reads each byte once, a quarter of a mebibyte at a time', async () => {
    const partition = await reopened((empty) => {
      for (let batch = 0; batch < 64; batch += 1) empty.append({ value: randomBytes(65_000) })
    })
    partition.get(0) // Reads the index.
    const reads = countReads()
    expect(partition.scan(() => {})).toBe(64)
    expect(reads.bytes).toBeLessThan(1.4 * 64 * 65_100)
    expect(reads.count).toBeLessThanOrEqual(26)
  })
})
