/**
 * That members of a group get what its assignor says, whichever that is, and that one of the user's
 * which fails takes nothing from anybody.
 */
import { describe, expect, it } from 'vitest'
import type { Assignor, ConsumerGroupOptions } from '../../../src/client/group-types.ts'
import { refusal, rejection } from '../refusal.ts'
import { groupLog, places, settle } from './group-log.ts'

/** Gives all to the member that joined first, or fails. */
function firstTakesAll(): { readonly assignor: Assignor; readonly mood: { fails: boolean } } {
  const mood = { fails: false }
  const assignor: Assignor = {
    name: 'first takes all',
    assign: (members, partitions) => {
      const [first] = members
      if (mood.fails || first === undefined) return new Map([['nobody', partitions]])
      return new Map([[first.memberId, partitions]])
    },
  }
  return { assignor, mood }
}

describe('the assignor of a group', () => {
  it.each<[ConsumerGroupOptions['assignor'], readonly string[]]>([
    ['range', ['t-0 t-1', 't-2']],
    ['roundrobin', ['t-0 t-2', 't-1']],
    ['sticky', ['t-0 t-1', 't-2']],
    ['cooperative-sticky', ['t-0 t-1', 't-2']],
    [undefined, ['t-0 t-1', 't-2']],
  ])(
    '%s divides the partitions among two who join one after the other',
    async (assignor, shares) => {
      const { log } = await groupLog('memory', { partitions: 3 })
      const group = log.consumerGroup('g', { topics: ['t'], assignor })
      const members = [await group.join(), await group.join()]
      await Promise.all(members.map((member) => member.ready()))
      const owned = members.map(({ assignment }) =>
        assignment.map(({ topic, partition }) => `${topic}-${partition}`).join(' '),
      )
      expect(owned).toEqual(shares)
    },
  )

  it("may be the user's own, which is asked with what members have", async () => {
    const { log } = await groupLog('memory', { partitions: 2, records: 1 })
    const { assignor } = firstTakesAll()
    const group = log.consumerGroup('g', { topics: ['t'], assignor })
    const first = await group.join()
    const second = await group.join()
    expect(second.assignment).toEqual([])
    expect(places(await first.poll())).toEqual(['0:0', '1:0'])
    await first.leave()
    await second.ready()
    expect(second.assignment).toHaveLength(2)
  })

  it('that fails refuses who joins, and leaves the others what they have', async () => {
    const { log } = await groupLog('memory', { partitions: 2, records: 1 })
    const { assignor, mood } = firstTakesAll()
    const group = log.consumerGroup('g', { topics: ['t'], assignor })
    const first = await group.join()
    mood.fails = true
    const error = await rejection(group.join())
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ assignor: 'first takes all', memberId: 'nobody' })
    expect(group.describe()).toMatchObject({ state: 'Stable', members: [{ assignment: [{}, {}] }] })
    expect(places(await first.poll())).toEqual(['0:0', '1:0'])
    mood.fails = false
    const second = await group.join()
    await second.leave()
    expect(first.assignment).toHaveLength(2)
  })

  it('that fails when partitions are added is reported, and asked again with the next change', async () => {
    const { log, topic, warnings } = await groupLog('memory', { partitions: 1 })
    const { assignor, mood } = firstTakesAll()
    const group = log.consumerGroup('g', { topics: ['t'], assignor })
    const member = await group.join()
    mood.fails = true
    await topic.addPartitions(2)
    expect(warnings.map(({ code }) => code)).toEqual(['HOUSEKEEPING_FAILED'])
    expect(member.assignment).toHaveLength(1)
    mood.fails = false
    await topic.addPartitions(3)
    await settle()
    expect(member.assignment).toHaveLength(3)
  })

  it('is known by its name to the handles of a group', async () => {
    const { log } = await groupLog('memory')
    const options = { topics: ['t'] }
    const group = log.consumerGroup('g', { ...options, assignor: firstTakesAll().assignor })
    await group.join()
    const again = log.consumerGroup('g', { ...options, assignor: firstTakesAll().assignor })
    await again.join()
    expect(group.describe().members).toHaveLength(2)
    const other = refusal(() => log.consumerGroup('g', { ...options, assignor: 'range' }))
    expect(other.code).toBe('CONFIG_MISMATCH')
  })
})
