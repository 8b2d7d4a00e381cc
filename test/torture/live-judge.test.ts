/**
 * The judge of the readers' campaign catches each thing that a reader may do wrong, and nothing in
 * what one does right: here both are made up.
 */
import { describe, expect, it } from 'vitest'
import type { ReaderNote, Run, Timed, WriterEvent } from './live-events.ts'
import { judge, settleByReaders, type JudgedReader } from './live-judge.ts'
import { isDeletion, keyOf } from './live-records.ts'
import { LiveTruth } from './live-truth.ts'

const P = { id: 'topic', partition: 0 }

function truthOf(...events: readonly (WriterEvent & { readonly atMs?: number })[]): LiveTruth {
  const truth = new LiveTruth()
  for (const [index, event] of events.entries()) truth.hear({ atMs: index, ...event })
  return truth
}

/** Offsets 0 to 9 are numbers 100 to 109; then a transaction of one each way. */
function usual(...more: readonly (WriterEvent & { readonly atMs?: number })[]): LiveTruth {
  return truthOf(
    { what: 'opening', life: 1 },
    { what: 'begun', ...P, seq: 100, count: 10, tx: '' },
    { what: 'done', ...P, seq: 100, count: 10, offset: 0 },
    { what: 'begun', ...P, seq: 110, count: 1, tx: 'good' },
    { what: 'done', ...P, seq: 110, count: 1, offset: 10 },
    { what: 'begun', ...P, seq: 111, count: 1, tx: 'bad' },
    { what: 'done', ...P, seq: 111, count: 1, offset: 11 },
    { what: 'committing', tx: 'good', atMs: 50 },
    { what: 'committed', tx: 'good', atMs: 51 },
    { what: 'aborting', tx: 'bad', atMs: 52 },
    { what: 'aborted', tx: 'bad', atMs: 53 },
    { what: 'begun', ...P, seq: 112, count: 1, tx: '', atMs: 60 },
    { what: 'done', ...P, seq: 112, count: 1, offset: 14, atMs: 61 },
    { what: 'last', ...P, offset: 14, atMs: 61 },
    ...more,
  )
}

const NUMBERS: readonly Run[] = [
  [0, 100, 10, 100],
  [10, 110, 1, 100],
  [14, 112, 1, 100],
]

function readerOf(runs: readonly Run[], options: Partial<JudgedReader> = {}): JudgedReader {
  const notes: readonly Timed<ReaderNote>[] = [
    { what: 'saw', ...P, runs, atMs: 200 },
    { what: 'over', atMs: 201 },
  ]
  const isolation = 'read_committed'
  return { name: 'r', isolation, visibility: 'written', mustFinish: true, notes, ...options }
}

function kinds(truth: LiveTruth, ...readers: readonly JudgedReader[]): readonly string[] {
  settleByReaders(truth, readers)
  return readers.flatMap((reader) => judge(truth, reader)).map(({ kind }) => kind)
}

