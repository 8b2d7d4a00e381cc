/**
 * The steps of which random histories of a log consist (log-history.ts), and how often each comes.
 */
import fc from 'fast-check'

/** One step. `seed` decides what the step itself leaves open. */
export type Step =
  | { readonly kind: 'create'; readonly topic: number; readonly seed: number }
  | { readonly kind: 'delete'; readonly topic: number }
  | { readonly kind: 'append'; readonly topic: number; readonly seed: number }
  | { readonly kind: 'sync' | 'read' | 'trim'; readonly topic: number; readonly seed: number }
  | { readonly kind: 'checkpoint' | 'tick' | 'close' | 'kill' }
  /** NO_SPACE at one of the next calls. */
  | { readonly kind: 'full'; readonly seed: number }
  /** A sync that starts and is not waited for. */
  | { readonly kind: 'sync soon'; readonly topic: number }
  /** The process stops at the nth call of what it does then. */
  | {
      readonly kind: 'stop'
      readonly during: 'open' | 'create' | 'checkpoint' | 'close' | 'trim' | 'delete' | 'append'
      readonly calls: number
      readonly power: boolean
      readonly seed: number
    }
  | { readonly kind: 'power cut'; readonly seed: number }

const topic = fc.integer({ min: 0, max: 1 })
const seed = fc.integer({ min: 0, max: 2 ** 31 })

/** Any step, appends most often. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('create' as const), topic, seed }) },
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('append' as const), topic, seed }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), topic }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('sync' as const, 'read' as const, 'trim' as const),
      topic,
      seed,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'checkpoint' as const,
        'tick' as const,
        'close' as const,
        'kill' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('full' as const), seed }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('sync soon' as const), topic }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('stop' as const),
      during: fc.constantFrom(
        'open' as const,
        'create' as const,
        'checkpoint' as const,
        'close' as const,
        'trim' as const,
        'delete' as const,
        'append' as const,
      ),
      calls: fc.integer({ min: 0, max: 40 }),
      power: fc.boolean(),
      seed,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('power cut' as const), seed }) },
)
