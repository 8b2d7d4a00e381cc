/** Records as lines of text: exact there and back, whatever the bytes; and what is no record. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lineOf, recordOf, type TextRecord } from '../../src/client/record-text.ts'

const bytes = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some)),
    fc.string({ unit: 'binary', maxLength: 20 }).map((text) => Buffer.from(text)),
  ),
)
const headers = fc.array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 5 }), bytes), {
  maxLength: 4,
})

/** What the line says, which has to be a record. */
function read(line: string): TextRecord {
  const record = recordOf(line)
  if (typeof record === 'string') throw new Error(record)
  return record
}

describe('a line', () => {
  it('gives back the record that it was made of, byte for byte', () => {
    fc.assert(
      fc.property(
        bytes,
        bytes,
        headers,
        fc.nat(),
        fc.nat(),
        (keyBytes, valueBytes, all, one, two) => {
          const record = { partition: one, offset: two, timestamp: one, keyBytes, valueBytes }
          const line = lineOf({ ...record, headers: all })
          expect(line.indexOf('\n')).toBe(line.length - 1)
          expect(read(line)).toEqual({
            partition: one,
            timestamp: one,
            key: keyBytes,
            value: valueBytes,
            headers: all,
          })
        },
      ),
    )
  })

  it('has text where the bytes are text, and says so where they are not', () => {
    const place = { partition: 0, offset: 7, timestamp: 5, headers: [] }
    const text = lineOf({
      ...place,
      keyBytes: Buffer.from('o-1'),
      valueBytes: Buffer.from('zwölf'),
    })
    expect(JSON.parse(text)).toEqual({
      partition: 0,
      offset: 7,
      timestamp: 5,
      key: 'o-1',
      value: 'zwölf',
      headers: [],
    })
    const binary = lineOf({
      ...place,
      keyBytes: Buffer.from([0xff]),
      valueBytes: Buffer.from([0xfe]),
    })
    expect(JSON.parse(binary)).toMatchObject({
      key: '/w==',
      keyEncoding: 'base64',
      value: '/g==',
      encoding: 'base64',
    })
  })

  it('leaves out a timestamp that the record had none of', () => {
    const place = { partition: 0, offset: 7, timestamp: -1, headers: [] }
    expect(read(lineOf({ ...place, keyBytes: null, valueBytes: null })).timestamp).toBeUndefined()
  })

  it.each([
    '',
    'null',
    '[]',
    '{',
    '{}',
    '{"key":"k"}',
    '{"value":1}',
    '{"value":{"a":1}}',
    '{"value":"v","vale":"v"}',
    '{"value":"v","key":7}',
    '{"value":"v","partition":-1}',
    '{"value":"v","partition":1.5}',
    '{"value":"v","offset":"7"}',
    '{"value":"v","timestamp":-2}',
    '{"value":"v","timestamp":"2026"}',
    '{"value":"\\ud800"}',
    '{"value":"?","encoding":"base64"}',
    '{"value":"/w","encoding":"base64"}',
    '{"value":"v","encoding":"latin1"}',
    '{"value":"v","headers":{"a":"b"}}',
    '{"value":"v","headers":["a"]}',
    '{"value":"v","headers":[{"value":"b"}]}',
    '{"value":"v","headers":[{"name":"a","value":1}]}',
    '{"value":"v","headers":[{"name":"a","val":"b"}]}',
  ])('that says no record is refused: %s', (line) => {
    expect(typeof recordOf(line)).toBe('string')
  })

  it('never fails with anything but a reason, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((one) => `{"value":${one}}`),
        ),
        (line) => {
          const record = recordOf(line)
          expect(typeof record === 'string' || record.headers.length >= 0).toBe(true)
        },
      ),
    )
  })
})