describe('the judge of the readers', () => {
  it('finds nothing in a reader that saw everything that it may, once and in order', () => {
    expect(kinds(usual(), readerOf(NUMBERS))).toEqual([])
    const all: readonly Run[] = [
      [0, 100, 12, 100],
      [14, 112, 1, 100],
    ]
    expect(kinds(usual(), readerOf(all, { isolation: 'read_uncommitted' }))).toEqual([])
  })

  it('finds a record that is left out', () => {
    const [, ...rest] = NUMBERS
    const runs: readonly Run[] = [[0, 100, 4, 100], [5, 105, 5, 100], ...rest]
    expect(kinds(usual(), readerOf(runs))).toEqual(['loss'])
    expect(kinds(usual(), readerOf(rest))).toEqual(['loss'])
  })

  it('finds a record that comes twice, and one that comes late', () => {
    const twice: readonly Run[] = [[0, 100, 10, 100], [9, 109, 1, 100], ...NUMBERS.slice(1)]
    expect(kinds(usual(), readerOf(twice))).toEqual(['duplicate'])
    const late: readonly Run[] = [
      [0, 100, 3, 100],
      [4, 104, 1, 100],
      [3, 103, 1, 100],
      [5, 105, 5, 100],
      ...NUMBERS.slice(1),
    ]
    expect(kinds(usual(), readerOf(late))).toEqual(['loss', 'reorder'])
  })

  it('finds a record that nobody wrote, or not there', () => {
    const foreign: readonly Run[] = [[0, 100, 9, 100], [9, 110, 1, 100], ...NUMBERS.slice(1)]
    expect(kinds(usual(), readerOf(foreign))).toEqual(['phantom'])
    expect(kinds(usual(), readerOf([...NUMBERS, [15, 900, 1, 100]]))).toEqual(['phantom'])
  })

  it('finds what the reader says itself: torn records, failed calls', () => {
    const notes: readonly Timed<ReaderNote>[] = [
      { what: 'torn', message: 'x', atMs: 1 },
      { what: 'failed', message: 'x', atMs: 1 },
      { what: 'saw', ...P, runs: NUMBERS, atMs: 1 },
      { what: 'over', atMs: 1 },
    ]
    expect(kinds(usual(), readerOf([], { notes }))).toEqual(['torn', 'failed'])
  })

  it('finds a record of a transaction before its commit began, or that was aborted', () => {
    const early: readonly Run[] = [
      [0, 100, 10, 20],
      [10, 110, 1, 49],
      [14, 112, 1, 100],
    ]
    expect(kinds(usual(), readerOf(early))).toEqual(['early'])
    const aborted: readonly Run[] = [...NUMBERS.slice(0, 2), [11, 111, 1, 100], [14, 112, 1, 100]]
    expect(kinds(usual(), readerOf(aborted))).toEqual(['aborted'])
  })

  it('finds a record before anybody appended it', () => {
    const runs: readonly Run[] = [...NUMBERS.slice(0, 2), [14, 112, 1, 59]]
    expect(kinds(usual(), readerOf(runs))).toEqual(['early'])
  })

  it('lets go what was before a start of the log that it had by then, and no more', () => {
    const truth = (): LiveTruth => usual({ what: 'start', ...P, offset: 6, sinceMs: 90 })
    const rest = NUMBERS.slice(1)
    expect(kinds(truth(), readerOf([[6, 106, 4, 100], ...rest]))).toEqual([])
    expect(kinds(truth(), readerOf([[0, 100, 2, 95], [6, 106, 4, 100], ...rest]))).toEqual([])
    expect(kinds(truth(), readerOf([[7, 107, 3, 100], ...rest]))).toEqual(['loss'])
    expect(kinds(truth(), readerOf([[6, 106, 4, 80], ...rest]))).toEqual(['loss'])
  })

  it('lets compaction take what is superseded, and nothing else', () => {
    const seqs = Array.from({ length: 400 }, (_, at) => at)
    const [superseded = 0] = seqs.filter((seq) => !isDeletion(seq) && hasLater(seq, 400))
    const [latest = 0] = seqs.filter((seq) => !isDeletion(seq) && !hasLater(seq, 400))
    const truth = truthOf(
      { what: 'opening', life: 1 },
      { what: 'topic', id: P.id, isCompacted: true },
      ...seqs.flatMap((seq): readonly WriterEvent[] => [
        { what: 'begun', ...P, seq, count: 1, tx: '' },
        { what: 'done', ...P, seq, count: 1, offset: seq },
      ]),
    )
    const without = (left: number): JudgedReader => {
      const runs: readonly Run[] = [
        [0, 0, left, 9_000],
        [left + 1, left + 1, 399 - left, 9_000],
      ]
      return readerOf(
        runs.filter(([, , count]) => count > 0),
        { mustFinish: false },
      )
    }
    expect(kinds(truth, without(superseded))).toEqual([])
    expect(kinds(truth, without(latest))).toEqual(['loss'])
  })

  it('finds what is not durable, where it knows what is', () => {
    const flushed = (end: number, sinceMs: number): readonly WriterEvent[] => [
      { what: 'strict', ...P },
      { what: 'opened', partitions: [{ ...P, start: 0, end: 2, lookedFrom: 0 }] },
      { what: 'flushing', ...P, end, ...{ atMs: sinceMs } },
    ]
    const reader = readerOf(NUMBERS, { visibility: 'durable' })
    expect(kinds(usual(...flushed(15, 99)), reader)).toEqual([])
    expect(kinds(usual(...flushed(14, 99)), reader)).toEqual(['undurable'])
    expect(kinds(usual(...flushed(15, 101)), reader)).toContain('undurable')
    expect(kinds(usual(...flushed(14, 99)), readerOf(NUMBERS))).toEqual([])
  })

  it('finds a reader that did not come to the end, or did not end', () => {
    expect(kinds(usual(), readerOf(NUMBERS.slice(0, 2)))).toEqual(['unfinished'])
    const notes: readonly Timed<ReaderNote>[] = [{ what: 'saw', ...P, runs: NUMBERS, atMs: 1e9 }]
    expect(kinds(usual(), readerOf([], { notes }))).toEqual(['unfinished'])
    expect(kinds(usual(), readerOf([], { notes, mustFinish: false }))).toEqual([])
  })

  it('finds a topic that was said to be gone before anybody deleted it', () => {
    const gone = (atMs: number): JudgedReader =>
      readerOf([], { mustFinish: false, notes: [{ what: 'gone', ...P, atMs }] })
    const truth = (): LiveTruth => usual({ what: 'deleting', id: P.id, atMs: 70 })
    expect(kinds(truth(), gone(71))).toEqual([])
    expect(kinds(truth(), gone(69))).toEqual(['gone'])
    expect(kinds(usual(), gone(69))).toEqual(['gone'])
  })

  it('finds a start of the log that it never had', () => {
    const removed = (start: number): JudgedReader =>
      readerOf([], {
        mustFinish: false,
        notes: [{ what: 'removed', ...P, offset: 0, start, atMs: 100 }],
      })
    const truth = (): LiveTruth => usual({ what: 'start', ...P, offset: 6, sinceMs: 90 })
    expect(kinds(truth(), removed(6))).toEqual([])
    expect(kinds(truth(), removed(5))).toEqual(['loss'])
    // Moved by a life that was killed before it said so, as was the next one before it looked.
    const untold = (): LiveTruth =>
      usual(
        { what: 'opening', life: 2, atMs: 70 },
        { what: 'opened', partitions: [{ ...P, start: 0, end: 15, lookedFrom: 0 }], atMs: 80 },
        { what: 'opening', life: 3, atMs: 120 },
        { what: 'opening', life: 4, atMs: 130 },
        { what: 'opened', partitions: [{ ...P, start: 6, end: 15, lookedFrom: 15 }], atMs: 140 },
      )
    expect(kinds(untold(), removed(6))).toEqual([])
    expect(kinds(untold(), removed(5))).toEqual(['loss'])
  })

  it('finds another checksum than that of the writer', () => {
    const truth = (): LiveTruth => usual({ what: 'sum', ...P, committed: 1, uncommitted: 2 })
    const sum = (own: number): JudgedReader =>
      readerOf([], { mustFinish: false, notes: [{ what: 'sum', ...P, sum: own, atMs: 1 }] })
    expect(kinds(truth(), sum(1))).toEqual([])
    expect(kinds(truth(), sum(2))).toEqual(['sum'])
  })

  it('finds a table that is not what the log says', () => {
    const lines = new Map<string, number>()
    for (let seq = 100; seq < 110; seq += 1) lines.set(keyOf(seq), seq)
    const keys = [...lines]
      .filter(([, seq]) => !isDeletion(seq))
      .map(([key, seq]) => `${P.partition}/${key}=${seq}`)
    const truth = (): LiveTruth =>
      truthOf(
        { what: 'begun', ...P, seq: 100, count: 10, tx: '' },
        { what: 'done', ...P, seq: 100, count: 10, offset: 0 },
      )
    const table = (found: readonly string[]): JudgedReader =>
      readerOf([], {
        mustFinish: false,
        notes: [{ what: 'table', id: P.id, keys: found, atMs: 1 }],
      })
    expect(kinds(truth(), table(keys))).toEqual([])
    expect(kinds(truth(), table(keys.slice(1)))).toEqual(['table'])
    expect(kinds(truth(), table([...keys, '0/key-x=7']))).toEqual(['table'])
  })

  it('takes a batch whose end nobody told to be where readers saw it, all in one place', () => {
    const truth = (): LiveTruth =>
      truthOf({ what: 'opening', life: 1 }, { what: 'begun', ...P, seq: 100, count: 2, tx: '' })
    const at = (offset: number): JudgedReader =>
      readerOf([[offset, 100, 2, 100]], { mustFinish: false })
    expect(kinds(truth(), at(0), at(0))).toEqual([])
    expect(kinds(truth(), at(0), at(5))).toContain('phantom')
  })

  it('finds a batch that a reader was shown and the next life of the writer did not find', () => {
    const truth = truthOf(
      { what: 'opening', life: 1 },
      { what: 'begun', ...P, seq: 100, count: 2, tx: '' },
      { what: 'opening', life: 2 },
      { what: 'opened', partitions: [{ ...P, start: 0, end: 0, lookedFrom: 0 }] },
    )
    const reader = readerOf([[0, 100, 2, 100]], { mustFinish: false })
    expect(kinds(truth, reader)).toEqual(['phantom', 'phantom'])
  })

  it('takes a transaction whose end nobody told for what the next life was shown', () => {
    const truth = (...shown: readonly WriterEvent[]): LiveTruth =>
      truthOf(
        { what: 'opening', life: 1 },
        { what: 'begun', ...P, seq: 100, count: 1, tx: 'cut' },
        { what: 'committing', tx: 'cut' },
        { what: 'opening', life: 2 },
        { what: 'found', ...P, tx: 'cut', runs: [[0, 100, 1, 0]] },
        ...shown,
        { what: 'opened', partitions: [{ ...P, start: 0, end: 2, lookedFrom: 0 }] },
      )
    const reader = readerOf([[0, 100, 1, 100]], { mustFinish: false })
    expect(kinds(truth({ what: 'shown', tx: 'cut' }), reader)).toEqual([])
    expect(kinds(truth(), reader)).toEqual(['aborted'])
  })
})

function hasLater(seq: number, end: number): boolean {
  for (let later = seq + 1; later < end; later += 1) if (keyOf(later) === keyOf(seq)) return true
  return false
}
