/**
 * Positions of consumer groups: what is committed is there, and is there again after the log was
 * opened anew; what cannot be committed changes nothing.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { OffsetCommit } from '../../src/log/committed-offsets.ts'
import { OFFSETS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { at, openGroups, RECORDS, reopened, shown } from './open-groups.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'

async function close(log: LogDirectory): Promise<void> {
  await runProcedure(log.close())
}

function codeOf(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (error) {
    if (LogError.is(error)) return error.code
    throw error
  }
}

describe('a committed offset', () => {
  it('is there at once, with all that was committed with it', async () => {
    const { offsets } = await openGroups(new FaultDriver(), new FakeClock(7_000))
    offsets.commit('billing', [{ ...at(12), metadata: 'until the twelfth ✓' }, at(3, 1)])
    expect(offsets.get('billing', 'orders', 0)).toEqual({
      offset: 12,
      leaderEpoch: 0,
      metadata: 'until the twelfth ✓',
      commitTimestampMs: 7_000,
    })
    expect(offsets.of('billing').map(({ offset }) => offset)).toEqual([12, 3])
    expect(offsets.groups()).toEqual(['billing'])
    expect(offsets.get('billing', 'audit', 0)).toBeUndefined()
    expect(offsets.of('unknown')).toEqual([])
  })

  it.each([1, 50])('is there after the log was opened anew, of %i partitions', async (count) => {
    const driver = new FaultDriver()
    const log = await openGroups(driver, new FakeClock(), { partitions: count })
    for (let group = 0; group < 20; group++) {
      log.offsets.commit(`group ${group}`, [at(group), { ...at(2 * group, 1), metadata: 'm' }])
      log.offsets.commit(`group ${group}`, [at(group + 1), at(group, 0, 'audit')])
    }
    const before = log.offsets.groups().map((groupId) => log.offsets.of(groupId))
    await close(log)
    const { offsets } = await openGroups(driver.processKill())
    expect(offsets.groups()).toHaveLength(20)
    expect(offsets.groups().map((groupId) => offsets.of(groupId))).toEqual(before)
  })

  it('survives a kill as soon as the call returned', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    offsets.commit('billing', [at(12)])
    const { offsets: again } = await openGroups(driver.processKill())
    expect(shown(again)).toEqual({ billing: ['orders-0@12'] })
  })
})

describe('committing', () => {
  it('again replaces what was there; in another partition it adds to it', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    offsets.commit('billing', [at(12), at(5, 0, 'audit')])
    offsets.commit('billing', [at(9), at(7, 1)])
    const expected = { billing: ['audit-0@5', 'orders-0@9', 'orders-1@7'] }
    expect(shown(offsets)).toEqual(expected)
    expect(await reopened(driver)).toEqual(expected)
  })

  it('nothing at all writes nothing', async () => {
    const log = await openGroups(new FaultDriver())
    log.offsets.commit('billing', [])
    expect(partitionOf(log, OFFSETS_TOPIC).logEndOffset).toBe(0)
    expect(log.offsets.groups()).toEqual([])
  })

  it('is one batch, or a few where one would be larger than the topic takes', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver, new FakeClock(), { maxMessageBytes: 400 })
    const commits = Array.from({ length: 20 }, (_, index) => ({
      ...at(index, index % 2),
      metadata: 'm',
    }))
    const { written } = log.offsets.commit('billing', commits)
    expect(written.offset).toBe(20)
    expect(await reopened(driver)).toEqual({ billing: ['orders-0@18', 'orders-1@19'] })
  })

  it('goes to the partition that a broker would look in', async () => {
    const log = await openGroups(new FaultDriver(), new FakeClock(), { partitions: 50 })
    log.offsets.commit('my-group', [at(1)])
    const written = log.topic(OFFSETS_TOPIC)?.partitions.filter((one) => one.logEndOffset > 0)
    expect(written?.map(({ partition }) => partition)).toEqual([12])
  })

  it.each<[string, Partial<OffsetCommit>, string]>([
    ['above the end', { offset: RECORDS + 1 }, 'OFFSET_OUT_OF_RANGE'],
    ['a negative offset', { offset: -1 }, 'INVALID_ARGUMENT'],
    ['half an offset', { offset: 1.5 }, 'INVALID_ARGUMENT'],
    ['in a topic that is not there', { topic: 'none' }, 'TOPIC_NOT_FOUND'],
    ['in a partition that is not there', { partition: 2 }, 'PARTITION_NOT_FOUND'],
    ['with long metadata', { metadata: 'ü'.repeat(2_049) }, 'INVALID_ARGUMENT'],
  ])('%s is refused, with all that would be committed with it', async (_, wrong, code) => {
    const log = await openGroups(new FaultDriver())
    log.offsets.commit('billing', [at(12)])
    expect(codeOf(() => log.offsets.commit('billing', [at(13), { ...at(14), ...wrong }]))).toBe(
      code,
    )
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@12'] })
    expect(partitionOf(log, OFFSETS_TOPIC).logEndOffset).toBe(1)
  })

  it('for a group whose name would be read as another one is refused', async () => {
    const { offsets } = await openGroups(new FaultDriver())
    for (const groupId of ['half a \ud800 pair', 'x'.repeat(0x8000)]) {
      expect(codeOf(() => offsets.commit(groupId, [at(1)]))).toBe('INVALID_ARGUMENT')
    }
    offsets.commit('an emoji 😀', [at(1)])
    expect(offsets.groups()).toEqual(['an emoji 😀'])
  })

  it('knows the epoch of the last record before the offset', async () => {
    const driver = new FaultDriver()
    await openGroups(driver)
    const log = await openGroups(driver.processKill())
    appendMany(partitionOf(log, 'orders'), 1)
    log.offsets.commit('billing', [at(RECORDS), at(0, 1)])
    expect(log.offsets.of('billing').map(({ leaderEpoch }) => leaderEpoch)).toEqual([0, -1])
    log.offsets.commit('billing', [at(RECORDS + 1)])
    expect(log.offsets.get('billing', 'orders', 0)?.leaderEpoch).toBe(1)
    // What the first epoch never had cannot have been read in it.
    const wrong = { ...at(RECORDS + 1), leaderEpoch: 0 }
    expect(codeOf(() => log.offsets.commit('billing', [wrong]))).toBe('OFFSET_OUT_OF_RANGE')
  })
})

describe('a commit that fails', () => {
  it.each(['ENOSPC', 'EIO'] as const)(
    'with %s changes nothing, and may be tried again',
    async (fault) => {
      const driver = new FaultDriver()
      const { offsets } = await openGroups(driver)
      offsets.commit('billing', [at(12)])
      driver.onCall = ({ action, path }) =>
        action === 'write' && path.startsWith(OFFSETS_TOPIC) ? fault : undefined
      const code = codeOf(() => offsets.commit('billing', [at(13)]))
      expect(code).toBe(fault === 'EIO' ? 'IO' : 'NO_SPACE')
      expect(codeOf(() => offsets.remove('billing'))).toBe(code)
      expect(codeOf(() => offsets.commit('other', [at(13)]))).toBe(code)
      driver.onCall = undefined
      expect(shown(offsets)).toEqual({ billing: ['orders-0@12'] })
      offsets.commit('billing', [at(14)])
      expect(await reopened(driver)).toEqual({ billing: ['orders-0@14'] })
    },
  )

  it('since the partition is read-only changes nothing', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    const position = offsets.commit('billing', [at(12)])
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith(OFFSETS_TOPIC) ? 'EIO' : undefined
    await expect(offsets.durable(position)).rejects.toMatchObject({ code: 'IO' })
    expect(codeOf(() => offsets.commit('billing', [at(13)]))).toBe('READ_ONLY')
    expect(shown(offsets)).toEqual({ billing: ['orders-0@12'] })
  })

  it('since the log is closed changes nothing', async () => {
    const log = await openGroups(new FaultDriver())
    const position = log.offsets.commit('billing', [at(12)])
    await close(log)
    expect(codeOf(() => log.offsets.commit('billing', [at(13)]))).toBe('CLOSED')
    await expect(log.offsets.durable(position)).resolves.toBeUndefined() // The close synced it.
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@12'] })
  })
})

describe('a durable commit', () => {
  it('syncs the data that it covers before itself', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    const synced: string[] = []
    driver.onCall = ({ action, path }) => {
      if (action === 'flush' && path.endsWith('.log')) synced.push(path.split('/')[0] ?? '')
      return undefined
    }
    await offsets.durable(offsets.commit('billing', [at(12), at(20, 1)]))
    expect(synced).toEqual(['orders-0', 'orders-1', `${OFFSETS_TOPIC}-0`])
    driver.onCall = undefined
    const { log } = await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later boot' })
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@12', 'orders-1@20'] })
    expect(partitionOf(log, 'orders', 1).logEndOffset).toBeGreaterThanOrEqual(20)
  })

  it('is not synced itself where its data could not be', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    const position = offsets.commit('billing', [at(12)])
    driver.onCall = ({ action, path }) =>
      action === 'flush' && path.startsWith('orders-0') ? 'EIO' : undefined
    await expect(offsets.durable(position)).rejects.toMatchObject({ code: 'IO' })
    driver.onCall = undefined
    const { log } = await openLog(driver.powerCut(undefined, 'none'), { bootId: 'later boot' })
    expect(shown(log.offsets)).toEqual({})
  })

  it('needs nothing of a topic that was deleted meanwhile', async () => {
    const log = await openGroups(new FaultDriver())
    const position = log.offsets.commit('billing', [at(12), at(3, 0, 'audit')])
    await runProcedure(log.deleteTopic('orders'))
    await log.offsets.durable(position)
    expect(shown(log.offsets)).toEqual({ billing: ['audit-0@3'] })
  })
})

describe('a group that is removed', () => {
  it('is gone after the log was opened anew, and may come back', async () => {
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver)
    offsets.commit('billing', [at(12), at(3, 1)])
    offsets.commit('other', [at(1)])
    offsets.remove('billing')
    expect(shown(offsets)).toEqual({ other: ['orders-0@1'] })
    const left = driver.processKill()
    const { offsets: again } = await openGroups(left)
    expect(shown(again)).toEqual({ other: ['orders-0@1'] })
    again.commit('billing', [at(2)])
    expect(await reopened(left)).toEqual({ billing: ['orders-0@2'], other: ['orders-0@1'] })
  })

  it('had nothing, and nothing is written', async () => {
    const log = await openGroups(new FaultDriver())
    await log.offsets.durable(log.offsets.remove('unknown'))
    expect(partitionOf(log, OFFSETS_TOPIC).logEndOffset).toBe(0)
  })
})

describe('positions expire', () => {
  const never = (): boolean => false

  it('when a group did nothing for that long while the log was open', async () => {
    const clock = new FakeClock()
    const driver = new FaultDriver()
    const { offsets } = await openGroups(driver, clock)
    offsets.commit('old', [at(1)])
    clock.advance(60)
    offsets.commit('new', [at(2)])
    clock.advance(39)
    expect(offsets.expire(100, never)).toEqual([])
    clock.advance(1)
    expect(offsets.expire(100, never)).toEqual(['old'])
    expect(await reopened(driver)).toEqual({ new: ['orders-0@2'] })
  })

  it('never by default', async () => {
    const clock = new FakeClock()
    const { offsets } = await openGroups(new FaultDriver(), clock)
    offsets.commit('old', [at(1)])
    clock.advance(1e12)
    expect(offsets.expire(-1, never)).toEqual([])
    expect(offsets.groups()).toEqual(['old'])
  })

  it('not while the log is closed', async () => {
    const clock = new FakeClock()
    const driver = new FaultDriver()
    const log = await openGroups(driver, clock)
    log.offsets.commit('old', [at(1)])
    await close(log)
    clock.advance(1e9)
    const { offsets } = await openGroups(driver.processKill(), clock)
    expect(offsets.expire(100, never)).toEqual([])
    clock.advance(100)
    expect(offsets.expire(100, never)).toEqual(['old'])
  })

  it('not while the group has members, and only long after the last one left', async () => {
    const clock = new FakeClock()
    const { offsets } = await openGroups(new FaultDriver(), clock)
    offsets.commit('busy', [at(1)])
    clock.advance(500)
    expect(offsets.expire(100, () => true)).toEqual([])
    clock.advance(99)
    offsets.becameEmpty('busy')
    clock.advance(99)
    expect(offsets.expire(100, never)).toEqual([])
    clock.advance(1)
    expect(offsets.expire(100, never)).toEqual(['busy'])
  })
})
