/**
 * Opening a directory: what is accepted as a log, what is refused and how, and who may have it.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogWarning } from '../../src/client/log-options.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { emptyMetadata, writeMetadata } from '../../src/storage/metadata-file.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { sealed } from '../../src/storage/sealed-json.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, numbered, numbers, texts } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

const ANY_NUMBER: unknown = expect.any(Number)
const ANY_STRING: unknown = expect.any(String)

async function open(...args: Parameters<typeof EventLog.open>): Promise<EventLog> {
  const log = await EventLog.open(...args)
  closeWhenDone(log)
  return log
}

/** A log that was closed properly, with three records in topic t. */
async function closedLog(): Promise<string> {
  const directory = temporaryDirectory()
  const log = await EventLog.open(directory)
  const topic = await log.createTopic('t')
  topic.partition(0).append(numbered(3))
  await log.close()
  return directory
}

describe('a directory', () => {
  it('is made where it is missing, with those above it, for its owner alone', async () => {
    const directory = join(temporaryDirectory(), 'a', 'b', 'log')
    const log = await open(relative(process.cwd(), directory))
    expect(log.directory).toBe(directory)
    expect(isAbsolute(log.directory ?? '')).toBe(true)
    if (process.platform !== 'win32') expect(statSync(directory).mode & 0o777).toBe(0o700)
    expect(existsSync(join(directory, 'meta.properties'))).toBe(true)
  })

  it('is taken as empty with what systems and people leave behind', async () => {
    const directory = temporaryDirectory()
    mkdirSync(join(directory, 'lost+found'))
    const left = ['.DS_Store', 'Thumbs.db', '.gitignore', '.gitkeep']
    for (const name of left) writeFileSync(join(directory, name), 'x')
    const log = await open(directory)
    expect(log.topics()).toEqual([])
    await log.close()
    for (const name of left) expect(readFileSync(join(directory, name), 'utf8')).toBe('x')
  })

  it('is refused when it is a file, below one, or something else’s', async () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'file')
    writeFileSync(file, 'x')
    for (const path of [file, join(file, 'log'), directory]) {
      expect((await rejection(EventLog.open(path))).code, path).toBe('INVALID_ARGUMENT')
    }
    expect(readdirSync(directory)).toEqual(['file'])
    expect(readFileSync(file, 'utf8')).toBe('x')
  })

  it.each(['', 'a\0b', null, undefined, 5, new URL('file:///tmp')])(
    'is a path, not %j',
    async (path) => {
      const given = path as string // as JavaScript may
      expect((await rejection(EventLog.open(given))).code).toBe('INVALID_ARGUMENT')
      expect((await rejection(EventLog.breakLock(given))).code).toBe('INVALID_ARGUMENT')
    },
  )

  it.each([
    ['io', { io: 'fast' }],
    ['lockTimeoutMs', { lockTimeoutMs: -1 }],
    ['visibility', { visibility: 'all' }],
    ['readOnly', { readOnly: 1 }],
    ['allowNetworkFs', { allowNetworkFs: 'yes' }],
    ['fileMode', { fileMode: 0o400 }],
    ['fileMode', { fileMode: 0o1600 }],
    ['fileMode', { fileMode: '600' }],
    ['directoryMode', { directoryMode: 0o600 }],
    ['readonly', { readonly: true }],
  ])('is not even made when %s is wrong', async (option, options: object) => {
    const directory = join(temporaryDirectory(), 'log')
    const refused = await rejection(EventLog.open(directory, options))
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', details: { option } })
    expect(existsSync(directory)).toBe(false)
  })

  it('is known by whatever path leads to it', async () => {
    const directory = temporaryDirectory()
    const link = join(temporaryDirectory(), 'link')
    symlinkSync(directory, link)
    const log = await open(link)
    expect((await rejection(EventLog.open(directory))).code).toBe('LOCKED')
    await log.close()
    const other = await open(directory)
    expect((await rejection(EventLog.open(link))).code).toBe('LOCKED')
    await other.close()
  })
})

describe('the writer lock', () => {
  it('tells a second opener of the same process who has it', async () => {
    const directory = temporaryDirectory()
    const before = Date.now()
    const log = await open(directory)
    const { code, details, retriable } = await rejection(EventLog.open(directory))
    expect({ code, retriable }).toEqual({ code: 'LOCKED', retriable: true })
    expect(details).toEqual({ pid: process.pid, startedAt: ANY_NUMBER, directory })
    const { startedAt } = details as { readonly startedAt: number } // see the line above
    expect(startedAt).toBeGreaterThanOrEqual(before - 1)
    expect(startedAt).toBeLessThanOrEqual(Date.now() + 1)
    await log.close()
    await open(directory)
  })

  it('is waited for as long as lockTimeoutMs says', async () => {
    const directory = temporaryDirectory()
    const log = await open(directory)
    const waits = open(directory, { lockTimeoutMs: 30_000 })
    const gaveUp = await rejection(EventLog.open(directory, { lockTimeoutMs: 30 }))
    expect(gaveUp.code).toBe('LOCKED')
    await log.close()
    expect((await waits).topics()).toEqual([])
  })

  it('is free again after every failed open', async () => {
    const directory = await closedLog()
    writeFileSync(join(directory, 'metadata.json'), JSON.stringify(sealed({ format: 2 })))
    for (let at = 0; at < 2; at += 1) {
      expect((await rejection(EventLog.open(directory))).code).toBe('UNSUPPORTED_FORMAT')
    }
  })
})

