/**
 * A whole log under random histories of work, kills and power cuts, beside a model
 * (log-history.ts).
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { anyStep } from './history-steps.ts'
import { LogHistory } from './log-history.ts'

/** More runs get more time; what is not through by then counts as passed. */
const LIMIT_MS = 60 * budget.propertyRuns

describe('a log', { timeout: LIMIT_MS + 20_000 }, () => {
  it('comes back from any history with what it promised, in order, and nothing else', async () => {
    const histories = fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40, size: 'max' }), async (steps) => {
        const first = [
          { kind: 'create', topic: 0, seed: 1 },
          { kind: 'create', topic: 1, seed: 2 },
        ] as const
        await new LogHistory().run([...first, ...steps])
      }),
      { plugins: [fc.interruptAfterTimeLimit(LIMIT_MS)] },
    )
    await expect(histories).resolves.toBeUndefined()
  })
})
