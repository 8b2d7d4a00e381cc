/**
 * Readers inside of segments that vanish, or that are replaced, while they read: over every kind of
 * storage, read through mappings or not. What is gone is OFFSET_OUT_OF_RANGE, never damage.
 */
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { countRecords } from '../../src/log/record-count.ts'
import { RecordLookup } from '../../src/log/record-lookup.ts'
import { offsetForTimestamp } from '../../src/log/timestamp-lookup.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { MappingPool } from '../../src/storage/mapping-pool.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { offsetsOf, recordsOf, valueAt } from './open-log.ts'
import { CheckedReader, END, ShrinkingLog, SIZE } from './shrinking-log.ts'

const PROBE = 'probe'
const LIMITS = { maxWindows: 4, maxBytes: 6_553_600, windowBytes: 65_536 }

const canMap = nativeBinding() !== null
const STORAGE = ['memory', 'simulated disk', 'disk', 'mapped disk'] as const

function openDriver(kind: (typeof STORAGE)[number]): StorageDriver {
  if (kind === 'memory') return openMemoryDriver()
  if (kind === 'simulated disk') return new FaultDriver()
  const directory = temporaryDirectory()
  if (kind === 'disk') return openDiskDriver(directory)
  const mappings = new MappingPool('everything', LIMITS)
  const driver = openDiskDriver(directory, { mappings })
  const file = driver.openFile(PROBE, 'create')
  file.write(Buffer.from('something'), 0, 9, 0)
  file.close()
  expect(mappings.enable(`${directory}/${PROBE}`)).toBe(null)
  return driver
}

const STEPS = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('start' as const),
      by: fc.nat({ max: 9 }),
      isFreed: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('rewrite' as const),
      at: fc.nat({ max: END - 1 }),
      keeps: fc.nat(),
    }),
    fc.record({ kind: fc.constant('read' as const), reader: fc.nat({ max: 3 }) }),
    fc.record({
      kind: fc.constant('ahead' as const),
      reader: fc.nat({ max: 3 }),
      by: fc.nat({ max: 9 }),
      at: fc.nat({ max: END - 1 }),
      keeps: fc.nat(),
    }),
    fc.record({ kind: fc.constant('look up' as const), at: fc.nat({ max: END - 1 }) }),
    fc.record({ kind: fc.constant('count' as const), by: fc.nat({ max: 9 }) }),
  ),
  { minLength: 5, maxLength: 25 },
)

describe.each(STORAGE)('a log in %s of which segments go', (kind) => {
  it.skipIf(kind === 'mapped disk' && !canMap)(
    'shows every reader what is there, and of what is gone nothing but that',
    async () => {
      await fc.assert(
        fc.asyncProperty(STEPS, async (steps) => {
          const shrinking = await ShrinkingLog.open(openDriver(kind))
          const { log } = shrinking
          const lookup = new RecordLookup(log)
          const readers = [0, 3, 13, 25].map((from) => new CheckedReader(shrinking, from))
          const startLater = (by: number, isFreed: boolean): void =>
            shrinking.startAt(Math.min(log.logStartOffset + by, END), isFreed)
          for (const step of steps) {
            switch (step.kind) {
              case 'start':
                startLater(step.by, step.isFreed)
                break
              case 'rewrite':
                shrinking.rewrite(Math.max(step.at, log.logStartOffset), keepsBy(step.keeps))
                break
              case 'read':
                readers[step.reader]?.read()
                break
              case 'ahead':
                await readers[step.reader]?.readAhead(() => {
                  startLater(step.by, true)
                  shrinking.rewrite(Math.max(step.at, log.logStartOffset), keepsBy(step.keeps))
                })
                break
              case 'look up':
                expectFound(shrinking, lookup, Math.max(step.at, log.logStartOffset))
                break
              case 'count': {
                const counted = countRecords(log, log.highWatermark, () => undefined)
                startLater(step.by, true)
                const count = await counted
                expect(count).toBeGreaterThanOrEqual(shrinking.visible.length)
                expect(count).toBeLessThanOrEqual(shrinking.visible.length + step.by)
                break
              }
            }
          }
        }),
        { numRuns: kind === 'memory' || kind === 'simulated disk' ? 20 : 6 },
      )
    },
  )
})

describe('a read off the event loop', () => {
  it('of a segment that was closed under it goes on in what took its place', async () => {
    for (const isReplaced of [true, false]) {
      const shrinking = await ShrinkingLog.open(new FaultDriver())
      const { log } = shrinking
      const { first } = log.segments
      vi.spyOn(first, 'readAhead').mockImplementation(async () => {
        if (isReplaced) shrinking.rewrite(0, () => false)
        else shrinking.startAt(SIZE, true)
        throw new LogError('IO', 'it was closed meanwhile', { file: first.logPath })
      })
      const cursor = log.cursor(0)
      if (isReplaced) {
        const run = await cursor.nextAhead(END)
        expect(run && offsetsOf(recordsOf(run))).toEqual([SIZE - 1])
      } else {
        await expect(cursor.nextAhead(END)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
      }
    }
  })

  it('of a segment that is still there fails as the device does', async () => {
    const { log } = await ShrinkingLog.open(new FaultDriver())
    const failure = new LogError('IO', 'broken', { file: 'f' })
    vi.spyOn(log.segments.first, 'readAhead').mockRejectedValue(failure)
    await expect(log.cursor(0).nextAhead(END)).rejects.toBe(failure)
  })
})

function keepsBy(bits: number): (offset: number) => boolean {
  return (offset) => ((bits >> (offset % SIZE)) & 1) === 1
}

function expectFound({ log, visible }: ShrinkingLog, lookup: RecordLookup, offset: number): void {
  if (offset >= log.logEndOffset) return
  const found = lookup.find(offset)
  if (visible.includes(offset)) {
    expect(found?.offset).toBe(offset)
    const { buffer, valueStart: start, valueLength } = found ?? {}
    const end = (start ?? 0) + (valueLength ?? 0)
    expect(buffer?.toString('utf8', start, end)).toBe(valueAt(offset))
  } else expect(found).toBe(undefined)
  const next = visible.find((one) => one >= offset) ?? null
  const atTime = offsetForTimestamp(log, offset)
  expect(atTime).toBe(next)
}
