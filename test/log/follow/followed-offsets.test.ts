/**
 * Positions of groups as somebody sees them who does not write them: whatever happens to the topic
 * of committed offsets between two looks, they are those that its writer has.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogError } from '../../../src/errors/log-error.ts'
import { OFFSETS_TOPIC } from '../../../src/log/internal-topics.ts'
import { FollowedOffsets } from '../../../src/log/follow/followed-offsets.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { StagedOffsets } from '../../../src/log/staged-offsets.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { appendOffsets, brokerValue, nextInTransaction } from '../broker-offsets.ts'
import { at, openGroups, shown } from '../open-groups.ts'
import { partitionOf } from '../open-log.ts'
import { flip } from '../tampering.ts'

const DELETE_RETENTION_MS = 1_000
const SMALL = {
  segmentBytes: 600,
  deleteRetentionMs: DELETE_RETENTION_MS,
  minCleanableDirtyRatio: 0,
}

function follow(
  log: LogDirectory,
  onlyDurable: boolean = false,
  damage: LogError[] = [],
): FollowedOffsets {
  return new FollowedOffsets({
    partitionsOf: (topic) => log.topic(topic)?.partitions,
    onlyDurable,
    damageFound: (error) => void damage.push(error),
  })
}

/** Compacts whatever can be. */
async function compact(log: LogDirectory): Promise<void> {
  for (const partition of log.topic(OFFSETS_TOPIC)?.partitions ?? [])
    await partition.makeDurable(partition.logEndOffset)
  await runProcedure(
    log.housekeeping.run({
      compaction: 'forced',
      cleanerBufferBytes: 1 << 20,
      cleanerMaxBytesPerSecond: Infinity,
      offsetsRetentionMs: -1,
      hasMembers: () => false,
      change: (begin) => runProcedure(begin()),
      warn: () => undefined,
    }),
  )
}

type Staged = { readonly staged: StagedOffsets; readonly producerId: number }

/** A log whose groups commit, beside somebody who follows them. */
class World {
  readonly log: LogDirectory
  readonly followed: FollowedOffsets
  readonly #clock: FakeClock
  readonly #open = new Map<string, Staged>()
  #producers = 0

  constructor(log: LogDirectory, clock: FakeClock) {
    this.log = log
    this.followed = follow(log)
    this.#clock = clock
  }

  static async open(partitions: number = 1): Promise<World> {
    const clock = new FakeClock()
    return new World(await openGroups(new FaultDriver(), clock, { ...SMALL, partitions }), clock)
  }

