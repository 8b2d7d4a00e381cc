/** Which topics a follower sees, beside a writer of the same directory. */
import { rmSync, renameSync, mkdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import { openDiskDriver } from '../../../src/storage/disk-driver.ts'
import {
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  readMetadata,
} from '../../../src/storage/metadata-file.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { appendMany, openLog, partitionOf } from '../open-log.ts'
import { follow, type Follower } from './follower.ts'

/** A writer and a follower of one directory, with drivers of their own. */
interface Pair {
  readonly writer: LogDirectory
  readonly written: StorageDriver
  readonly follower: Follower
}

const DRIVERS = {
  'a simulated disk': (): readonly [StorageDriver, StorageDriver] => {
    const driver = new FaultDriver()
    return [driver, new FaultDriver(driver.machine)]
  },
  'a disk': (): readonly [StorageDriver, StorageDriver] => {
    const directory = temporaryDirectory()
    return [openDiskDriver(directory), openDiskDriver(directory)]
  },
}

async function pair(on: keyof typeof DRIVERS = 'a simulated disk'): Promise<Pair> {
  const [written, read] = DRIVERS[on]()
  const { log: writer } = await openLog(written)
  return { writer, written, follower: await follow(read) }
}

function namesIn({ log }: Follower): readonly string[] {
  return log.topics().map(({ name }) => name)
}

async function create(writer: LogDirectory, name: string, partitions: number = 1): Promise<void> {
  await runProcedure(writer.createTopic(name, { partitions }))
}

async function overwrite(driver: StorageDriver, path: string, text: string): Promise<void> {
  if (driver.status(path) !== undefined) await driver.unlink(path)
  const file = driver.openFile(path, 'create')
  file.write(Buffer.from(text), 0, text.length, 0)
  file.close()
}

describe.each(['a simulated disk', 'a disk'] as const)('over %s', (on) => {
  it('topics are seen as they are made, grown, altered and deleted', async () => {
    const { writer, follower } = await pair(on)
    expect(namesIn(follower)).toEqual([])
    await create(writer, 'b', 2)
    await create(writer, 'a')
    expect(namesIn(follower)).toEqual(['a', 'b'])
    const b = follower.log.topic('b')
    expect(b?.id).toBe(writer.topic('b')?.id)
    expect(b?.partitions.map(({ directory }) => directory)).toEqual(['b-0', 'b-1'])
    const [first] = b?.partitions ?? []

    await runProcedure(writer.addPartitions('b', 3))
    expect(follower.log.topic('b')).toBe(b)
    expect(b?.partitions).toHaveLength(3)
    expect(b?.partitions[0]).toBe(first)
    expect(b?.config.partitions).toBe(3)

    await runProcedure(writer.alterTopics([{ name: 'b', config: { segmentBytes: 4096 } }]))
    expect(follower.log.topic('b')?.config.segmentBytes).toBe(4096)
    expect(first?.config).toBe(b?.config)

    await runProcedure(writer.deleteTopic('b'))
    expect(namesIn(follower)).toEqual(['a'])
    expect(b?.partitions.map(({ end }) => end)).toEqual(['deleted', 'deleted', 'deleted'])
    follower.log.close()
    await runProcedure(writer.close())
  })

  it('a topic that was made anew is another one, and the old one has ended before', async () => {
    const { writer, follower } = await pair(on)
    await create(writer, 't')
    const old = follower.log.topic('t')
    const ends: unknown[] = []
    old?.partitions[0]?.onChange(() => {
      ends.push(follower.log.topic('t') === old, old.partitions[0]?.end)
    })
    await runProcedure(writer.deleteTopic('t'))
    await create(writer, 't')
    expect(follower.log.topic('t')?.id).toBe(writer.topic('t')?.id)
    expect(follower.log.topic('t')).not.toBe(old)
    expect(ends).toEqual([false, 'deleted'])
    follower.log.close()
    await runProcedure(writer.close())
  })
})

describe('who waits for a partition', () => {
  it.each([
    ['a topic is made', (writer: LogDirectory) => create(writer, 'new'), 2],
    [
      'partitions are added',
      (writer: LogDirectory) => runProcedure(writer.addPartitions('t', 2)),
      1,
    ],
    [
      'settings are altered',
      (writer: LogDirectory) =>
        runProcedure(writer.alterTopics([{ name: 't', config: { retentionMs: 1 } }])),
      1,
    ],
    ['a topic is deleted', (writer: LogDirectory) => runProcedure(writer.deleteTopic('t')), 0],
  ] as const)('is woken by what is published behind metadata.json where %s', async (...row) => {
    const [, change, topicCount] = row
    const { writer, follower } = await pair()
    await create(writer, 't')
    const partition = follower.log.topic('t')?.partitions[0]
    partition?.onChange(() => undefined)
    follower.clock.advance(10)
    let told = 0
    follower.log.onTopicsChange(() => (told += 1))
    const seen: number[] = []
    // As a watch of the file: each publication wakes, and what metadata.json says is there by then.
    const { publisher } = writer
    if (publisher === undefined) throw new Error('nothing is published')
    publisher.onPublished = (): void => {
      follower.hand.onWake?.()
      seen.push(topicsOn(writer))
    }
    await change(writer)
    await follower.wake()
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.at(-1)).toBe(topicCount)
    expect(told).toBe(1)
    follower.log.close()
    await runProcedure(writer.close())
  })
})

