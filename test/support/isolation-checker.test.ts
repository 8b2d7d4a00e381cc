/** The checker of isolation finds each anomaly, and none where there is none. */
import { describe, expect, it } from 'vitest'
import { IsolationChecker, type AnomalyKind } from './isolation-checker.ts'

/** A history of four records: committed, plain, aborted, committed; then an open one. */
function history(): { readonly checker: IsolationChecker; kinds(end?: number): AnomalyKind[] } {
  const checker = new IsolationChecker()
  const [committed, aborted, open] = [checker.begin(), checker.begin(), checker.begin()]
  checker.wrote('a', 0, 'v0', committed)
  checker.wrote('a', 1, 'v1')
  checker.wrote('a', 2, 'v2', aborted)
  checker.wrote('a', 3, 'v3', committed)
  checker.wrote('a', 6, 'v6', open)
  committed.outcome = 'committed'
  aborted.outcome = 'aborted'
  return {
    checker,
    kinds: (end = 0) => checker.anomalies(new Map([['a', end]])).map(({ kind }) => kind),
  }
}

const SEEN: readonly (readonly [
  what: string,
  offsets: readonly number[],
  kinds: readonly AnomalyKind[],
])[] = [
  ['what is committed', [0, 1, 3], []],
  ['a prefix of it', [0, 1], []],
  ['nothing', [], []],
  ['one of a transaction that was aborted', [0, 1, 2, 3], ['aborted']],
  ['a part of a transaction', [1, 3], ['gap']],
  ['what comes later first', [1, 0, 3], ['order']],
  ['a record twice', [0, 1, 1, 3], ['order']],
  ['one of a transaction that is open', [0, 1, 3, 6], ['early']],
]

describe('the checker of isolation', () => {
  it.each(SEEN)(
    'says what is wrong with a reader of what is committed that saw %s',
    (_, offsets, kinds) => {
      const { checker, kinds: found } = history()
      const reader = checker.reader('reader', 'read_committed')
      for (const offset of offsets) checker.saw(reader, 'a', offset, `v${offset}`)
      expect(found()).toEqual(kinds)
    },
  )

  it('finds a record that nobody wrote', () => {
    const { checker, kinds } = history()
    const reader = checker.reader('reader', 'read_uncommitted')
    for (const value of ['v0', 'v1', 'other']) {
      checker.saw(reader, 'a', ['v0', 'v1'].indexOf(value) === -1 ? 2 : Number(value[1]), value)
    }
    expect(kinds()).toEqual(['invented'])
  })

  it('finds what a reader that has come to its end did not see', () => {
    const { checker, kinds } = history()
    const reader = checker.reader('reader', 'read_committed')
    checker.saw(reader, 'a', 0, 'v0')
    expect(kinds(4)).toEqual(['missing', 'missing'])
    expect(kinds(2)).toEqual(['missing'])
  })

  it('expects every record of who reads all, and none before where a reader began', () => {
    const { checker, kinds } = history()
    const all = checker.reader('all', 'read_uncommitted')
    const late = checker.reader('late', 'read_committed', new Map([['a', 3]]))
    for (const offset of [0, 1, 2, 3, 6]) checker.saw(all, 'a', offset, `v${offset}`)
    checker.saw(late, 'a', 3, 'v3')
    expect(kinds(7)).toEqual([])
  })
})
