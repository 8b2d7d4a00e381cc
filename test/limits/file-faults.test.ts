/**
 * What others do to the files of an open log, and what the machine has no more of: a process that
 * writes the log, and one that reads it, each in a child, which may be the end of it
 * (fault-child.ts). What ends a process is measured here too, so that docs/guarantees.md can say
 * so.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, renameSync, rmSync, truncateSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { EventLogOptions } from '../../src/index.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { canBeNobody, NOBODY, nobodyNote } from '../support/nobody.ts'
import { canMount, ownDisk } from '../support/own-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import {
  FaultProcess,
  type FaultProcessOptions,
  faultProgram,
  type FaultStep,
} from './fault-process.ts'

const PROGRAM = faultProgram()
const RECORDS = 5
/** Of segments of one record each. */
const SEALED = '00000000000000000001.log'
const ACTIVE = '00000000000000000004.log'
const HALF_A_BATCH = 500
const DISK_BYTES = 33_554_432
/** What the test process writes, everybody may read. */
const FOR_ALL = { fileMode: 0o644, directoryMode: 0o755 }

const canUnshare = spawnSync('unshare', ['-U', '-r', 'true']).status === 0
/** Where mappings can be had at all. */
const canMap = process.platform === 'linux' && nativeBinding() !== null

const corrupt: unknown = expect.objectContaining({ code: 'CORRUPT' })

type Io = NonNullable<EventLogOptions['io']>

/** A log that one process writes. */
interface Written {
  readonly writer: FaultProcess
  readonly directory: string
  /** Of its one partition. */
  readonly folder: string
}

/** A log that another one reads as well. */
interface Read extends Written {
  readonly reader: FaultProcess
}

interface Setting {
  readonly io?: Io
  readonly count?: number
  readonly directory?: string
  readonly options?: EventLogOptions
}

const get = (offset: number): FaultStep => ({ does: 'get', offset })
const asReader = (io: Io = 'auto'): FaultStep => ({ does: 'open', options: { readOnly: true, io } })
const failed = (cause: string): unknown => expect.objectContaining({ code: 'IO', cause })

/** Everything was written in an earlier life: what the process reads, it reads from files. */
async function written(setting: Setting = {}): Promise<Written> {
  const directory = setting.directory ?? join(temporaryDirectory(), 'log')
  const { io = 'pread', count = RECORDS } = setting
  const writer = new FaultProcess(PROGRAM, directory)
  const options = { io, housekeepingIntervalMs: null, ...setting.options }
  await writer.get({ does: 'open', options })
  await writer.get({ does: 'create' })
  for (let offset = 0; offset < count; offset += 1) await writer.get({ does: 'append' })
  await writer.get({ does: 'close' })
  await writer.get({ does: 'open', options })
  return { writer, directory, folder: join(directory, 't-0') }
}

/** As `written`, and read by another process meanwhile. */
async function followed(setting: Setting & FaultProcessOptions = {}): Promise<Read> {
  const { io, ...others } = setting
  const log = await written(others)
  const reader = new FaultProcess(PROGRAM, log.directory, others)
  await reader.get(asReader(io))
  return { ...log, reader }
}

/** Lookups make a mapping worth its while from the third on. */
async function lookUpOften(process: FaultProcess, offset: number): Promise<void> {
  for (let look = 0; look < 3; look += 1) expect(await process.get(get(offset))).toBe(`v${offset}`)
}

/** Reads the log live, up to its end. */
async function readAll(reader: FaultProcess, count: number = RECORDS): Promise<void> {
  for (let offset = 0; offset < count; offset += 1) {
    expect(await reader.get({ does: 'next' })).toBe(offset)
  }
}

/** A reader hears of an append with the writer's next publication. */
async function published(reader: FaultProcess, offset: number): Promise<void> {
  while (Number(await reader.get({ does: 'end' })) <= offset);
}

