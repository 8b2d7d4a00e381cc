/** Segments taken as the clean marker describes them, and folders that say otherwise. */
import { describe, expect, it, vi } from 'vitest'
import { openDescribed } from '../../src/log/described-segments.ts'
import type { SegmentList } from '../../src/log/segment-list.ts'
import type { CleanPartition } from '../../src/storage/clean-marker.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { emptyContents } from '../../src/storage/segment-contents.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'

const SETTINGS = { indexIntervalBytes: 100, preallocate: false, segmentBytes: 1_000_000 }
const BASES = [0, 10, 20]

function segmentAt(baseOffset: number): CleanPartition['segments'][number] {
  const known = { baseOffset, sizeBytes: baseOffset + 1, nextOffset: baseOffset + 10 }
  return { ...emptyContents(baseOffset), ...known }
}

const DESCRIBED: CleanPartition = {
  topic: 't',
  topicId: 'AAAAAAAAAAAAAAAAAAAAKg',
  partition: 0,
  logStartOffset: 0,
  logEndOffset: 30,
  producers: null,
  segments: BASES.map(segmentAt),
}

function pathOf(baseOffset: number, suffix: string): string {
  return `t-0/${String(baseOffset).padStart(20, '0')}${suffix}`
}

function create(driver: StorageDriver, path: string, byteLength: number): void {
  const file = driver.openFile(path, 'create')
  file.write(Buffer.alloc(byteLength), 0, byteLength, 0)
  file.close()
}

/** The folder that is described, among files that say nothing of segments. */
function folder(): StorageDriver {
  const driver = openMemoryDriver()
  driver.createDirectory('t-0')
  for (const base of BASES) {
    create(driver, pathOf(base, '.log'), base + 1)
    for (const suffix of ['.index', '.timeindex', '.snapshot'])
      create(driver, pathOf(base, suffix), 0)
  }
  create(driver, pathOf(10, '.txnindex'), 34)
  create(driver, pathOf(5, '.log.deleted'), 8)
  create(driver, pathOf(7, '.log.7.salvaged'), 8)
  create(driver, 't-0/leader-epoch-checkpoint', 8)
  create(driver, 't-0/notes.log', 8)
  return driver
}

function open(driver: StorageDriver, described = DESCRIBED): SegmentList | undefined {
  const names = driver.list('t-0')
  return openDescribed({ driver, directory: 't-0', names }, SETTINGS, described)
}

function stateOf(list: SegmentList | undefined): unknown {
  return list && Array.from(list, ({ baseOffset, isSealed }) => [baseOffset, isSealed])
}

const AS_DESCRIBED = [
  [0, true],
  [10, true],
  [20, false],
]

describe('segments that a clean close described', () => {
  it('are taken with no file opened but the active .log', () => {
    const driver = folder()
    const opens = vi.spyOn(driver, 'openFile')
    const list = open(driver)
    expect(stateOf(list)).toEqual(AS_DESCRIBED)
    expect(opens.mock.calls).toEqual([[pathOf(20, '.log'), 'write']])
    expect(list?.first.contents).toEqual({ ...segmentAt(0), baseOffset: undefined })
  })

  it('are looked at together, where the driver can', () => {
    const driver = folder()
    const names = BASES.map((base) => pathOf(base, '.log').slice('t-0/'.length))
    const look = vi.fn<NonNullable<StorageDriver['look']>>((directory, some) => {
      return some.map((name) => driver.status(`${directory}/${name}`))
    })
    expect(stateOf(open(Object.assign(driver, { look })))).toEqual(AS_DESCRIBED)
    expect(look.mock.calls).toEqual([['t-0', names]])
  })

  it('are sealed, all of them, beside an empty next one', () => {
    const driver = folder()
    create(driver, pathOf(30, '.log'), 0)
    expect(stateOf(open(driver))).toEqual([0, 10, 20].map((base) => [base, true]))
  })

  it.each<[string, (driver: StorageDriver) => unknown]>([
    ['another one between', (driver) => create(driver, pathOf(5, '.log'), 0)],
    ['another one behind', (driver) => create(driver, pathOf(31, '.log'), 0)],
    ['a next one that holds something', (driver) => create(driver, pathOf(30, '.log'), 1)],
    ['a .log that is missing', (driver) => driver.rename(pathOf(10, '.log'), 't-0/away')],
    ['the last .log missing', (driver) => driver.rename(pathOf(20, '.log'), 't-0/away')],
    ['an .index missing', (driver) => driver.rename(pathOf(0, '.index'), 't-0/away')],
    ['a .timeindex missing', (driver) => driver.rename(pathOf(20, '.timeindex'), 't-0/away')],
    ['a .log that is longer', (driver) => driver.openFile(pathOf(0, '.log'), 'write').resize(2)],
    ['a .log that is shorter', (driver) => driver.openFile(pathOf(20, '.log'), 'write').resize(9)],
  ])('are not taken beside %s', (_what, change) => {
    const driver = folder()
    change(driver)
    expect(open(driver)).toBeUndefined()
  })

  it('are not taken where the marker has none, or has them in another order', () => {
    expect(open(folder(), { ...DESCRIBED, segments: [] })).toBeUndefined()
    const segments = DESCRIBED.segments.toReversed()
    expect(open(folder(), { ...DESCRIBED, segments })).toBeUndefined()
  })
})
