/**
 * Administration of a group, over the engine and without members of its own: who is in the group is
 * told by the test.
 */
import { beforeEach, describe, expect, it } from 'vitest'
import { LogError } from '../../../src/errors/log-error.ts'
import {
  GroupAdministration,
  type AdministeredGroup,
  type GroupActivity,
} from '../../../src/client/groups/group-admin.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import { OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG } from '../../../src/log/internal-topics.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf } from '../../log/open-log.ts'

const RECORDS = 100

let driver: FaultDriver
let log: LogDirectory
let activity: GroupActivity | undefined

beforeEach(async () => {
  driver = new FaultDriver()
  log = (await openLog(driver)).log
  activity = undefined
  await runProcedure(log.createTopic('orders', { partitions: 2 }))
  await runProcedure(log.createTopic('audit', {}))
  await runProcedure(log.createTopic(OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG))
  appendMany(partitionOf(log, 'orders'), RECORDS)
  appendMany(partitionOf(log, 'orders', 1), RECORDS / 2)
  appendMany(partitionOf(log, 'audit'), RECORDS)
})

function admin(group: Partial<AdministeredGroup> = {}): GroupAdministration {
  const host = {
    offsets: log.offsets,
    checkOpen: () => undefined,
    writableOffsets: () => log.offsets,
    prepareOffsets: () => Promise.resolve(),
    findTopic: (name: string) => log.topic(name),
    damageFound: () => undefined,
  }
  const defaults = {
    id: 'billing',
    topics: () => [],
    autoOffsetReset: 'earliest',
    activity: () => activity,
    holderOf: () => undefined,
  } as const
  return new GroupAdministration(host, { ...defaults, ...group })
}

function commit(topic: string, partition: number, offset: number): void {
  log.offsets.commit('billing', [{ topic, partition, offset, leaderEpoch: -1, metadata: '' }])
}

async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  const error: unknown = await call.catch((reason: unknown) => reason)
  return LogError.is(error) ? error.code : undefined
}

const at = (topic: string, partition: number, offset: number): object => ({
  topic,
  partition,
  offset,
  ...(offset === 0 ? {} : { leaderEpoch: 0 }),
})

describe('describing a group', () => {
  it('without members shows what it committed and how far that is behind', () => {
    commit('orders', 0, 30)
    commit('orders', 1, 50)
    expect(admin().describe()).toEqual({
      id: 'billing',
      kind: 'consumer',
      state: 'Empty',
      members: [],
      committed: [at('orders', 0, 30), at('orders', 1, 50)],
      lag: {
        total: 70,
        partitions: [
          { topic: 'orders', partition: 0, lag: 70 },
          { topic: 'orders', partition: 1, lag: 0 },
        ],
      },
    })
  })

  it('with members shows who has what', () => {
    const members = [{ memberId: 'm', assignment: [{ topic: 'orders', partition: 0 }] }]
    activity = { state: 'Stable', members }
    expect(admin().describe()).toMatchObject({ state: 'Stable', members, committed: [] })
  })

  it('that is none says that it is dead', () => {
    const nothing = { state: 'Dead', members: [], committed: [], lag: { total: 0, partitions: [] } }
    expect(admin().describe()).toMatchObject(nothing)
    expect(admin().offsets()).toEqual([])
  })

  it('counts the lag of a partition without a commit from where the group would start', () => {
    commit('orders', 0, 90)
    expect(admin({ topics: () => ['audit'] }).lag().total).toBe(10 + 50 + 100)
    expect(admin({ topics: () => ['audit'], autoOffsetReset: 'latest' }).lag().total).toBe(10)
  })

  it('leaves out the lag of a topic that is gone', () => {
    commit('orders', 0, 90)
    expect(admin({ topics: () => ['unknown'] }).lag().total).toBe(10 + 50)
  })
})

