/**
 * What the files of a log's own directory say of its topics and partitions, and what follows where
 * they and the folders do not agree: by us alone, or by a broker that had the directory.
 */
import { describe, expect, it } from 'vitest'
import { DirectoryEvidence, type SettledTopics } from '../../src/log/directory-evidence.ts'
import { writeCleanMarker } from '../../src/storage/clean-marker.ts'
import { ControlFile } from '../../src/storage/control-file.ts'
import {
  emptyMetadata,
  type LogMetadata,
  METADATA_FILE,
  PREVIOUS_METADATA_FILE,
  type TopicMetadata,
  writeMetadata,
} from '../../src/storage/metadata-file.ts'
import { formatPartitionMetadata } from '../../src/storage/partition-metadata.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { formatTopicId } from '../../src/storage/topic-id.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { overwrite } from './tampering.ts'

const BOOT = 'boot'
const idOf = (byte: number): string => formatTopicId(Buffer.alloc(16, byte))
const [OWN, OTHER, NEW] = [idOf(1), idOf(2), idOf(3)] as const

/** A topic of so many partitions. */
function topic(partitions: number = 1, id: string = OWN): TopicMetadata {
  return { id, partitions, config: { segmentBytes: 4096 } }
}

interface Directory {
  readonly topics?: Readonly<Record<string, TopicMetadata>>
  readonly deleting?: LogMetadata['deleting']
  /** By folder: the id in it, null for none; with data, unless told. */
  readonly folders?: Readonly<Record<string, { id: string | null; isEmpty?: boolean }>>
  /** A broker has had it, and checkpointed these partitions. */
  readonly byBroker?: readonly string[]
  /** metadata.json is damaged: the one before it counts. */
  readonly isPrevious?: boolean
}

async function directory(of: Directory): Promise<FaultDriver> {
  const driver = new FaultDriver()
  if (of.topics !== undefined) {
    const topics = new Map(Object.entries(of.topics))
    const metadata = { ...emptyMetadata(), topics, deleting: of.deleting ?? [] }
    await runProcedure(writeMetadata(driver, metadata))
    if (of.isPrevious === true) {
      await runProcedure(writeMetadata(driver, emptyMetadata()))
      overwrite(driver, METADATA_FILE, Buffer.from('{'))
    }
  }
  for (const [name, { id, isEmpty }] of Object.entries(of.folders ?? {})) {
    driver.createDirectory(name)
    const log = Buffer.from(isEmpty === true ? '' : 'data')
    overwrite(driver, `${name}/00000000000000000000.log`, log)
    if (id !== null) overwrite(driver, `${name}/partition.metadata`, formatPartitionMetadata(id))
  }
  if (of.byBroker !== undefined) {
    overwrite(driver, 'replication-offset-checkpoint', Buffer.from('0\n0\n'))
    const lines = of.byBroker.map((name) => `${name.replace(/-(\d+)$/, ' $1')} 5\n`)
    checkpoint(driver, 'recovery-point-offset-checkpoint', lines)
  }
  return driver
}

function checkpoint(driver: FaultDriver, name: string, lines: readonly string[]): void {
  overwrite(driver, name, Buffer.from(`0\n${lines.length}\n${lines.join('')}`))
}

function settled(driver: FaultDriver): SettledTopics {
  return new DirectoryEvidence(driver, BOOT).settleTopics(() => NEW)
}

/** Name, id, partitions, and whether it was taken in. */
function topicsOf({ metadata }: SettledTopics): readonly (readonly unknown[])[] {
  return [...metadata.topics].map(([name, { id, partitions, adopted }]) => [
    name,
    id,
    partitions,
    adopted === true,
  ])
}

