/**
 * Reading beside a writer where the machine or the place is not as one would wish. What others do
 * to the files, and what may end a process, is in test/limits/file-faults.test.ts.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { Partition } from '../../../src/client/partition.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import type { fileSystemOf } from '../../../src/storage/file-system.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone, nextOf, numbered, numbers, texts } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

/** What kind of place every directory is; undefined: what it is. */
const place = vi.hoisted(() => ({
  kind: undefined as ReturnType<typeof fileSystemOf> | undefined, // `as`: set by single tests
}))
vi.mock('../../../src/storage/file-system.ts', async (importOriginal) => {
  const original = await importOriginal<{ readonly fileSystemOf: typeof fileSystemOf }>()
  const kindOf: typeof fileSystemOf = (path) => place.kind ?? original.fileSystemOf(path)
  return { ...original, fileSystemOf: kindOf }
})
beforeEach(() => {
  place.kind = undefined
})

const NFS = { name: 'nfs', isNetwork: true, isVolatile: false }

describe('a log on a network file system', () => {
  it('may be read where it may not be written', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const log = await EventLog.open(directory)
    const topic = await log.createTopic('t')
    topic.partition(0).append(numbered(3))
    await log.close()
    place.kind = NFS
    expect(await rejection(EventLog.open(directory))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { option: 'allowNetworkFs', fileSystem: 'nfs' },
    })
    const reader = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(reader)
    expect(texts(reader.topic('t').partition(0).records())).toEqual(numbers(3))
    expect(reader.guarantees()).toMatchObject({ fileSystem: 'nfs', reads: 'pread', lock: 'none' })
  })
})

describe('what is no log', () => {
  it('is not opened, and nothing is made there', async () => {
    const home = temporaryDirectory()
    const nowhere = rejection(EventLog.open(join(home, 'nowhere'), { readOnly: true }))
    expect(await nowhere).toMatchObject({ code: 'IO', cause: { code: 'ENOENT' } })
    const empty = join(home, 'empty')
    mkdirSync(empty)
    const other = join(home, 'file')
    writeFileSync(other, '')
    for (const directory of [empty, other]) {
      const refused = await rejection(EventLog.open(directory, { readOnly: true }))
      expect(refused.code, directory).toBe('INVALID_ARGUMENT')
    }
  })
})

describe('a partition without its files', () => {
  it('fails who reads it, and nobody else', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const log = await EventLog.open(directory)
    const topic = await log.createTopic('t', { partitions: 2 })
    topic.partition(0).append(numbered(3))
    await log.close()
    rmSync(join(directory, 'streambed.control'))
    rmSync(join(directory, 't-1'), { recursive: true })
    const reader = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(reader)
    expect(texts(reader.topic('t').partition(0).records())).toEqual(numbers(3))
    expect(refusal(() => reader.topic('t').partition(1).records())).toMatchObject({ code: 'IO' })
    expect(await rejection(nextOf(reader.topic('t').partition(1).read()))).toMatchObject({
      code: 'IO',
    })
  })
})

describe('a log that somebody removes file by file', () => {
  it('ends what waits when it is gone, and is IO for who comes', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const log = await EventLog.open(directory)
    const topic = await log.createTopic('t')
    topic.partition(0).append(numbered(3))
    await log.close()
    const reader = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(reader)
    const partition = reader.topic('t').partition(0)
    const stream = partition.read({ live: true })
    for (const value of numbers(3)) expect((await nextOf(stream))?.value?.toString()).toBe(value)
    const waiting = rejection(stream.next())
    rmSync(join(directory, 'streambed.control'))
    const folder = join(directory, 't-0')
    for (const name of readdirSync(folder)) {
      rmSync(join(folder, name))
      expect([3, 'IO'], name).toContain(endOf(partition))
    }
    const late = await EventLog.open(directory, { readOnly: true })
    closeWhenDone(late)
    expect(endOf(late.topic('t').partition(0))).toBe('IO')
    rmSync(directory, { recursive: true })
    expect(await waiting).toMatchObject({ code: 'IO' })
    expect(refusal(() => partition.get(0))).toMatchObject({ code: 'IO' })
  })
})

/** Where the log ends, or what kept that from being known. */
function endOf(partition: Partition): number | string {
  try {
    return partition.logEndOffset
  } catch (error) {
    if (LogError.is(error)) return error.code
    throw error
  }
}