describe('a segment that somebody else truncates', () => {
  it.each([
    ['a sealed one', SEALED, 0, 1],
    ['a sealed one, in the middle of a batch', SEALED, HALF_A_BATCH, 1],
    ['the active one', ACTIVE, HALF_A_BATCH, 4],
  ])(
    'is CORRUPT for its writer, which reads all else and writes on: %s',
    async (_which, file, length, offset) => {
      const { writer, folder } = await written()
      await lookUpOften(writer, offset)
      truncateSync(join(folder, file), length)
      expect(await writer.ask(get(offset))).toEqual(corrupt)
      expect(await writer.ask({ does: 'count' })).toEqual(corrupt)
      expect(await writer.get(get(2))).toBe('v2')
      expect(await writer.get({ does: 'append' })).toBe(RECORDS)
      expect(await writer.get({ does: 'flush' })).toBe(RECORDS + 1)
      expect(await writer.get(get(RECORDS))).toBe('v5')
      await writer.get({ does: 'close' })
    },
  )

  it.each([0, HALF_A_BATCH])(
    'is CORRUPT for a reader, which follows what else there is: sealed, cut to %d bytes',
    async (length) => {
      const { writer, reader, folder } = await followed()
      await lookUpOften(reader, 1)
      truncateSync(join(folder, SEALED), length)
      expect(await reader.ask(get(1))).toEqual(corrupt)
      expect(await reader.ask({ does: 'count' })).toEqual(corrupt)
      await readAll(reader, 1)
      expect(await reader.ask({ does: 'next' })).toEqual(corrupt)
      expect(await reader.get(get(2))).toBe('v2')
      expect(await writer.get({ does: 'append' })).toBe(RECORDS)
      await published(reader, RECORDS)
      expect(await reader.get(get(RECORDS))).toBe('v5')
      await reader.get({ does: 'close' })
    },
  )

  it.each([0, HALF_A_BATCH])(
    'is CORRUPT for a reader that comes to it: active, cut to %d bytes',
    async (length) => {
      const { writer, reader, folder } = await followed()
      truncateSync(join(folder, ACTIVE), length)
      expect(await reader.ask({ does: 'count' })).toEqual(corrupt)
      expect(await reader.get(get(2))).toBe('v2')
      expect(await writer.get({ does: 'append' })).toBe(RECORDS)
      expect(await writer.get({ does: 'append' })).toBe(RECORDS + 1)
      await published(reader, RECORDS + 1)
      expect(await reader.ask({ does: 'count' })).toEqual(corrupt)
      expect(await reader.get(get(RECORDS))).toBe('v5')
      await reader.get({ does: 'close' })
    },
  )

  it('takes nothing from a reader that has read it, nor from its live read', async () => {
    const { writer, reader, folder } = await followed()
    await readAll(reader)
    truncateSync(join(folder, ACTIVE), HALF_A_BATCH)
    expect(await writer.get({ does: 'append' })).toBe(RECORDS)
    expect(await reader.get({ does: 'next' })).toBe(RECORDS)
    await reader.get({ does: 'close' })
  })

  it.runIf(canMap)('ends a writer that has it mapped: SIGBUS', async () => {
    const { writer, folder } = await written({ io: 'auto' })
    await lookUpOften(writer, 1)
    truncateSync(join(folder, SEALED), 0)
    expect(await writer.ask(get(1))).toEqual({ died: 'SIGBUS' })
  })

  it.runIf(canMap)("ends a reader that was opened with io: 'mmap': SIGBUS", async () => {
    const { reader, folder } = await followed({ io: 'mmap' })
    await lookUpOften(reader, 1)
    truncateSync(join(folder, SEALED), 0)
    expect(await reader.ask(get(1))).toEqual({ died: 'SIGBUS' })
  })
})

describe('a directory that somebody removes', () => {
  it('is IO for its writer, whatever it calls', async () => {
    const { writer, directory } = await written()
    rmSync(directory, { recursive: true })
    expect(await writer.ask({ does: 'count' })).toEqual(failed('ENOENT'))
    expect(await writer.ask({ does: 'append' })).toEqual(failed('ENOENT'))
    expect(await writer.ask({ does: 'close' })).toEqual(failed('ENOENT'))
  })

  it.each([
    ['removed', (directory: string) => rmSync(directory, { recursive: true })],
    ['renamed', (directory: string) => renameSync(directory, `${directory}-elsewhere`)],
  ])('ends reads that wait, and is IO for whoever calls: %s', async (_how, takeAway) => {
    const { reader, directory } = await followed()
    await readAll(reader)
    const waiting = reader.ask({ does: 'next' })
    takeAway(directory)
    expect(await waiting).toMatchObject({ code: 'IO' })
    expect(await reader.ask(get(1))).toEqual(failed('ENOENT'))
    expect(await reader.ask({ does: 'count' })).toEqual(failed('ENOENT'))
    await reader.get({ does: 'close' })
  })
})

