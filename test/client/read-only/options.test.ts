/**
 * Opening a log read-only: what is refused, what the options mean there, and what is said of it.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { EventLogOptions } from '../../../src/client/log-options.ts'
import { defineTopic } from '../../../src/client/topic-definition.ts'
import type { TopicConfig } from '../../../src/log/log-config.ts'
import { openDiskDriver } from '../../../src/storage/disk-driver.ts'
import { emptyMetadata, writeMetadata } from '../../../src/storage/metadata-file.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone, textsOf } from '../open-log.ts'
import { refusal, rejection } from '../refusal.ts'

/** The directory of a log with the topic t, which was closed. */
async function closedLog(config: TopicConfig = {}): Promise<string> {
  const directory = temporaryDirectory()
  const log = await EventLog.open(directory)
  const topic = await log.createTopic('t', config)
  topic.partition(0).append([
    { key: 'a', value: 'x' },
    { key: 'b', value: 'y' },
  ])
  await log.close()
  return directory
}

async function openReader(directory: string, options: EventLogOptions = {}): Promise<EventLog> {
  const log = await EventLog.open(directory, { readOnly: true, ...options })
  closeWhenDone(log)
  return log
}

describe('opening read-only', () => {
  it('is IO for a directory that is missing, and makes none', async () => {
    const directory = join(temporaryDirectory(), 'none')
    const refused = await rejection(EventLog.open(directory, { readOnly: true }))
    expect(refused).toMatchObject({ code: 'IO', cause: { code: 'ENOENT' } })
    expect((await rejection(EventLog.open(directory, { readOnly: true }))).code).toBe('IO')
  })

  it('is INVALID_ARGUMENT for a file, and for a directory of something else', async () => {
    const root = temporaryDirectory()
    const [file, other] = [join(root, 'file'), join(root, 'other')]
    writeFileSync(file, 'text')
    mkdirSync(other)
    writeFileSync(join(other, 'notes.txt'), 'text')
    for (const path of [file, other]) {
      const refused = await rejection(EventLog.open(path, { readOnly: true }))
      expect(refused.code).toBe('INVALID_ARGUMENT')
    }
  })

  it('says of itself that it keeps nothing, holds no lock, and found nothing to do', async () => {
    const directory = await closedLog()
    const log = await openReader(directory)
    expect(log.directory).toBe(directory)
    expect(log.recovery).toMatchObject({ clean: true, partitions: [], positions: [] })
    expect(log.guarantees()).toMatchObject({
      acks: { 0: 'nothing', 1: 'nothing', all: 'nothing' },
      lock: 'none',
      reads: 'pread',
    })
  })

  it('takes no lock: a writer opens beside it, and it beside a writer', async () => {
    const directory = await closedLog()
    const first = await openReader(directory)
    const writer = await EventLog.open(directory)
    closeWhenDone(writer)
    const second = await openReader(directory)
    writer.topic('t').partition(0).append({ value: 'z' })
    await writer.flush()
    for (const log of [first, second]) {
      await expect.poll(() => log.topic('t').partition(0).logEndOffset).toBe(3)
      expect(await textsOf(log.topic('t').read())).toEqual(['x', 'y', 'z'])
    }
  })

  it('accepts what only a writer has use for, and ignores it', async () => {
    const log = await openReader(await closedLog(), {
      lockTimeoutMs: 10,
      housekeepingIntervalMs: 1,
      topicDefaults: { segmentBytes: 4_096 },
      offsetsRetentionMs: 1,
      cleanerBufferBytes: 1,
      producerIdExpirationMs: 1,
      allowNetworkFs: true,
      fileMode: 0o600,
      directoryMode: 0o700,
    })
    expect(await textsOf(log.topic('t').read())).toEqual(['x', 'y'])
  })

  it.each(['auto', 'mmap', 'pread'] as const)('reads the same with io %s', async (io) => {
    const warnings: string[] = []
    const log = await openReader(await closedLog(), {
      io,
      onWarning: ({ code }) => void warnings.push(code),
    })
    expect(await textsOf(log.topic('t').read())).toEqual(['x', 'y'])
    expect(String(log.topic('t').partition(0).get(1)?.value)).toBe('y')
    const { reads } = log.guarantees()
    const isMapped = io === 'mmap' && reads === 'mmap'
    expect(reads).toBe(isMapped ? 'mmap' : 'pread')
    expect(warnings).toEqual(io === 'mmap' && !isMapped ? ['FALLBACK'] : [])
  })

  it('is UNSUPPORTED_FORMAT for a log that nobody may read who does not know it', async () => {
    const directory = await closedLog()
    const driver = openDiskDriver(directory)
    const metadata = { ...emptyMetadata(), incompatible: ['teleport'] }
    await runProcedure(writeMetadata(driver, metadata))
    driver.close()
    const refused = await rejection(EventLog.open(directory, { readOnly: true }))
    expect(refused.code).toBe('UNSUPPORTED_FORMAT')
  })

  it('reads what only writers have to know more of', async () => {
    const directory = await closedLog()
    const driver = openDiskDriver(directory)
    const metadata = { ...emptyMetadata(), writeIncompatible: ['teleport'] }
    await runProcedure(writeMetadata(driver, metadata))
    driver.close()
    expect((await openReader(directory)).directory).toBe(directory)
  })

  it('refuses visibility where a log is written', async () => {
    const options = { visibility: 'durable' } as const
    const refused = await rejection(EventLog.open(temporaryDirectory(), options))
    expect(refused).toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { option: 'visibility', value: 'durable' },
    })
    // `as`: as JavaScript may.
    const memory = options as EventLogOptions
    expect(refusal(() => EventLog.inMemory(memory)).code).toBe('INVALID_ARGUMENT')
  })

  it('refuses what no option can be', async () => {
    const directory = await closedLog()
    for (const options of [{ visibility: 'all' }, { readOnly: 'yes' }, { readonly: true }]) {
      const given = { readOnly: true, ...options } as EventLogOptions // as JavaScript may
      const refused = await rejection(EventLog.open(directory, given))
      expect(refused.code).toBe('INVALID_ARGUMENT')
    }
  })
})