  /** Positions that do not count before `end`. */
  stage(groupId: string, partition: number, offset: number): void {
    if (this.#open.has(groupId)) return
    const producerId = this.#producers++
    const commits = [at(offset, partition)]
    const given = { groupId, commits, check: () => undefined, ended: () => undefined }
    const staged = this.log.offsets.stage([given], (log) => nextInTransaction(log, { producerId }))
    this.#open.set(groupId, { staged, producerId })
  }

  end(group: string, outcome: 'commit' | 'abort'): void {
    const open = this.#open.get(group)
    if (open === undefined) return
    this.#open.delete(group)
    const { staged, producerId } = open
    for (const { log } of staged.logs)
      log.appendMarker({ producerId, producerEpoch: 0, outcome, coordinatorEpoch: 0 })
    if (outcome === 'commit') staged.apply()
    else staged.drop()
  }

  remove(group: string): void {
    if (!this.#open.has(group)) this.log.offsets.remove(group)
  }

  /** Tombstones and markers that were compacted before may go. */
  later(): void {
    this.#clock.advance(DELETE_RETENTION_MS + 1)
  }

  /** What the follower shows, and what it has to. */
  shown(): readonly [unknown, unknown] {
    return [shown(this.followed), shown(this.log.offsets)]
  }
}

type Step = (world: World) => void | Promise<void>

const GROUP = fc.constantFrom('a', 'b', 'c')
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(GROUP, fc.nat(1), fc.nat(99))
      .map(([group, partition, offset]) => ({ log }: World) => {
        log.offsets.commit(group, [at(offset, partition)])
      }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(GROUP, fc.nat(1), fc.nat(99))
      .map((given) => (world: World) => world.stage(...given)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(GROUP, fc.constantFrom('commit' as const, 'abort' as const))
      .map((given) => (world: World) => world.end(...given)),
  },
  { weight: 1, arbitrary: GROUP.map((group) => (world: World) => world.remove(group)) },
  { weight: 2, arbitrary: fc.constant((world: World) => void world.followed.groups()) },
  { weight: 1, arbitrary: fc.constant((world: World) => world.later()) },
  { weight: 1, arbitrary: fc.constant(({ log }: World) => compact(log)) },
)

describe('positions that are followed', () => {
  it.each([1, 3])('are those of the writer, whatever it did, over %i partitions', async (count) => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { maxLength: 60 }), async (steps) => {
        const world = await World.open(count)
        for (const step of steps) await step(world)
        const [followed, written] = world.shown()
        expect(followed).toEqual(written)
      }),
    )
  })

  it('are none where nothing was ever committed', async () => {
    const { log } = await World.open()
    const followed = new FollowedOffsets({
      partitionsOf: () => undefined,
      onlyDurable: false,
      damageFound: () => undefined,
    })
    expect(followed.groups()).toEqual([])
    expect(followed.of('a')).toEqual([])
    expect(follow(log).of('a')).toEqual([])
  })

  it('are all that the writer knows of them', async () => {
    const { log, followed } = await World.open()
    log.offsets.commit('a', [{ ...at(12), metadata: 'until the twelfth' }, at(3, 0, 'audit')])
    expect(followed.of('a')).toEqual(log.offsets.of('a'))
    log.offsets.commit('a', [at(13)])
    expect(followed.of('a')).toEqual(log.offsets.of('a'))
  })

  it('of a transaction count from its marker on, whoever looked in between', async () => {
    const { log } = await World.open()
    const followed = follow(log)
    const positions = partitionOf(log, OFFSETS_TOPIC)
    appendOffsets(positions, [['a', 0, brokerValue(5)]], 'none', { producerId: 7 })
    expect(followed.groups()).toEqual([])
    appendOffsets(positions, [['b', 0, brokerValue(6)]])
    expect(followed.groups()).toEqual(['b'])
    appendOffsets(positions, 'commit', 'none', { producerId: 7 })
    expect(followed.groups()).toEqual(['a', 'b'])
  })

  it('that were taken back are gone, though compaction took what says so', async () => {
    const world = await World.open()
    const { log, followed } = world
    log.offsets.commit('a', [at(12)])
    expect(followed.groups()).toEqual(['a'])
    log.offsets.remove('a')
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < 20; count++) log.offsets.commit('b', [at(count)])
      await compact(log)
      world.later()
    }
    const { segments } = partitionOf(log, OFFSETS_TOPIC)
    expect(segments.first.sizeBytes, 'the tombstone is gone').toBeLessThan(600)
    expect(followed.groups()).toEqual(['b'])
  })

  it('end at what a power cut could not take, for who sees only that', async () => {
    const { log } = await World.open()
    const followed = follow(log, true)
    const { written } = log.offsets.commit('a', [at(12)])
    expect(followed.groups()).toEqual([])
    await written.log.makeDurable(written.offset)
    expect(followed.groups()).toEqual(['a'])
  })

  it('are those of the topic that there is now', async () => {
    const { log, followed } = await World.open()
    log.offsets.commit('a', [at(12)])
    expect(followed.groups()).toEqual(['a'])
    await runProcedure(log.deleteTopic(OFFSETS_TOPIC))
    expect(followed.groups()).toEqual([])
  })
})

describe('damage in the topic of committed offsets', () => {
  it('is told, and what lies behind it counts', async () => {
    const driver = new FaultDriver()
    const writer = await openGroups(driver)
    writer.offsets.commit('a', [at(12)])
    writer.offsets.commit('b', [at(13)])
    await runProcedure(writer.close())
    const left = driver.processKill()
    const folder = `${OFFSETS_TOPIC}-0`
    const [file = ''] = left.list(folder).filter((name) => name.endsWith('.log'))
    flip(left, `${folder}/${file}`, 80)
    const log = await openGroups(left)
    const damage: LogError[] = []
    const followed = follow(log, false, damage)
    expect(followed.groups()).toEqual(['b'])
    expect(damage.map(({ code }) => code)).toEqual(['CORRUPT'])
    expect(followed.groups()).toEqual(['b'])
    expect(damage).toHaveLength(1)
  })
})
