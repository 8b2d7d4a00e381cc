/**
 * What is made of the rounds of a case: medians, their spread, and ratios.
 */
import { describe, expect, it } from 'vitest'
import { figureOf, headingsFor } from '../../bench/runner/figures.ts'
import { latencyOf } from '../../bench/runner/latency.ts'
import { remarksOn, shortNumber, tableOf } from '../../bench/runner/report.ts'
import { bestPeerOf, ratioOf, rowsOf, summaryOf } from '../../bench/runner/statistics.ts'
import { answer, took } from './made-runs.ts'

describe('a summary', () => {
  it('is the middle of the rounds, and the way from the lowest to the highest', () => {
    const { median, lowest, highest, spread } = summaryOf(answer('a', 'ours', 4, 1, 2), 'ms')
    expect([median, lowest, highest, spread]).toEqual([2, 1, 4, 1.5])
  })

  it('lies between the two in the middle where there is no middle', () => {
    expect(summaryOf(answer('a', 'ours', 4, 1, 2, 3), 'ms').median).toBe(2.5)
  })

  it('is no number where nothing was measured', () => {
    expect(summaryOf(answer('a', 'ours'), 'ms').median).toBeNaN()
    expect(summaryOf(answer('a', 'ours', 1), 'no such figure').median).toBeNaN()
  })
})

describe('a ratio', () => {
  it('is taken within each round: a slow one for all counts against nobody', () => {
    const ours = answer('ours', 'ours', 1, 10, 1)
    const peer = answer('peer', 'peer', 2, 20, 2)
    expect(ratioOf(ours, peer, 'records/s')).toMatchObject({ median: 2, lowest: 2, highest: 2 })
  })

  it('leaves out rounds that one of the two did not get to', () => {
    const ratio = ratioOf(answer('ours', 'ours', 1, 1, 1), answer('peer', 'peer', 3), 'records/s')
    expect(ratio.median).toBeCloseTo(3)
  })
})

describe('the best peer', () => {
  it('is the best by the figure that is compared, more or less of it', () => {
    const fast = { ...answer('fast', 'peer', 1), rounds: [took(1, { also: { 'bytes/event': 9 } })] }
    const small = {
      ...answer('small', 'peer', 5),
      rounds: [took(5, { also: { 'bytes/event': 2 } })],
    }
    const answers = [answer('ours', 'ours', 0.1), small, fast, answer('limit', 'limit', 0.1)]
    expect(bestPeerOf(answers, 'records/s')?.name).toBe('fast')
    expect(bestPeerOf(answers, 'user ns')?.name).toBe('fast')
    expect(bestPeerOf(answers, 'bytes/event')?.name).toBe('small')
  })

  it('is none that failed before its first round', () => {
    const failed = { ...answer('broken', 'peer'), failed: 'it broke' }
    expect(bestPeerOf([failed], 'records/s')).toBeUndefined()
  })
})

describe('a table', () => {
  const answers = [
    answer('ours', 'ours', 1, 1, 1),
    { ...answer('peer', 'peer', 2, 2), failed: 'it broke' },
    answer('limit', 'limit', 0.5, 0.5, 0.5),
  ]

  it('has a row for each contestant and says who failed', () => {
    const [head, ours, peer] = tableOf('throughput', 'a case', answers)
    expect(head).toEqual([
      'a case',
      'records/s',
      'MB/s',
      'user ns',
      'system ns',
      '× best peer',
      'its user CPU',
      '× limit',
    ])
    expect(ours).toEqual(['ours', '1,000,000', '116', '500', '100', '2', '0.5', '0.5'])
    expect(peer?.[0]).toBe('peer (failed)')
    expect(remarksOn(answers)).toEqual(['best peer: peer', 'peer failed after 2 rounds: it broke'])
  })

  it('has columns for what was looked at alone', () => {
    const latency = latencyOf(Float64Array.of(3_000, 1_000, 2_000))
    const gc = { pauseNs: 5e4, count: 1, longestNs: 5e4 }
    const watched = {
      ...answer('ours', 'ours'),
      rounds: [took(10, { latency, gc, also: { x: 1 } })],
    }
    const [row] = rowsOf('throughput', [watched])
    expect(row?.figures['p50 µs']?.median).toBe(2)
    expect(row?.figures['longest µs']?.median).toBe(3)
    expect(row?.figures['GC ms/s']?.median).toBe(5)
    expect(row?.figures['x']?.median).toBe(1)
    expect(row?.figures['grown MB']).toBeUndefined()
  })

  it('shows no bytes where none were moved, and of time the time', () => {
    expect(headingsFor('throughput', [took(1, { byteCount: 0 })])).not.toContain('MB/s')
    expect(headingsFor('time', [took(1)])).toEqual(['ms'])
  })
})

describe('a number', () => {
  it.each([
    [0, '0'],
    [0.012345, '0.012'],
    [1.26, '1.3'],
    [12.345, '12.3'],
    [1_234_567.8, '1,234,568'],
    [NaN, '-'],
    [Infinity, '-'],
  ])('%d is written as %s', (value, text) => {
    expect(shortNumber(value)).toBe(text)
  })

  it('that JSON could not hold is none', () => {
    const stored = took(1, { also: { x: NaN }, memory: { peakRssBytes: NaN, grownBytes: 2e6 } })
    // What parse gives is what was written, but for numbers that are none.
    const read = JSON.parse(JSON.stringify(stored)) as typeof stored
    expect(figureOf(read, 'x')).toBeNaN()
    expect(figureOf(read, 'peak MB')).toBeNaN()
    expect(figureOf(read, 'grown MB')).toBe(2)
  })
})