describe('a process that has few mappings left', () => {
  it.runIf(canMap)('reads and writes on without them', async () => {
    const { writer } = await written({ io: 'mmap', count: 200 })
    await writer.get({ does: 'eat mappings', butFor: 300 })
    expect(await writer.get({ does: 'count' })).toBe(200)
    expect(await writer.get({ does: 'append' })).toBe(200)
    expect(await writer.get({ does: 'flush' })).toBe(201)
    await writer.get({ does: 'close' })
  })

  it.runIf(canMap)('reads on without them where another one writes', async () => {
    const { writer, reader } = await followed({ io: 'mmap', count: 200 })
    await reader.get({ does: 'eat mappings', butFor: 300 })
    expect(await reader.get({ does: 'count' })).toBe(200)
    expect(await writer.get({ does: 'append' })).toBe(200)
    await published(reader, 200)
    expect(await reader.get(get(200))).toBe('v200')
    await reader.get({ does: 'close' })
  })
})

describe('a process that may open no more files', () => {
  it('reads and writes on with those that it has', async () => {
    const { writer } = await written({ count: 50 })
    await writer.get({ does: 'eat descriptors' })
    expect(await writer.get({ does: 'count' })).toBe(50)
    expect(await writer.get({ does: 'append' })).toBe(50)
    await writer.get({ does: 'give back' })
    expect(await writer.get({ does: 'flush' })).toBe(51)
    await writer.get({ does: 'close' })
  })

  it('reads what it has open, and all again as soon as it may open some', async () => {
    const { writer, reader } = await followed({ count: 50 })
    await reader.get({ does: 'eat descriptors' })
    // What it has open it can read on.
    expect([{ value: 50 }, failed('EMFILE')]).toContainEqual(await reader.ask({ does: 'count' }))
    expect(await writer.get({ does: 'append' })).toBe(50)
    await reader.get({ does: 'give back' })
    await published(reader, 50)
    expect(await reader.get({ does: 'count' })).toBe(51)
    await readAll(reader, 51)
    await reader.get({ does: 'close' })
  })
})

describe('a reader that may watch no more files', () => {
  it.runIf(canUnshare).each(['instances', 'watches'])(
    'says so once, and looks by itself: none of %s',
    async (of) => {
      const before = `echo 0 > /proc/sys/user/max_inotify_${of}`
      const { writer, reader } = await followed({ before, inside: ['unshare', '-U', '-r'] })
      await readAll(reader)
      for (let offset = RECORDS; offset < RECORDS + 3; offset += 1) {
        const next = reader.get({ does: 'next' })
        expect(await writer.get({ does: 'append' })).toBe(offset)
        expect(await next).toBe(offset)
      }
      expect(await reader.get({ does: 'warnings' })).toEqual(['FALLBACK'])
      await reader.get({ does: 'close' })
    },
  )
})

describe('a reader that may not write', () => {
  it.runIf(canBeNobody)(`reads a directory of another user's${nobodyNote}`, async () => {
    const home = temporaryDirectory()
    chmodSync(home, 0o755)
    const directory = join(home, 'log')
    const { writer, reader } = await followed({ directory, options: FOR_ALL, uid: NOBODY })
    await readAll(reader)
    expect(await writer.get({ does: 'append' })).toBe(RECORDS)
    expect(await reader.get({ does: 'next' })).toBe(RECORDS)
    await reader.get({ does: 'close' })
  })

  it.runIf(canBeNobody)(
    `is IO where it may not read, as the modes of a log are${nobodyNote}`,
    async () => {
      const { writer, directory } = await written()
      chmodSync(dirname(directory), 0o755)
      const reader = new FaultProcess(PROGRAM, directory, { uid: NOBODY })
      expect(await reader.ask(asReader())).toEqual(failed('EACCES'))
      await writer.get({ does: 'close' })
    },
  )

  it.runIf(canMount('tmpfs'))('reads a log on a disk that is mounted read-only', async () => {
    const disk = ownDisk('tmpfs', DISK_BYTES)
    const { writer, directory } = await written({ directory: join(disk, 'log') })
    await writer.get({ does: 'close' })
    expect(spawnSync('mount', ['-o', 'remount,ro', disk]).status).toBe(0)
    const reader = new FaultProcess(PROGRAM, directory)
    await reader.get(asReader())
    await readAll(reader)
    expect(await reader.get({ does: 'count' })).toBe(RECORDS)
    await reader.get({ does: 'close' })
  })
})
