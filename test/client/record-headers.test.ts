/** Headers: what users may write, and what they read back. */
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  headersIn,
  headersOf,
  readHeadersInput,
  withOwnValues,
  type HeadersInput,
  type RecordHeaders,
} from '../../src/client/record-headers.ts'
import { refusal } from './refusal.ts'
import { storedRecord } from './stored-records.ts'

const stored = (headers: unknown): RecordHeaders => storedRecord({ value: 'v', headers }).headers
const REPEATED = [
  ['a', '1'],
  ['b', null],
  ['a', '2'],
] as const satisfies HeadersInput

describe('headers read from a record', () => {
  it('give the last value of a name, all of them, and tell null from absent', () => {
    const headers = stored(REPEATED)
    expect(headers.get('a')).toEqual(Buffer.from('2'))
    expect(headers.get('b')).toBeNull()
    expect(headers.get('c')).toBeUndefined()
    expect(headers.text('a')).toBe('2')
    expect(headers.text('b')).toBeNull()
    expect(headers.text('c')).toBeUndefined()
    expect(headers.getAll('a')).toEqual([Buffer.from('1'), Buffer.from('2')])
    expect(headers.getAll('c')).toEqual([])
  })

  it('keep order and repeats in both ways of iterating', () => {
    const pairs = [
      ['a', Buffer.from('1')],
      ['b', null],
      ['a', Buffer.from('2')],
    ]
    const headers = stored(REPEATED)
    expect([...headers]).toEqual(pairs)
    expect([...headers.entries()]).toEqual(pairs)
  })

  it('come back as they were written, whatever names and values', () => {
    const name = fc.string({ unit: 'grapheme' })
    const value = fc.option(fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array()))
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const expected = pairs.map(([key, part]) => [
          key,
          part === null ? null : typeof part === 'string' ? Buffer.from(part) : Buffer.from(part),
        ])
        expect([...stored(pairs)]).toEqual(expected)
        expect([...headersOf(readHeadersInput(pairs, 'raw'))]).toEqual(expected)
      }),
    )
  })

  it('allow an empty name and an empty value', () => {
    expect([...stored({ '': '' })]).toEqual([['', Buffer.alloc(0)]])
  })

  it('are shown as text, or as base64 where they are none', () => {
    const headers = stored([
      ['a', 'é'],
      ['b', Uint8Array.of(0xff)],
      ['c', null],
    ])
    const pairs = [
      ['a', 'é'],
      ['b', 'base64:/w=='],
      ['c', null],
    ]
    expect(JSON.parse(JSON.stringify(headers))).toEqual(pairs)
    expect(inspect(headers)).toBe(`RecordHeaders ${inspect(pairs)}`)
  })

  it('are refused as INVALID_RECORD where bytes are none', () => {
    const chunk = Buffer.from([0x01, 0x02]) // a name of length -1
    const headers = headersIn(chunk, 0, 1)
    for (let time = 0; time < 2; time += 1) {
      expect(refusal(() => headers.get('a')).code).toBe('INVALID_RECORD')
    }
  })

  it('copy a long value, and lend a short one of a small chunk', () => {
    const headers = stored([
      ['long', 'x'.repeat(5_000)],
      ['short', 'y'],
    ])
    expect(headers.get('long')?.buffer.byteLength).toBe(5_000)
    expect(headers.get('short')?.buffer.byteLength).toBeGreaterThan(5_000)
  })
})

describe('headers as input', () => {
  it('may be an object, pairs, a Map, or the headers of another record', () => {
    const flat = ['a', '1', 'b', null]
    for (const input of [
      { a: '1', b: null },
      [
        ['a', '1'],
        ['b', null],
      ],
      new Map([
        ['a', '1'],
        ['b', null],
      ]),
    ]) {
      expect(readHeadersInput(input, 'raw')).toEqual(flat)
    }
    expect(readHeadersInput(stored({ a: '1', b: null }), 'raw')).toEqual([
      'a',
      Buffer.from('1'),
      'b',
      null,
    ])
  })

  it('are null where there are none', () => {
    for (const input of [undefined, {}, [], new Map()])
      expect(readHeadersInput(input, 'raw')).toBeNull()
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['a string', 'a=1'],
    ['a number', 1],
    ['a pair that is no array', ['ab']],
    ['a pair of three', [['a', '1', '2']]],
    ['a name that is no string', [[1, 'a']]],
    ['a number as value', { a: 1 }],
    ['undefined as value', { a: undefined }],
    ['an array as value, as kafkajs has it', { a: ['1', '2'] }],
    ['bytes', Uint8Array.of(1)],
  ])('are refused when they are %s', (_, input) => {
    const error = refusal(() => readHeadersInput(input, 'orders'))
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain('orders')
  })

  it('name the header whose value is wrong', () => {
    expect(refusal(() => readHeadersInput({ trace: 1 }, 'orders')).details).toEqual({
      header: 'trace',
      value: 1,
    })
  })

  it('are not copied, unless they have to wait', () => {
    const value = Buffer.from('1')
    const flat = readHeadersInput({ a: value }, 'raw') ?? []
    const kept = withOwnValues(flat)
    value[0] = 0x32
    expect(flat[1]).toBe(value)
    expect(kept).toEqual(['a', Buffer.from('1')])
  })
})