/** So many topics metadata.json has at this moment. */
function topicsOn({ driver }: LogDirectory): number {
  const reading = readMetadata(driver)
  return reading.kind === 'found' ? reading.metadata.topics.size : -1
}

describe('what the clock of the file system does not show', () => {
  it('is found where two changes are made within its grain', async () => {
    const driver = new FaultDriver()
    const { log: writer } = await openLog(driver)
    await create(writer, 'one')
    // The next metadata.json has, by chance, the place, size and times of the one before.
    const before = driver.status(METADATA_FILE)
    const clock = new FakeClock((before?.modifiedMs ?? 0) + 50)
    const read = new FaultDriver(driver.machine)
    const follower = await follow(read, { clock })
    expect(namesIn(follower)).toEqual(['one'])
    await runProcedure(writer.deleteTopic('one'))
    await create(writer, 'two')
    const { status } = read
    read.status = (path) => (path === METADATA_FILE ? before : status.call(read, path))
    expect(namesIn(follower)).toEqual(['two'])
    follower.log.close()
  })
})

describe('without a good metadata.json', () => {
  it('what is known stays, until there is one again', async () => {
    const { writer, written, follower } = await pair()
    await create(writer, 't')
    expect(namesIn(follower)).toEqual(['t'])
    await overwrite(written, METADATA_FILE, '{}')
    expect(namesIn(follower)).toEqual(['t'])
    await written.unlink(METADATA_FILE)
    await written.unlink(PREVIOUS_METADATA_FILE)
    expect(namesIn(follower)).toEqual(['t'])
    await create(writer, 'u')
    expect(namesIn(follower)).toEqual(['t', 'u'])
  })

  it('folders and the previous one say which topics there are, and nothing is written', async () => {
    const machine = new FaultDriver()
    const { log: writer } = await openLog(machine)
    await create(writer, 'full', 2)
    appendMany(partitionOf(writer, 'full', 1), 1)
    const { id } = writer.topic('full') ?? {}
    await runProcedure(writer.close())
    const driver = new FaultDriver(machine.machine)
    for (const path of [METADATA_FILE, PREVIOUS_METADATA_FILE]) await driver.unlink(path)
    const names = driver.list('')
    const follower = await follow(new FaultDriver(driver.machine), { isWriterAlive: false })
    expect(namesIn(follower)).toEqual(['full'])
    const [topic] = follower.log.topics()
    expect([topic?.id, topic?.partitions.length]).toEqual([id, 2])
    expect(follower.log.topics()[0]).toBe(topic)
    follower.clock.advance(5_000)
    expect(follower.log.topics()[0]).toBe(topic)
    follower.log.close()
    expect(driver.list('')).toEqual(names)
  })
})

describe('once the directory is gone', () => {
  it.each(['deleted', 'renamed', 'replaced'] as const)(
    'every partition is lost: %s',
    async (how) => {
      const directory = temporaryDirectory()
      const { log: writer } = await openLog(openDiskDriver(directory))
      await create(writer, 't', 2)
      await runProcedure(writer.close())
      const follower = await follow(openDiskDriver(directory))
      const topic = follower.log.topic('t')
      let told = 0
      topic?.partitions[0]?.onChange(() => (told += 1))
      follower.log.onTopicsChange(() => (told += 10))
      if (how === 'deleted') rmSync(directory, { recursive: true })
      else renameSync(directory, `${directory}-aside`)
      if (how === 'replaced') mkdirSync(directory)
      follower.clock.advance(50)
      expect(told).toBe(11)
      expect(topic?.partitions.map(({ end }) => end)).toEqual(['lost', 'lost'])
      expect(follower.log.isLost).toBe(true)
      expect(follower.log.loss).toMatchObject({ code: 'IO', cause: { code: 'ENOENT' } })
      expect(follower.log.topics()).toEqual([])
      follower.log.refresh()
      follower.log.close()
      rmSync(`${directory}-aside`, { recursive: true, force: true })
    },
  )

  it('has the settings in force at an append before it hears of the records', async () => {
    const { writer, follower } = await pair()
    await create(writer, 't')
    const partition = follower.log.topic('t')?.partitions[0]
    const written = partitionOf(writer, 't')
    const heard: [number, number | undefined][] = []
    partition?.onChange(() => heard.push([partition.logEndOffset, partition.config.retentionMs]))
    for (const retentionMs of [1_000, 2_000]) {
      follower.clock.advance(1_000) // What was changed long ago cannot hide a change.
      await runProcedure(writer.alterTopics([{ name: 't', config: { retentionMs } }]))
      appendMany(written, 1)
      writer.publisher?.publishNow(written)
      await follower.wake()
    }
    expect(heard).toEqual([
      [1, 1_000],
      [2, 2_000],
    ])
    follower.log.close()
    await runProcedure(writer.close())
  })
})
