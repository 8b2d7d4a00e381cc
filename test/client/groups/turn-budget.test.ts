/**
 * Handlers that never wait do not keep others from their turn.
 */
import { describe, expect, it } from 'vitest'
import { TurnBudget } from '../../../src/client/groups/turn-budget.ts'
import { afterTurn } from '../../../src/log/clock.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { HeldHandler, RunFixture, settle } from './run-fixture.ts'

describe('the budget of a turn', () => {
  it('is spent after two milliseconds, and whole again in the next turn', async () => {
    const clock = new FakeClock()
    const turn = new TurnBudget(clock)
    clock.advance(2)
    expect(turn.isSpent).toBe(false)
    clock.advance(1)
    expect(turn.isSpent).toBe(true)
    await turn.next()
    expect(turn.isSpent).toBe(false)
  })

  it('is one for all that wait for the next turn', async () => {
    const turn = new TurnBudget(new FakeClock())
    expect(turn.next()).toBe(turn.next())
    expect(turn.isSpent).toBe(true)
    await turn.next()
    expect(turn.isSpent).toBe(false)
  })

  it.each(['partition', 'key'] as const)(
    'lets others have the event loop while handlers that never wait are busy: by %s',
    async (orderedBy) => {
      const group = await RunFixture.open(1)
      group.append(0, ...Array.from({ length: 100 }, () => 'x'))
      let handled = 0
      let handledAtTurn = -1
      group.run(
        () => {
          group.clock.advance(1) // As long as it takes.
          if (handled === 0) {
            afterTurn(() => {
              handledAtTurn = handled
            })
          }
          handled += 1
        },
        { orderedBy },
      )
      for (let turn = 0; turn < 10; turn += 1) await settle()
      expect(handled).toBe(100)
      expect(handledAtTurn).toBeLessThan(20)
    },
  )

  it('is no hindrance to a handler that waits', async () => {
    const group = await RunFixture.open(1)
    const handler = new HeldHandler()
    group.run(handler.handle)
    group.append(0, 'a')
    await settle()
    group.clock.advance(1_000)
    await handler.finish('a')
    expect(group.feed.committed).toEqual([1])
  })
})