describe('resetting offsets', () => {
  const orders = { topics: (): readonly string[] => ['orders'] }

  it.each([
    ['earliest', 'earliest', [0, 0]],
    ['latest', 'latest', [100, 50]],
    ['a time', { timestamp: 1_040 }, [40, 40]],
    ['a time as a Date', { timestamp: new Date(1_060) }, [60, 50]],
    ['what is asked for', { offsets: [{ topic: 'orders', partition: 1, offset: 7 }] }, [30, 7]],
    ['a shift forward', { shift: 5 }, [35]],
    ['a shift back beyond the start', { shift: -1_000 }, [0]],
    ['a shift beyond the end', { shift: 1_000 }, [100]],
  ] as const)('moves a group to %s', async (_, to, expected) => {
    commit('orders', 0, 30)
    const moved = await admin().resetOffsets(to)
    const offsets = admin().offsets()
    expect(offsets.map(({ offset }) => offset)).toEqual(expected)
    for (const one of moved) expect(offsets).toContainEqual(one)
    expect(log.offsets.get('billing', 'audit', 0)).toBeUndefined()
  })

  it('that is only tried says the same and changes nothing', async () => {
    commit('orders', 0, 30)
    const tried = await admin().resetOffsets('latest', { dryRun: true })
    expect(admin().offsets()).toEqual([at('orders', 0, 30)])
    expect(await admin().resetOffsets('latest')).toEqual(tried)
  })

  it('is on stable storage when it resolves', async () => {
    commit('orders', 0, 30)
    await admin().resetOffsets({ shift: -10 })
    log = (await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later boot' })).log
    expect(admin().offsets()).toEqual([at('orders', 0, 20)])
  })

  it('seeds a group that never committed where the handle names topics', async () => {
    expect(await codeOf(admin().resetOffsets('latest'))).toBe('GROUP_NOT_FOUND')
    await admin(orders).resetOffsets('latest')
    expect(admin().offsets()).toEqual([at('orders', 0, 100), at('orders', 1, 50)])
  })

  it('is refused while the group has members', async () => {
    commit('orders', 0, 30)
    activity = { state: 'Stable', members: [{ memberId: 'm', assignment: [] }] }
    expect(await codeOf(admin().resetOffsets('earliest'))).toBe('GROUP_NOT_EMPTY')
    expect(await codeOf(admin().resetOffsets('earliest', { dryRun: true }))).toBe('GROUP_NOT_EMPTY')
    expect(admin().offsets()).toEqual([at('orders', 0, 30)])
  })

  it('keeps the metadata that is given', async () => {
    const given = { topic: 'orders', partition: 0, offset: 5, leaderEpoch: 0, metadata: 'by hand' }
    const offsets = [given]
    expect(await admin(orders).resetOffsets({ offsets })).toEqual([given])
    expect(admin().offsets()).toEqual([given])
  })

  it.each([
    [
      'an offset above the end',
      { topic: 'orders', partition: 0, offset: 101 },
      'OFFSET_OUT_OF_RANGE',
    ],
    ['an offset that is gone', { topic: 'orders', partition: 0, offset: 9 }, 'OFFSET_OUT_OF_RANGE'],
    [
      'a partition that is not there',
      { topic: 'orders', partition: 2, offset: 1 },
      'PARTITION_NOT_FOUND',
    ],
    ['a topic that is not there', { topic: 'none', partition: 0, offset: 1 }, 'TOPIC_NOT_FOUND'],
    ['a negative offset', { topic: 'orders', partition: 0, offset: -1 }, 'INVALID_ARGUMENT'],
    ['half an offset', { topic: 'orders', partition: 0, offset: 0.5 }, 'INVALID_ARGUMENT'],
    [
      'an epoch that cannot be',
      { topic: 'orders', partition: 0, offset: 20, leaderEpoch: 1.5 },
      'INVALID_ARGUMENT',
    ],
    [
      'metadata too long',
      { topic: 'orders', partition: 0, offset: 20, metadata: 'x'.repeat(4_097) },
      'INVALID_ARGUMENT',
    ],
  ])('to %s is refused, tried or not, and moves nothing', async (_, position, code) => {
    await runProcedure(log.deleteRecordsBefore(partitionOf(log, 'orders'), 10))
    commit('orders', 1, 30)
    const offsets = [{ topic: 'orders', partition: 1, offset: 1 }, position]
    for (const dryRun of [false, true]) {
      expect(await codeOf(admin(orders).resetOffsets({ offsets }, { dryRun }))).toBe(code)
    }
    expect(admin().offsets()).toEqual([at('orders', 1, 30)])
  })

  it.each([
    ['nothing', undefined],
    ['a word', 'beginning'],
    ['a number', 5],
    ['two places', { shift: 1, timestamp: 2 }],
    ['half a shift', { shift: 0.5 }],
    ['no time', { timestamp: 'yesterday' }],
    ['no list', { offsets: { topic: 'orders', partition: 0, offset: 1 } }],
    ['a list of nothing', { offsets: [null] }],
    ['a mistyped name', { offsets: [{ topic: 'orders', partition: 0, ofset: 1 }] }],
    [
      'a partition twice',
      { offsets: [1, 2].map((offset) => ({ topic: 'orders', partition: 0, offset })) },
    ],
  ])('to %s is INVALID_ARGUMENT', async (_, to) => {
    // `as`: that is what the call is for.
    const call = admin(orders).resetOffsets(to as 'earliest')
    expect(await codeOf(call)).toBe('INVALID_ARGUMENT')
  })
})

describe('deleting a group', () => {
  it('forgets its positions for good', async () => {
    commit('orders', 0, 30)
    await admin().delete()
    expect(admin().describe().state).toBe('Dead')
    expect(log.offsets.groups()).toEqual([])
    log = (await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later boot' })).log
    expect(log.offsets.groups()).toEqual([])
  })

  it('forgets them at the call, where no transaction is about to move them', async () => {
    commit('orders', 0, 30)
    const deleted = admin().delete()
    expect(admin().offsets()).toEqual([])
    await deleted
  })

  it('is refused while it has members, and where there is none', async () => {
    expect(await codeOf(admin().delete())).toBe('GROUP_NOT_FOUND')
    commit('orders', 0, 30)
    activity = { state: 'Stable', members: [{ memberId: 'm', assignment: [] }] }
    expect(await codeOf(admin().delete())).toBe('GROUP_NOT_EMPTY')
    expect(admin().offsets()).toHaveLength(1)
  })
})
