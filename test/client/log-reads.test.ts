/**
 * How a log reads its sealed segments: what `io` asks for, what is there, and what it says of it.
 */
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { EventLogOptions, LogWarning } from '../../src/client/log-options.ts'
import type { Partition } from '../../src/client/partition.ts'
import { mappingsFor, tryMappings } from '../../src/client/log-reads.ts'
import type { NativeBinding } from '../../src/storage/native-binding.ts'
import { canCountResources, mappingCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, texts, textsOf } from './open-log.ts'
import { rejection } from './refusal.ts'

/** Whether the native binding is missing in the test that runs. */
const native = vi.hoisted(() => ({ isAbsent: false }))
vi.mock('../../src/storage/native-binding.ts', async (importOriginal) => {
  const { nativeBinding } = await importOriginal<{ nativeBinding(): NativeBinding | null }>()
  return { nativeBinding: () => (native.isAbsent ? null : nativeBinding()) }
})
beforeEach(() => {
  native.isAbsent = false
})

const { nativeBinding } = await import('../../src/storage/native-binding.ts')
const canMap = nativeBinding() !== null
const whyNot = canMap ? '' : ' (skipped: koffi is not installed or not for this platform)'

describe('io', () => {
  it.skipIf(!canMap).each(['auto', 'mmap', undefined] as const)(
    `%s maps where that works, and says so${whyNot}`,
    async (io) => {
      const { log, warnings } = await opened({ io })
      expect(log.guarantees()).toMatchObject({ reads: 'mmap' })
      expect(log.guarantees().readsReason).not.toBe('')
      expect(warnings).toEqual([])
    },
  )

  it("'pread' never maps, whatever is there", async () => {
    const { log, warnings } = await opened({ io: 'pread' })
    expect(log.guarantees()).toMatchObject({ reads: 'pread', readsReason: "io is 'pread'" })
    expect(warnings).toEqual([])
  })

  it("'mmap' without koffi reads all the same, and warns", async () => {
    native.isAbsent = true
    const { log, warnings } = await opened({ io: 'mmap' })
    expect(log.guarantees().reads).toBe('pread')
    expect(log.guarantees().readsReason).toContain('koffi')
    expect(warnings.map(({ code }) => code)).toEqual(['FALLBACK'])
    expect(warnings[0]?.details).toMatchObject({ io: 'mmap' })
  })

  it("'auto' without koffi says why nothing is mapped, and does not warn", async () => {
    native.isAbsent = true
    const { log, warnings } = await opened({ io: 'auto' })
    expect(log.guarantees().reads).toBe('pread')
    expect(log.guarantees().readsReason).toContain('koffi')
    expect(warnings).toEqual([])
  })

  it('is one of three', async () => {
    const options = { io: 'mmapped' } as unknown as EventLogOptions
    const refused = await rejection(EventLog.open(temporaryDirectory(), options))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option: 'io' } })
  })

  it("'auto' leaves a network file system to positioned reads: another machine may cut files", () => {
    const network = { name: 'nfs', isNetwork: true, isVolatile: false }
    expect(mappingsFor('auto', network)).toBeUndefined()
    expect(mappingsFor('mmap', network)?.reads).toBe('everything')
    expect(tryMappings('auto', undefined, '').reason).toContain('another machine')
  })
})

describe.each(['auto', 'mmap', 'pread', 'no koffi'] as const)('sealed segments, io: %s', (mode) => {
  const io = mode === 'no koffi' ? 'mmap' : mode
  const isMapped = canMap && (mode === 'auto' || mode === 'mmap')

  it('give every record to get, as it was appended, as often as it is asked for', async () => {
    native.isAbsent = mode === 'no koffi'
    const { partition, directory } = await reopened(io)
    for (let time = 0; time < 4; time++) {
      for (const [offset, { key, value, headers }] of APPENDED.entries()) {
        const record = partition.get(offset)
        expect(record?.offset).toBe(offset)
        expect(record?.key).toEqual(key)
        expect(record?.value?.equals(value)).toBe(true)
        expect(record?.headers.get('h')?.toString()).toBe(headers.h)
      }
    }
    if (canCountResources) expect(mappingCount(directory) > 0).toBe(isMapped)
  })

  it('give every record to the other ways of reading', async () => {
    native.isAbsent = mode === 'no koffi'
    const { partition } = await reopened(io)
    const values = APPENDED.map(({ value }) => value.toString())
    expect(texts(partition.records())).toEqual(values)
    let scanned = 0
    partition.scan(() => void scanned++)
    expect(scanned).toBe(values.length)
    expect(await textsOf(partition.read())).toEqual(values)
    for (const [offset, { timestamp }] of APPENDED.entries()) {
      for (let time = 0; time < 3; time++) {
        expect(partition.offsetForTimestamp(timestamp)).toBe(offset)
      }
    }
  })

  it('keep what they gave when the log is closed, and leave nothing mapped', async () => {
    native.isAbsent = mode === 'no koffi'
    const { log, partition, directory } = await reopened(io)
    const records = APPENDED.map((_, offset) => {
      for (let time = 0; time < 3; time++) partition.get(offset)
      return partition.get(offset)
    })
    await log.close()
    if (canCountResources) expect(mappingCount(directory)).toBe(0)
    const values = records.map((record) => String(record?.value))
    expect(values).toEqual(APPENDED.map(({ value }) => value.toString()))
  })
})

/** Short and long values, null keys, headers; the offset of each is its place here. */
const APPENDED = Array.from({ length: 200 }, (_, offset) => ({
  key: offset % 3 === 0 ? null : Buffer.from(`key-${offset}`),
  value: Buffer.from(`${offset}-`.repeat(offset % 40 === 7 ? 5_000 : 20)),
  timestamp: 1_000_000 + offset,
  headers: offset % 2 === 0 ? { h: 'x' } : {},
}))

/** A log of many segments that was closed and opened again, so that nothing is read from memory. */
async function reopened(io: 'auto' | 'mmap' | 'pread'): Promise<{
  readonly log: EventLog
  readonly partition: Partition
  readonly directory: string
}> {
  const directory = temporaryDirectory()
  const writer = await EventLog.open(directory)
  const topic = await writer.createTopic('t', { segmentBytes: 16_384, indexIntervalBytes: 1_000 })
  for (let at = 0; at < APPENDED.length; at += 4) {
    const compression = at % 16 === 0 ? 'gzip' : 'none'
    topic.partition(0).append(APPENDED.slice(at, at + 4), { compression })
  }
  await writer.close()
  const log = await EventLog.open(directory, { io, onWarning: () => undefined })
  closeWhenDone(log)
  return { log, partition: log.topic('t').partition(0), directory }
}

async function opened(
  options: EventLogOptions,
): Promise<{ readonly log: EventLog; readonly warnings: readonly LogWarning[] }> {
  const warnings: LogWarning[] = []
  const onWarning = (warning: LogWarning): void => void warnings.push(warning)
  const log = await EventLog.open(temporaryDirectory(), { ...options, onWarning })
  closeWhenDone(log)
  return { log, warnings }
}