describe('topics of the options', () => {
  it('have to be there', async () => {
    const directory = await closedLog()
    const missing = defineTopic('none')
    const options = { readOnly: true, topics: [missing] } as const
    expect((await rejection(EventLog.open(directory, options))).code).toBe('TOPIC_NOT_FOUND')
    const log = await openReader(directory, { topics: [defineTopic('t')] })
    expect(log.topics().map(({ name }) => name)).toEqual(['t'])
  })

  it('have as many partitions as asked for, and the same policy, or are CONFIG_MISMATCH', async () => {
    const directory = await closedLog({ partitions: 2 })
    const wrong = [
      defineTopic('t', { partitions: 3 }),
      defineTopic('t', { cleanupPolicy: 'compact' }),
    ]
    for (const topic of wrong) {
      const options = { readOnly: true, topics: [topic] } as const
      expect((await rejection(EventLog.open(directory, options))).code).toBe('CONFIG_MISMATCH')
    }
    const log = await openReader(directory, { topics: [defineTopic('t', { partitions: 2 })] })
    expect(log.topic('t').partitions).toHaveLength(2)
  })

  it('keep the settings that they have', async () => {
    const directory = await closedLog({ segmentBytes: 8_192 })
    const log = await openReader(directory, { topics: [defineTopic('t', { segmentBytes: 4_096 })] })
    expect(log.topic('t').config.segmentBytes).toBe(8_192)
  })
})

describe('handles of a read-only log', () => {
  it('are the same for the same name, and typed by their definition', async () => {
    const log = await openReader(await closedLog())
    const definition = defineTopic('t')
    expect(log.topic('t')).toBe(log.topic('t'))
    expect(log.topic(definition)).toBe(log.topic(definition))
    expect(log.topics()[0]).toBe(log.topic('t'))
    expect(log.topic('t').partition(0)).toBe(log.topic('t').partitions[0])
    expect(refusal(() => log.topic('T')).code).toBe('TOPIC_NOT_FOUND')
  })

  it('see topics, partitions and settings that their writer changes', async () => {
    const directory = await closedLog()
    const writer = await EventLog.open(directory)
    closeWhenDone(writer)
    const log = await openReader(directory)
    const topic = log.topic('t')
    await writer.createTopic('later')
    expect(log.topic('later').name).toBe('later')
    expect(log.topics().map(({ name }) => name)).toEqual(['later', 't'])
    await writer.topic('t').addPartitions(3)
    expect(topic.partitions).toHaveLength(3)
    expect(topic.partition(2).logEndOffset).toBe(0)
    await writer.topic('t').alterConfig({ segmentBytes: 4_096 })
    expect(topic.config.segmentBytes).toBe(4_096)
    expect(log.topic('t')).toBe(topic)
  })

  it('stay dead when a topic of their name is made anew', async () => {
    const directory = await closedLog()
    const writer = await EventLog.open(directory)
    closeWhenDone(writer)
    const log = await openReader(directory)
    const dead = log.topic('t')
    const partition = dead.partition(0)
    const waiting = rejection(partition.read({ from: 'latest', live: true }).next())
    await writer.deleteTopic('t')
    await writer.createTopic('t')
    expect((await waiting).code).toBe('TOPIC_NOT_FOUND')
    const made = log.topic('t')
    expect(made).not.toBe(dead)
    expect(made.partition(0).logEndOffset).toBe(0)
    expect(refusal(() => dead.size()).code).toBe('TOPIC_NOT_FOUND')
    expect(refusal(() => partition.records()).code).toBe('TOPIC_NOT_FOUND')
    expect(refusal(() => log.topic(dead)).code).toBe('TOPIC_NOT_FOUND')
    expect(partition.logEndOffset).toBe(2)
  })

  it('read internal topics by name, which no list shows', async () => {
    const directory = await closedLog()
    const writer = await EventLog.open(directory)
    closeWhenDone(writer)
    const log = await openReader(directory)
    expect(refusal(() => log.topic('__consumer_offsets')).code).toBe('TOPIC_NOT_FOUND')
    await (await writer.consumerGroup('g', { topics: ['t'] }).join()).leave()
    expect(log.topic('__consumer_offsets').partitions).toHaveLength(1)
    expect(log.topics().map(({ name }) => name)).toEqual(['t'])
  })
})

describe('closing a read-only log', () => {
  it('ends reads that wait, and may be asked for twice', async () => {
    const directory = await closedLog()
    const log = await EventLog.open(directory, { readOnly: true })
    const waiting = log.topic('t').read({ from: 'latest', live: true }).next()
    await log.close()
    await log.close()
    expect(await waiting).toEqual({ done: true, value: undefined })
  })

  it('happens at the end of its scope', async () => {
    const directory = await closedLog()
    let left: EventLog
    {
      await using log = await EventLog.open(directory, { readOnly: true })
      left = log
    }
    expect(refusal(() => left.topics()).code).toBe('CLOSED')
  })
})