describe('topics that metadata and folders agree on', () => {
  it('are as metadata lists them, and nothing is written', async () => {
    const folders = { 't-0': { id: OWN }, 't-1': { id: OWN, isEmpty: true } }
    const found = settled(await directory({ topics: { t: topic(2) }, folders }))
    expect(topicsOf(found)).toEqual([['t', OWN, 2, false]])
    expect(found).toMatchObject({ isChanged: false, setAside: [] })
    expect(found.adopted.size).toBe(0)
    expect(found.metadata.topics.get('t')?.config).toEqual({ segmentBytes: 4096 })
  })

  it('stay where their folders are missing, or name another topic', async () => {
    const lost = settled(await directory({ topics: { t: topic(2) } }))
    expect([topicsOf(lost), lost.isChanged]).toEqual([[['t', OWN, 2, false]], false])
    const folders = { 't-0': { id: OTHER } }
    const other = settled(await directory({ topics: { t: topic() }, folders }))
    expect([topicsOf(other), other.isChanged]).toEqual([[['t', OWN, 1, false]], false])
  })
})

describe('folders that no topic lists', () => {
  it('are taken in with data, under their own id or a new one', async () => {
    const folders = { 'u-0': { id: OTHER }, 'v-2': { id: null } }
    const found = settled(await directory({ topics: {}, folders }))
    expect(topicsOf(found)).toEqual([
      ['u', OTHER, 1, true],
      ['v', NEW, 3, true],
    ])
    expect(found).toMatchObject({ isChanged: true, setAside: [] })
    expect([...found.adopted]).toEqual(['u', 'v'])
    expect(found.metadata.topics.get('v')?.config).toEqual({})
  })

  it('add partitions to the topic that they are of, which keeps what it has', async () => {
    const folders = { 't-0': { id: OWN }, 't-3': { id: OWN }, 't-1': { id: OWN } }
    const found = settled(await directory({ topics: { t: topic() }, folders }))
    expect(topicsOf(found)).toEqual([['t', OWN, 4, true]])
    expect(found.metadata.topics.get('t')?.config).toEqual({ segmentBytes: 4096 })
    const listed = settled(
      await directory({ topics: { t: topic(2) }, folders: { 't-2': { id: OWN } } }),
    )
    expect(topicsOf(listed)).toEqual([['t', OWN, 3, true]])
  })

  it('are set aside where they are empty, or of a topic that is being deleted', async () => {
    const folders = {
      't-1': { id: null, isEmpty: true },
      'u-0': { id: OTHER, isEmpty: true },
      'v-0': { id: OTHER },
    }
    const deleting = [{ id: OTHER, name: 'v', partitions: 1 }]
    const driver = await directory({ topics: { t: topic() }, deleting, folders })
    // Somebody has worked in it since it was made.
    overwrite(driver, 't-1/00000000000000000007.snapshot', Buffer.from('state'))
    const found = settled(driver)
    expect(found.setAside.map(({ folder, state }) => [folder.directory, state])).toEqual([
      ['t-1', 'stray'],
      ['u-0', 'delete'],
      ['v-0', 'delete'],
    ])
    expect(topicsOf(found)).toEqual([['t', OWN, 1, false]])
    expect(found.isChanged).toBe(false)
  })

  it('are taken in empty too where metadata may be old, or a broker made them', async () => {
    const folders = { 'u-0': { id: OTHER, isEmpty: true } }
    const old = settled(await directory({ topics: {}, folders, isPrevious: true }))
    expect(topicsOf(old)).toEqual([['u', OTHER, 1, true]])
    const brokers = settled(await directory({ topics: {}, folders, byBroker: ['u-0'] }))
    expect([topicsOf(brokers), brokers.isChanged]).toEqual([[['u', OTHER, 1, true]], true])
    const none = settled(await directory({ folders }))
    expect([topicsOf(none), none.isChanged]).toEqual([[['u', OTHER, 1, true]], true])
  })
})

