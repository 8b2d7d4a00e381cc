/**
 * A whole log under random histories of work, kills and power cuts, beside a model
 * (log-history.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anyStep } from './history-steps.ts'
import { LogHistory } from './log-history.ts'

describe('a log', () => {
  it('comes back from any history with what it promised, in order, and nothing else', async () => {
    const histories = fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40, size: 'max' }), async (steps) => {
        const first = [
          { kind: 'create', topic: 0, seed: 1 },
          { kind: 'create', topic: 1, seed: 2 },
        ] as const
        await new LogHistory().run([...first, ...steps])
      }),
      { plugins: [fc.interruptAfterTimeLimit(6_000)] },
    )
    await expect(histories).resolves.toBeUndefined()
  })
})
