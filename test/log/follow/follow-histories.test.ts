/**
 * Random histories of a writer beside a follower, who looks at rest, and between any two calls of
 * the writer that change a file.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budget } from '../../support/budget.ts'
import { Scene } from './follow-scene.ts'

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('append'), a: fc.nat(5), b: fc.nat(300) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('big'), a: fc.nat(3), b: fc.nat(60_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('gzip'), a: fc.nat(30), b: fc.nat(90) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('transact'), a: fc.nat(2), b: fc.nat(3) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit'), a: fc.nat(2), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort'), a: fc.nat(2), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('roll'), a: fc.nat(0), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete'), a: fc.nat(10), b: fc.nat(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact'), a: fc.nat(3), b: fc.nat(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill'), a: fc.nat(1), b: fc.nat(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close'), a: fc.nat(0), b: fc.nat(0) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('look'), a: fc.nat(0), b: fc.nat(0) }) },
)

/** A history takes some hundredths of a second: so many as there is time for. */
const RUNS = { numRuns: Math.max(25, budget.propertyRuns >> 2) }

interface Step {
  readonly kind: string
  readonly a: number
  readonly b: number
}

async function run(scene: Scene, { kind, a, b }: Step): Promise<void> {
  switch (kind) {
    case 'append':
    case 'big':
      return scene.append(1 + a, 10 + b)
    case 'gzip':
      return scene.append(1 + a, 10 + b, 'gzip')
    case 'transact':
      return scene.appendInTransaction(a, 1 + b)
    case 'commit':
    case 'abort':
      return scene.endTransaction(a, kind)
    case 'roll':
      return scene.roll()
    case 'delete':
      return scene.deleteRecords(a / 10)
    case 'compact':
      return scene.compact(a)
    case 'kill':
      scene.kill()
      if (a === 1) scene.look()
      return scene.reopen()
    case 'close':
      for (const producerId of [0, 1, 2]) scene.endTransaction(producerId, 'abort')
      await scene.close()
      scene.look()
      return scene.reopen()
    default:
      await scene.publish()
      scene.look()
  }
}

describe('a follower shows what the writer wrote, each record once and in order', () => {
  it('whenever it looks at rest', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const scene = await Scene.open()
        for (const one of steps) await run(scene, one)
        await scene.publish()
        scene.checkSame()
      }),
      RUNS,
    )
  })

  it('whenever it looks between two calls that change a file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const scene = await Scene.open()
        scene.lookBetweenCalls(true)
        for (const one of steps) await run(scene, one)
        scene.lookBetweenCalls(false)
        await scene.publish()
        scene.checkSame()
        expect(scene.looks).toBeGreaterThan(0)
      }),
      RUNS,
    )
  })
})