describe('topics of metadata that may be old', () => {
  const isPrevious = true

  it('are gone where they have no folder: they were deleted since', async () => {
    const found = settled(await directory({ topics: { t: topic() }, isPrevious }))
    expect([topicsOf(found), found.isChanged]).toEqual([[], true])
  })

  it('are the same ones where a folder says so, or says nothing', async () => {
    for (const id of [OWN, null]) {
      const folders = { 't-0': { id }, 't-1': { id: OTHER } }
      const found = settled(await directory({ topics: { t: topic(2) }, folders, isPrevious }))
      expect([topicsOf(found), found.isChanged]).toEqual([[['t', OWN, 2, false]], true])
    }
  })

  it('are others where every folder says so: created anew under the name', async () => {
    const folders = { 't-0': { id: OTHER }, 't-1': { id: OTHER } }
    const found = settled(await directory({ topics: { t: topic(3) }, folders, isPrevious }))
    expect(topicsOf(found)).toEqual([['t', OTHER, 2, true]])
  })
})

describe('topics of a directory that a broker had', () => {
  it('are gone where the broker knows no partition of them, and there is no folder', async () => {
    const topics = { kept: topic(2), gone: topic(2, OTHER) }
    const found = settled(await directory({ topics, byBroker: ['kept-1'] }))
    expect([topicsOf(found), found.isChanged]).toEqual([[['kept', OWN, 2, false]], true])
    const folders = { 'gone-0': { id: OTHER } }
    const there = settled(await directory({ topics, folders, byBroker: ['kept-1'] }))
    expect(topicsOf(there).map(([name]) => name)).toEqual(['kept', 'gone'])
  })

  it('are others where every folder says so', async () => {
    const folders = { 't-0': { id: OTHER } }
    const found = settled(await directory({ topics: { t: topic() }, folders, byBroker: ['t-0'] }))
    expect(topicsOf(found)).toEqual([['t', OTHER, 1, true]])
  })

  it('may have been compacted since the metadata that is left was written', async () => {
    const compact = { ...topic(), config: { cleanupPolicy: 'compact,delete' } }
    const topics = { compact, __consumer_offsets: topic(1, OTHER), t: topic(1, NEW) }
    const folders = {
      'compact-0': { id: OWN },
      '__consumer_offsets-0': { id: OTHER },
      't-0': { id: NEW },
    }
    const flagsOf = ({ metadata }: SettledTopics): readonly (readonly unknown[])[] =>
      [...metadata.topics].map(([name, { compacted }]) => [name, compacted])
    const lost = settled(await directory({ topics, folders, isPrevious: true }))
    expect(flagsOf(lost)).toEqual([
      ['compact', true],
      ['__consumer_offsets', true],
      ['t', undefined],
    ])
    const current = settled(await directory({ topics, folders }))
    expect(flagsOf(current).map(([, compacted]) => compacted)).toEqual(Array(3).fill(undefined))
  })

  it('may have gaps, as those that were taken in', async () => {
    const own = new DirectoryEvidence(await directory({ topics: {} }), BOOT)
    expect(own.rulesOf(topic())).toEqual({ isOwn: true, isGapless: true })
    const compacted = { ...topic(), compacted: true }
    expect(own.rulesOf(compacted)).toEqual({ isOwn: true, isGapless: false })
    expect(own.rulesOf({ ...compacted, adopted: true }).isOwn).toBe(false)
    expect(own.rulesOf({ ...topic(), adopted: true }).isGapless).toBe(false)
    expect(own.rulesOf({ ...topic(), adopted: false }).isGapless).toBe(true)
    const brokers = new DirectoryEvidence(await directory({ topics: {}, byBroker: [] }), BOOT)
    expect(brokers.rulesOf(topic())).toEqual({ isOwn: false, isGapless: false })
  })
})

