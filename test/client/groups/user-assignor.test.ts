/**
 * That whatever an assignor of the user's does, its answer is either carried out as it stands or
 * refused as a whole, by an error that says what is wrong with it.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignorOf } from '../../../src/client/groups/assignors.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { refusal } from '../refusal.ts'
import { member, shown } from './assigning.ts'

const MEMBERS = [
  member('a', ['t', 'u'], [{ topic: 't', partition: 0 }]),
  member('b', ['t', 'gone']),
]
const COUNTS = new Map([
  ['u', 1],
  ['t', 2],
])
const T0 = { topic: 't', partition: 0 }

/** What the group makes of an assignor that answers like this. */
function divide(
  assign: (...given: readonly unknown[]) => unknown,
): Record<string, readonly string[]> {
  return shown(assignorOf({ name: 'mine', assign }, 'test').assign(MEMBERS, COUNTS))
}

describe('an assignor of the user', () => {
  it('is given members with what they own, and the partitions of all topics that exist', () => {
    const seen: unknown[] = []
    divide((...given) => {
      seen.push(...given)
      return new Map()
    })
    expect(seen).toEqual([
      [
        { memberId: 'a', topics: ['t', 'u'], owned: [T0] },
        { memberId: 'b', topics: ['t', 'gone'], owned: [] },
      ],
      [T0, { topic: 't', partition: 1 }, { topic: 'u', partition: 0 }],
    ])
  })

  it('may leave members and partitions out', () => {
    expect(divide(() => new Map([['b', [T0]]]))).toEqual({ b: ['t-0'] })
  })

  it('cannot change what it was given, nor what it answered once it has', () => {
    const given = [{ ...T0 }]
    const assignor = assignorOf(
      {
        name: 'mine',
        assign: (members: { owned: unknown[]; topics: unknown[] }[]) => {
          members[0]?.owned.pop()
          members[0]?.topics.pop()
          return new Map([['a', given]])
        },
      },
      'test',
    )
    const result = assignor.assign(MEMBERS, COUNTS)
    given.pop()
    expect(shown(result)).toEqual({ a: ['t-0'] })
    expect(MEMBERS[0]).toMatchObject({ topics: ['t', 'u'], owned: [T0] })
  })

  it.each<[string, unknown, object]>([
    ['nothing', undefined, {}],
    ['an object', { a: [] }, {}],
    ['a member it was not given', new Map([['c', []]]), { memberId: 'c', known: ['a', 'b'] }],
    ['a member that is no string', new Map([[1, []]]), { memberId: 1 }],
    ['partitions that are no array', new Map([['a', T0]]), { memberId: 'a' }],
    ['a number for a partition', new Map([['a', [0]]]), { memberId: 'a' }],
    ['null for a partition', new Map([['a', [null]]]), { memberId: 'a' }],
    ['half a partition', new Map([['a', [{ topic: 't' }]]]), { memberId: 'a' }],
    [
      'a topic that is none',
      new Map([['b', [{ topic: 'gone', partition: 0 }]]]),
      { topic: 'gone' },
    ],
    ['a partition too many', new Map([['a', [{ topic: 't', partition: 2 }]]]), { partition: 2 }],
    ['a negative one', new Map([['a', [{ topic: 't', partition: -1 }]]]), { partition: -1 }],
    ['half a number', new Map([['a', [{ topic: 't', partition: 0.5 }]]]), { partition: 0.5 }],
    ['one to two members', new Map(['a', 'b'].map((id) => [id, [T0]])), { topic: 't', other: 'a' }],
    ['one twice to a member', new Map([['a', [T0, T0]]]), { topic: 't', partition: 0, other: 'a' }],
    ['one to a stranger', new Map([['b', [{ topic: 'u', partition: 0 }]]]), { memberId: 'b' }],
  ])('is refused where it gives %s', (_, answer, details) => {
    const error = refusal(() => divide(() => answer))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.details).toMatchObject({ assignor: 'mine', ...details })
  })

  it('is refused where it gives a promise, one that fails included', () => {
    // Were the failure not taken, it would be reported as unhandled, and fail the run.
    for (const answer of [
      () => Promise.resolve(new Map()),
      () => Promise.reject(new Error('no')),
    ]) {
      expect(refusal(() => divide(answer)).code).toBe('INVALID_ARGUMENT')
    }
  })

  it('is refused where it throws, with what it threw as the cause', () => {
    const cause = new Error('no')
    const error = refusal(() =>
      divide(() => {
        throw cause
      }),
    )
    expect([error.code, error.cause]).toEqual(['INVALID_ARGUMENT', cause])
  })

  it('is refused where its answer throws when it is read', () => {
    const trap = Object.defineProperty({}, 'topic', {
      get: () => {
        throw new Error('trap')
      },
    })
    expect(refusal(() => divide(() => new Map([['a', [trap]]]))).code).toBe('INVALID_ARGUMENT')
  })

  it('ends in a division or in INVALID_ARGUMENT, whatever it answers', () => {
    const items = fc.oneof(
      fc.record({ topic: fc.constantFrom('t', 'u', 'v'), partition: fc.integer({ max: 3 }) }),
      fc.anything(),
    )
    const answers = fc.oneof(
      fc.anything({ withMap: true }),
      fc
        .array(fc.tuple(fc.oneof(fc.constantFrom('a', 'b'), fc.anything()), fc.array(items)))
        .map((entries) => new Map<unknown, unknown>(entries)),
    )
    fc.assert(
      fc.property(answers, (answer) => {
        try {
          divide(() => answer)
        } catch (error) {
          if (!LogError.is(error, 'INVALID_ARGUMENT')) throw error
        }
      }),
    )
  })
})