describe('a log of a newer version', () => {
  async function changed(change: Partial<ReturnType<typeof emptyMetadata>>): Promise<string> {
    const directory = await closedLog()
    const driver = openDiskDriver(directory)
    await runProcedure(writeMetadata(driver, { ...emptyMetadata(), ...change }))
    driver.close()
    return directory
  }

  it('is refused for its format or for what nobody may read without, untouched', async () => {
    const newer = await closedLog()
    writeFileSync(join(newer, 'metadata.json'), JSON.stringify(sealed({ format: 2 })))
    for (const directory of [newer, await changed({ incompatible: ['teleport'] })]) {
      const before = readdirSync(directory)
      expect((await rejection(EventLog.open(directory))).code).toBe('UNSUPPORTED_FORMAT')
      expect(readdirSync(directory)).toEqual(before)
    }
  })

  it('is READ_ONLY for what nobody may write without, untouched', async () => {
    const directory = await changed({ writeIncompatible: ['teleport'] })
    const before = readdirSync(directory)
    const refused = await rejection(EventLog.open(directory))
    expect(refused).toMatchObject({ code: 'READ_ONLY', details: { features: ['teleport'] } })
    expect(readdirSync(directory)).toEqual(before)
  })
})

describe('a log', () => {
  it('says which calls are not part of this version', async () => {
    const log = await open(temporaryDirectory())
    const topic = await log.createTopic('t')
    expect(refusal(() => log.shareGroup('g', { topics: ['t'] }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { feature: ANY_STRING },
    })
    expect((await rejection(topic.table())).code).toBe('INVALID_ARGUMENT')
  })

  it('takes folders in that no metadata lists, and says so', async () => {
    const directory = await closedLog()
    rmSync(join(directory, 'metadata.json'))
    rmSync(join(directory, 'metadata.json.previous'), { force: true })
    const warnings: LogWarning[] = []
    const log = await open(directory, { onWarning: (warning) => warnings.push(warning) })
    expect(texts(log.topic('t').partition(0).records())).toEqual(numbers(3))
    expect(warnings).toMatchObject([{ code: 'RECOVERED', details: { topic: 't' } }])
    expect(log.recovery.partitions).toEqual([
      {
        topic: 't',
        partition: 0,
        cutBytes: 0,
        cutAtOffset: null,
        rebuiltIndexes: ANY_NUMBER,
        damage: [],
      },
    ])
  })

  it('cuts a torn write off and reports it', async () => {
    const directory = await closedLog()
    rmSync(join(directory, '.kafka_cleanshutdown'))
    const path = join(directory, 't-0', '00000000000000000000.log')
    const bytes = readFileSync(path)
    // Torn in the producer id, which is −1. In the time before it there are zeros at some hours,
    // and zeros at the end are free space.
    writeFileSync(path, Buffer.concat([bytes, bytes.subarray(0, 48)]))
    const log = await open(directory)
    expect(log.recovery).toMatchObject({
      clean: false,
      partitions: [{ topic: 't', partition: 0, cutBytes: 48, cutAtOffset: 3, damage: [] }],
      positions: [],
    })
    expect(Object.keys(log.recovery.partitions[0] ?? {}).toSorted()).toEqual([
      'cutAtOffset',
      'cutBytes',
      'damage',
      'partition',
      'rebuiltIndexes',
      'topic',
    ])
    const partition = log.topic('t').partition(0)
    expect(texts(partition.records())).toEqual(numbers(3))
    expect(partition.append({ value: 'v3' })).toMatchObject({ baseOffset: 3, leaderEpoch: 1 })
  })

  it('warns of damage in what was safe and goes on', async () => {
    const directory = await closedLog()
    rmSync(join(directory, '.kafka_cleanshutdown'))
    rmSync(join(directory, 't-0'), { recursive: true })
    const warnings: LogWarning[] = []
    const log = await open(directory, { onWarning: (warning) => warnings.push(warning) })
    expect(warnings).toMatchObject([{ code: 'DAMAGE', details: { topic: 't', partition: 0 } }])
    const [found] = log.recovery.partitions
    expect(found).toMatchObject({ damage: [{ topic: 't', firstOffset: 0, lastOffset: 2 }] })
    expect(log.topic('t').partition(0).append({ value: 'v' }).baseOffset).toBe(3)
  })
})
