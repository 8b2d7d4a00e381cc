/**
 * Opening one partition by what is known of it: as the clean marker describes it, by recovery, or
 * anew where its folder is gone; and which leader epoch it goes on with.
 */
import { describe, expect, it } from 'vitest'
import { LeaderEpochs } from '../../src/log/leader-epochs.ts'
import { type OpenedPartition, openPartition } from '../../src/log/partition-open.ts'
import type { PartitionEvidence } from '../../src/log/partition-evidence.ts'
import type { CleanPartition } from '../../src/storage/clean-marker.ts'
import type { PublishedPartition } from '../../src/storage/control-slot.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { emptyContents } from '../../src/storage/segment-contents.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { at, batchBytes, CONFIG, folder } from './recovered-partition.ts'
import { broken } from './stored-batches.ts'
import { overwrite, segmentFile } from './tampering.ts'

const NONE = Buffer.alloc(0)
const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

const NOTHING_KNOWN: PartitionEvidence = {
  described: undefined,
  isBrokerClean: false,
  isBrokers: false,
  checkpointedPoint: 0,
  logStartOffset: 0,
  published: undefined,
  durableBefore: 0,
}

async function open(
  driver: FaultDriver,
  evidence: Partial<PartitionEvidence> = {},
  isGapless: boolean = true,
): Promise<OpenedPartition> {
  const known = {
    topic: 't',
    topicId: TOPIC_ID,
    partition: 0,
    config: CONFIG,
    isGapless,
    isOwn: isGapless,
  }
  return await runProcedure(openPartition(driver, known, { ...NOTHING_KNOWN, ...evidence }))
}

/** A folder with these epochs, besides what it has. */
async function withEpochs(
  driver: FaultDriver,
  directory: string,
  ...epochs: readonly (readonly [number, number])[]
): Promise<FaultDriver> {
  const stored = LeaderEpochs.load(driver, directory)
  for (const [epoch, offset] of epochs) stored.assign(epoch, offset)
  await runProcedure(stored.save())
  await driver.flushDirectory('')
  return driver
}

/** Two segments, with epochs, as a clean close leaves them. */
async function closed(): Promise<FaultDriver> {
  const driver = await withEpochs(folder({ 3: at(3, 4), 5: at(5) }), 't-0', [2, 3])
  for (const base of [3, 5]) {
    for (const suffix of ['.index', '.timeindex'] as const) {
      overwrite(driver, segmentFile(base, suffix), NONE)
    }
  }
  return driver
}

const described: CleanPartition = {
  topic: 't',
  topicId: TOPIC_ID,
  partition: 0,
  logStartOffset: 3,
  logEndOffset: 6,
  producers: null,
  segments: [
    { ...emptyContents(3), baseOffset: 3, sizeBytes: 2 * batchBytes, nextOffset: 5 },
    { ...emptyContents(5), baseOffset: 5, sizeBytes: batchBytes, nextOffset: 6 },
  ],
}

function published(logEndOffset: number, durableOffset: number = logEndOffset): PublishedPartition {
  return {
    topicId: TOPIC_ID,
    partition: 0,
    writerGeneration: 1,
    layoutEpoch: 0,
    logStartOffset: 0,
    logEndOffset,
    highWatermark: logEndOffset,
    lastStableOffset: logEndOffset,
    durableOffset,
  }
}

const NOTHING_DONE = {
  topic: 't',
  partition: 0,
  cutBytes: 0,
  cutAtOffset: null,
  rebuiltIndexes: 0,
  damage: [],
}