describe('what is known of a partition', () => {
  const described = {
    topic: 't',
    topicId: OWN,
    partition: 1,
    logStartOffset: 4,
    logEndOffset: 9,
    producers: null,
    segments: [],
  }

  function published(driver: FaultDriver, bootId: string | null): void {
    const control = ControlFile.open(driver, { writerGeneration: 1, bootId, pid: 1 })
    control.publish(control.slotFor(Buffer.alloc(16, 1), 1), {
      layoutEpoch: 0,
      logStartOffset: 2,
      logEndOffset: 8,
      highWatermark: 8,
      lastStableOffset: 8,
      durableOffset: 6,
    })
    control.close()
  }

  it('is nothing where no file speaks of it', async () => {
    const evidence = new DirectoryEvidence(await directory({ topics: {} }), BOOT)
    expect(evidence.of('t', OWN, 1)).toEqual({
      described: undefined,
      isBrokerClean: false,
      isBrokers: false,
      checkpointedPoint: 0,
      logStartOffset: null,
      published: undefined,
      durableBefore: 0,
    })
  })

  it('is what the marker, the checkpoints and the control file say of it and no other', async () => {
    const driver = await directory({ topics: {} })
    checkpoint(driver, 'recovery-point-offset-checkpoint', ['t 1 7\n', 't 0 99\n'])
    checkpoint(driver, 'log-start-offset-checkpoint', ['t 1 3\n'])
    published(driver, BOOT)
    const evidence = new DirectoryEvidence(driver, BOOT)
    expect(evidence.of('t', OWN, 1)).toMatchObject({
      described: undefined,
      checkpointedPoint: 7,
      logStartOffset: 3,
      published: { logEndOffset: 8, durableOffset: 6 },
    })
    expect(evidence.of('t', OWN, 2)).toMatchObject({ checkpointedPoint: 0, logStartOffset: 0 })
    expect(evidence.of('t', OTHER, 1).published).toBeUndefined()
    await runProcedure(writeCleanMarker(driver, { partitions: [described] }))
    const closed = new DirectoryEvidence(driver, BOOT)
    expect(closed.of('t', OWN, 1)).toMatchObject({ described, logStartOffset: 4 })
    expect(closed.of('t', OTHER, 1).described).toBeUndefined()
    expect(closed.of('t', OWN, 0).described).toBeUndefined()
  })

  it('is no watermark of another boot, or of one that nobody can tell', async () => {
    for (const [written, now, isKnown] of [
      [BOOT, BOOT, true],
      [BOOT, 'later', false],
      [BOOT, null, false],
      [null, BOOT, false],
      [null, null, false],
    ] as const) {
      const driver = await directory({ topics: {} })
      published(driver, written)
      const known = new DirectoryEvidence(driver, now).of('t', OWN, 1)
      expect(known.published !== undefined).toBe(isKnown)
      // A start that it had once it has for ever.
      expect(known.logStartOffset).toBe(2)
    }
  })

  it('is that a broker had it, and whether it closed it', async () => {
    const driver = await directory({ topics: {}, byBroker: ['t-1'] })
    const evidence = new DirectoryEvidence(driver, BOOT)
    expect(evidence.of('t', OWN, 1)).toMatchObject({
      isBrokers: true,
      isBrokerClean: false,
      checkpointedPoint: 5,
    })
    overwrite(driver, '.kafka_cleanshutdown', Buffer.from('{"version":0,"brokerEpoch":7}'))
    const closed = new DirectoryEvidence(driver, BOOT).of('t', OWN, 1)
    expect(closed).toMatchObject({ isBrokers: true, isBrokerClean: true, described: undefined })
  })
})

describe('files that say nothing', () => {
  it('are told of, where they are there', async () => {
    const unusableIn = (driver: FaultDriver): readonly string[] =>
      new DirectoryEvidence(driver, BOOT).unusable
    expect(unusableIn(await directory({}))).toEqual([])
    expect(unusableIn(await directory({ topics: {} }))).toEqual([])
    const driver = await directory({ topics: {}, isPrevious: true })
    expect(unusableIn(driver)).toEqual([METADATA_FILE])
    overwrite(driver, 'log-start-offset-checkpoint', Buffer.from('?'))
    expect(unusableIn(driver)).toEqual([METADATA_FILE, 'log-start-offset-checkpoint'])
    overwrite(driver, PREVIOUS_METADATA_FILE, Buffer.from('{'))
    expect(unusableIn(driver)).toContain(PREVIOUS_METADATA_FILE)
    await driver.unlink(METADATA_FILE)
    expect(unusableIn(driver)).toEqual([PREVIOUS_METADATA_FILE, 'log-start-offset-checkpoint'])
  })
})
