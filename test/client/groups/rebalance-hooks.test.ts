/**
 * That a member's hooks hear of each partition in pairs, however leaving, stalling and moving
 * coincide: once that it came, then once that it goes or is gone.
 */
import { describe, expect, it } from 'vitest'
import type { JoinOptions } from '../../../src/client/group-types.ts'
import { groupLog, settle } from './group-log.ts'

/** Hooks that note what they hear of; `onRevoked` waits for `go`, the others answer at once. */
function noting(): { heard: string[]; go: () => void; hooks: JoinOptions } {
  const heard: string[] = []
  let go = (): void => undefined
  const waiting = new Promise<void>((resolve) => {
    go = resolve
  })
  const note = (what: string, partitions: readonly { partition: number }[]): void => {
    heard.push(`${what} ${partitions.map(({ partition }) => partition).join(' ')}`)
  }
  return {
    heard,
    go,
    hooks: {
      onAssigned: (partitions) => note('assigned', partitions),
      onRevoked: async (partitions) => {
        note('revoked', partitions)
        await waiting
      },
      onLost: (partitions) => note('lost', partitions),
    },
  }
}

describe('the hooks of a member', () => {
  it('do not hear of partitions that come while it leaves', async () => {
    const { log } = await groupLog('memory', { partitions: 2 })
    const group = log.consumerGroup('g', { topics: ['t'] })
    const first = await group.join()
    const { heard, go, hooks } = noting()
    const second = await group.join(hooks)
    await second.ready()
    const leaving = second.leave()
    await first.leave()
    await settle()
    go()
    await leaving
    expect(heard).toEqual(['assigned 1', 'revoked 1'])
  })

  it('hear of a partition that is lost while onRevoked runs only that it is revoked', async () => {
    const { log, clock } = await groupLog('memory', { partitions: 2 })
    const group = log.consumerGroup('g', { topics: ['t'], maxPollIntervalMs: 1_000 })
    const { heard, go, hooks } = noting()
    const first = await group.join(hooks)
    const second = await group.join()
    expect(heard).toEqual(['assigned 0 1', 'revoked 1'])
    clock.advance(600)
    await second.poll({ timeoutMs: 0 })
    clock.advance(600)
    await settle()
    expect(heard).toEqual(['assigned 0 1', 'revoked 1'])
    go()
    await settle()
    expect(heard).toEqual(['assigned 0 1', 'revoked 1', 'lost 0'])
    expect(second.assignment).toHaveLength(2)
    await Promise.all([first.leave(), second.leave()])
    expect(heard).toEqual(['assigned 0 1', 'revoked 1', 'lost 0'])
  })
})