describe('a partition that was closed', () => {
  it('is taken as the marker describes it', async () => {
    const driver = await closed()
    const { state, recovery } = await open(driver, { described, logStartOffset: 4 })
    expect(recovery).toEqual(NOTHING_DONE)
    expect(state).toMatchObject({ logStartOffset: 4, durableOffset: 6, directory: 't-0' })
    expect(state.epochs.latest).toBe(2)
    expect([...state.segments].map(({ isSealed, sizeBytes }) => [isSealed, sizeBytes])).toEqual([
      [true, 2 * batchBytes],
      [false, batchBytes],
    ])
  })

  it('starts with its first segment where nobody knows where else', async () => {
    const unknown = await open(await closed(), { described, logStartOffset: null })
    expect(unknown.state.logStartOffset).toBe(3)
    const lower = await open(await closed(), { described, logStartOffset: 1 })
    expect(lower.state.logStartOffset).toBe(1)
    const compacted = await open(await closed(), { described, logStartOffset: 1 }, false)
    expect(compacted.state.logStartOffset).toBe(3)
    const later = await open(await closed(), { described, logStartOffset: 4 }, false)
    expect(later.state.logStartOffset).toBe(4)
  })

  it('is taken so beside an empty next segment, which a roll that was stopped may leave', async () => {
    const driver = await closed()
    overwrite(driver, segmentFile(6), NONE)
    const { state } = await open(driver, { described })
    expect([state.epochs.latest, state.segments.active.baseOffset]).toEqual([2, 5])
    // An empty segment that the marker knows of is no such one.
    const rolled = await closed()
    for (const suffix of ['.log', '.index', '.timeindex'] as const) {
      overwrite(rolled, segmentFile(6, suffix), NONE)
    }
    const empty = { ...emptyContents(6), baseOffset: 6 }
    const segments = [...described.segments, empty]
    const both = await open(rolled, { described: { ...described, segments } })
    expect([both.state.epochs.latest, both.state.segments.active.baseOffset]).toEqual([2, 6])
  })

  it('is recovered where an index file is missing: a reader would have to wait for it', async () => {
    for (const suffix of ['.index', '.timeindex'] as const) {
      const driver = await closed()
      await driver.unlink(segmentFile(5, suffix))
      const { state } = await open(driver, { described })
      expect(state.epochs.latest).toBeGreaterThan(2)
      expect(state.segments.active.nextOffset).toBe(described.logEndOffset)
      expect(driver.status(segmentFile(5, suffix))).toBeDefined()
    }
  })

  it.each([
    ['a segment more', (driver: FaultDriver) => overwrite(driver, segmentFile(7), NONE)],
    [
      'a next segment',
      (driver: FaultDriver) => overwrite(driver, segmentFile(6), at(6)[0] ?? NONE),
    ],
    ['another size', (driver: FaultDriver) => overwrite(driver, segmentFile(5), NONE)],
    [
      'a segment of another name',
      (driver: FaultDriver) => driver.rename(segmentFile(5), segmentFile(6)),
    ],
    [
      'no epochs',
      (driver: FaultDriver) => overwrite(driver, 't-0/leader-epoch-checkpoint', Buffer.from('?')),
    ],
  ])('is recovered where its folder has %s', async (_, change) => {
    const driver = await closed()
    change(driver)
    const { state } = await open(driver, { described, logStartOffset: 3 })
    // As after any stop that was not clean.
    expect(state.epochs.latest).toBeGreaterThan(2)
    expect(state.segments.active.nextOffset).toBeGreaterThanOrEqual(6)
    for (const segment of state.segments) segment.close()
    // The marker's word on what was there counts all the same, and the epoch is on the disk.
    const left = driver.powerCut(new SeededRandom(1))
    expect(LeaderEpochs.load(left, 't-0').latest).toBe(state.epochs.latest)
  })

  it('is told of where its epochs cannot be read, beside whatever else was found', async () => {
    const driver = folder({ 0: at(0) })
    overwrite(driver, 't-0/leader-epoch-checkpoint', Buffer.from('?'))
    const { state, recovery } = await open(driver, { checkpointedPoint: 3, isBrokerClean: true })
    expect(recovery).toMatchObject({ topic: 't', partition: 0, cutAtOffset: null })
    expect(recovery.damage).toMatchObject([
      { firstOffset: 1, lastOffset: 2 },
      { topic: 't', partition: 0, file: 't-0/leader-epoch-checkpoint', firstOffset: null },
    ])
    expect(state.epochs.latest).toBe(1)
  })

  it('is recovered where nothing but an empty segment is left of it', async () => {
    const driver = await withEpochs(folder({ 6: [] }), 't-0', [2, 3])
    const { state, recovery } = await open(driver, { described, logStartOffset: 3 })
    expect(recovery.damage).toMatchObject([{ firstOffset: 3, lastOffset: 5 }])
    expect(state.epochs.latest).toBe(3)
  })

  it('is recovered where the marker knows of no segment', async () => {
    const driver = await withEpochs(folder({}), 't-0', [2, 0])
    const none = { ...described, logStartOffset: 0, logEndOffset: 0, segments: [] }
    const { state } = await open(driver, { described: none })
    expect([state.segments.active.nextOffset, state.epochs.latest]).toEqual([0, 3])
  })
})

