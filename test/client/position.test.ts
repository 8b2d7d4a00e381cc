/** Where reads start and end: what the options mean, and which of them can never be right. */
import { describe, expect, it } from 'vitest'
import {
  checkOffset,
  checkTime,
  rangeOf,
  readingOf,
  signalOf,
  topicReadingOf,
  type RangeOptions,
} from '../../src/client/position.ts'
import { refusal } from './refusal.ts'

const DEFAULTS = {
  from: 'earliest',
  to: null,
  isolation: 'read_uncommitted',
  visibility: 'written',
  onCorrupt: 'stop',
}

/** Options as somebody without types writes them. */
const range = (options: unknown): unknown => rangeOf(options as RangeOptions, 'partition.records')
const refused = (options: unknown): string => refusal(() => range(options)).code

describe('rangeOf', () => {
  it('applies the defaults to what is absent or undefined', () => {
    expect(rangeOf(undefined, 'partition.records')).toEqual(DEFAULTS)
    expect(range({ from: undefined, to: undefined, isolation: undefined })).toEqual(DEFAULTS)
  })

  it.each([
    [0, 0],
    [5, 5],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    ['earliest', 'earliest'],
    ['latest', 'latest'],
    [{ timestamp: 5 }, { timestamp: 5 }],
    [{ timestamp: new Date(5) }, { timestamp: 5 }],
    [{ last: 0 }, { last: 0 }],
  ])('takes %j as a start', (from, expected) => {
    expect(range({ from })).toEqual({ ...DEFAULTS, from: expected })
  })

  it('takes an offset or a time as an end', () => {
    expect(range({ to: 7 })).toMatchObject({ to: 7 })
    expect(range({ to: { timestamp: new Date(7) } })).toMatchObject({ to: { timestamp: 7 } })
  })

  it.each<unknown>([
    -1,
    1.5,
    NaN,
    Infinity,
    2 ** 53,
    '5',
    'first',
    null,
    true,
    [],
    5n,
    new Date(5),
    {},
    { timestamp: NaN },
    { timestamp: 1.5 },
    { timestamp: -1 },
    { timestamp: new Date(NaN) },
    { timestamp: '5' },
    { timestamp: 5, last: 5 },
    { last: -1 },
    { last: 1.5 },
    { first: 5 },
    { offsets: [] },
  ])('refuses a start that can never be (%#)', (from) => {
    expect(refused({ from })).toBe('INVALID_ARGUMENT')
  })

  it.each<unknown>([-1, 1.5, 'latest', null, new Date(5), { last: 1 }, { timestamp: -1 }])(
    'refuses an end that can never be (%#)',
    (to) => {
      expect(refused({ to })).toBe('INVALID_ARGUMENT')
    },
  )

  it('takes only the known ways of reading, naming them', () => {
    expect(
      range({ isolation: 'read_committed', visibility: 'durable', onCorrupt: 'skip' }),
    ).toEqual({
      ...DEFAULTS,
      isolation: 'read_committed',
      visibility: 'durable',
      onCorrupt: 'skip',
    })
    for (const option of ['isolation', 'visibility', 'onCorrupt']) {
      const error = refusal(() => range({ [option]: 'fast' }))
      expect(error.code).toBe('INVALID_ARGUMENT')
      expect(error.details).toMatchObject({ option, value: 'fast' })
    }
    expect(refused({ isolation: null })).toBe('INVALID_ARGUMENT')
  })

  it('refuses options nobody knows, and those of a read that waits', () => {
    expect(refusal(() => range({ form: 0 })).details).toMatchObject({
      option: 'form',
      nearest: 'from',
    })
    expect(refused({ live: true })).toBe('INVALID_ARGUMENT')
  })
})

describe('readingOf', () => {
  it('adds whether to wait, and the signal that ends it', () => {
    const { signal } = new AbortController()
    expect(readingOf(undefined, 'partition.read')).toEqual({
      ...DEFAULTS,
      live: false,
      signal: null,
    })
    expect(readingOf({ live: true, signal, from: 3 }, 'partition.read')).toEqual({
      ...DEFAULTS,
      from: 3,
      live: true,
      signal,
    })
  })

  it('refuses a live that is no boolean and a signal that is none', () => {
    for (const options of [
      { live: 1 },
      { signal: {} },
      { signal: null },
      { signal: new AbortController() },
    ]) {
      expect(refusal(() => readingOf(options as never, 'partition.read')).code).toBe(
        'INVALID_ARGUMENT',
      )
    }
  })
})

describe('signalOf', () => {
  it('takes what behaves as a signal, of another realm too, and null for none', () => {
    const foreign = { aborted: false, addEventListener() {} }
    expect(signalOf(foreign, 'log.producer')).toBe(foreign)
    expect(signalOf(undefined, 'log.producer')).toBeNull()
    expect(refusal(() => signalOf('stop', 'log.producer')).details).toMatchObject({
      option: 'signal',
    })
  })
})

describe('topicReadingOf', () => {
  it('takes offsets by partition, whatever else is in their rows', () => {
    const offsets = [
      { partition: 0, offset: 5, group: 'a' },
      { partition: 2, offset: 0 },
    ]
    const { from, partitions } = topicReadingOf({ from: { offsets } }, 'topic.read')
    expect(from).toEqual(
      new Map([
        [0, 5],
        [2, 0],
      ]),
    )
    expect(partitions).toBeNull()
  })

  it('takes the partitions to read, each once', () => {
    expect(topicReadingOf({ partitions: [2, 0, 2] }, 'topic.read').partitions).toEqual([2, 0])
    expect(topicReadingOf({ from: 'latest', partitions: [] }, 'topic.read')).toMatchObject({
      from: 'latest',
      partitions: [],
    })
  })

  it.each<unknown>([
    { from: { offsets: 5 } },
    { from: { offsets: [5] } },
    { from: { offsets: [{ partition: 0 }] } },
    { from: { offsets: [{ partition: -1, offset: 0 }] } },
    { from: { offsets: [{ partition: 0, offset: 1.5 }] } },
    {
      from: {
        offsets: [
          { partition: 0, offset: 1 },
          { partition: 0, offset: 2 },
        ],
      },
    },
    { from: -1 },
    { partitions: 1 },
    { partitions: [1.5] },
    { partition: 1 },
  ])('refuses what can never be (%#)', (options) => {
    expect(refusal(() => topicReadingOf(options as object, 'topic.read')).code).toBe(
      'INVALID_ARGUMENT',
    )
  })
})

describe('numbers that can be', () => {
  it('name what is wrong about others', () => {
    expect(refusal(() => checkOffset(-1, 'partition.get: offset')).message).toContain(
      'partition.get: offset',
    )
    expect(Object.is(checkOffset(-0, 'offset'), 0)).toBe(true)
  })

  it('include no time before 1970, since Kafka means the ends of the log by −1 and −2', () => {
    expect(refusal(() => checkTime(-1, 'timestamp')).message).toContain('latest')
    expect(checkTime(new Date(0), 'timestamp')).toBe(0)
  })
})