describe('the leader epoch after a stop that was not clean', () => {
  const whole = { 0: at(0, 1) }
  const epochAfter = async (
    evidence: Partial<PartitionEvidence>,
    segments: Parameters<typeof folder>[0] = whole,
  ): Promise<number> => {
    const driver = await withEpochs(folder(segments), 't-0', [4, 0])
    return (await open(driver, evidence)).state.epochs.latest
  }

  it('is a new one, which is on stable storage', async () => {
    expect(await epochAfter({})).toBe(5)
    expect(await epochAfter({ published: published(2) })).toBe(5)
    expect(await epochAfter({ isBrokers: true })).toBe(5)
    const driver = await withEpochs(folder(whole), 't-0', [4, 0])
    const { state } = await open(driver)
    expect(state.epochs.at(1)).toBe(4)
    expect(state.epochs.at(2)).toBe(5)
    expect(LeaderEpochs.load(driver.powerCut(new SeededRandom(3)), 't-0').latest).toBe(5)
  })

  it('stays what it is where a cluster counts along, and nothing can be gone', async () => {
    expect(await epochAfter({ isBrokerClean: true })).toBe(4)
    expect(await epochAfter({ isBrokers: true, published: published(2) })).toBe(4)
  })

  it('is a new one there too, where something was found', async () => {
    const [first = Buffer.alloc(0), second = first] = at(0, 1)
    const torn = { 0: [first, broken(second)] }
    expect(await epochAfter({ isBrokerClean: true }, torn)).toBe(5)
    expect(await epochAfter({ isBrokerClean: true, checkpointedPoint: 9 })).toBe(5)
    // Its indexes are missing, and were on stable storage once.
    expect(await epochAfter({ isBrokerClean: true, checkpointedPoint: 2 })).toBe(5)
  })

  it('is above any that was used, though a cut forgets it', async () => {
    const [first = Buffer.alloc(0), second = first] = at(0, 1)
    const driver = await withEpochs(folder({ 0: [first, broken(second)] }), 't-0', [0, 0], [7, 1])
    const { state } = await open(driver)
    expect(state.epochs.latest).toBe(8)
    expect([state.epochs.at(0), state.epochs.at(1)]).toEqual([0, 8])
  })

  it('is above those of the batches, where the file is missing', async () => {
    const { state } = await open(folder({ 0: at(0, 1, 2) }), { isBrokerClean: true })
    expect(state.epochs.latest).toBe(2)
    const none = await open(folder({}), { isBrokerClean: true })
    expect(none.state.epochs.latest).toBe(0)
  })

  it('rises no more at the largest there is', async () => {
    const driver = await withEpochs(folder(whole), 't-0', [0x7fff_ffff, 0])
    expect((await open(driver)).state.epochs.latest).toBe(0x7fff_ffff)
  })
})

describe('what recovery is told', () => {
  it('is what the checkpoint, this boot and the marker say was synced', async () => {
    const lost = async (evidence: Partial<PartitionEvidence>): Promise<unknown> =>
      (await open(folder({ 0: at(0) }), evidence)).recovery.damage[0]?.lastOffset
    expect(await lost({ checkpointedPoint: 5 })).toBe(4)
    expect(await lost({ published: published(3) })).toBe(2)
    expect(await lost({ published: published(7, 3), checkpointedPoint: 5 })).toBe(6)
    expect(await lost({ described: { ...described, logEndOffset: 9 } })).toBe(8)
    expect(await lost({})).toBeUndefined()
  })
})

describe('a partition without its folder', () => {
  const missing = async (): Promise<FaultDriver> => {
    const driver = new FaultDriver()
    driver.createDirectory('other-0')
    return await withEpochs(driver, 'other-0', [6, 0])
  }

  it('goes on where it is known to have been, in an epoch above all others', async () => {
    for (const evidence of [
      { checkpointedPoint: 9 },
      { published: published(9, 5) },
      { described: { ...described, logEndOffset: 9 } },
    ]) {
      const driver = await missing()
      const { state, recovery } = await open(driver, { ...evidence, logStartOffset: 2 })
      expect(recovery).toEqual({
        ...NOTHING_DONE,
        damage: [
          {
            topic: 't',
            partition: 0,
            file: 't-0',
            position: 0,
            bytes: 0,
            firstOffset: 2,
            lastOffset: 8,
            reason: 'the folder is missing',
          },
        ],
      })
      expect(state).toMatchObject({ logStartOffset: 2, durableOffset: 9 })
      expect(state.segments.active.nextOffset).toBe(9)
      expect(state.epochs.latest).toBe(7)
      // All of it is on stable storage.
      const left = driver.powerCut(new SeededRandom(5))
      expect(left.status(segmentFile(9))?.sizeBytes).toBe(0)
      expect(LeaderEpochs.load(left, 't-0').latest).toBe(7)
    }
  })

  it('starts where it goes on, where offsets may be left out', async () => {
    const { state } = await open(await missing(), { checkpointedPoint: 9 }, false)
    expect(state.logStartOffset).toBe(9)
  })

  it('has lost no record where it had none', async () => {
    const { state, recovery } = await open(await missing(), { logStartOffset: 4 })
    expect(recovery.damage).toMatchObject([{ firstOffset: null, lastOffset: null }])
    expect([state.logStartOffset, state.durableOffset]).toEqual([4, 4])
    const unknown = await open(await missing(), { logStartOffset: null, checkpointedPoint: 1 })
    expect(unknown.recovery.damage).toMatchObject([{ firstOffset: 0, lastOffset: 0 }])
    expect(unknown.state.logStartOffset).toBe(0)
  })
})
