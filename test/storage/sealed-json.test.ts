/** JSON objects with a checksum of themselves: what changes it, what does not, damage. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c } from '../../src/format/crc32c.ts'
import {
  canonicalJson,
  isSealedText,
  jsonObject,
  parseJson,
  sealed,
  sealedText,
  unsealed,
} from '../../src/storage/sealed-json.ts'

/** Objects as they come out of JSON.parse, odd names included. */
const objects = fc
  .dictionary(
    fc.oneof(fc.constantFrom('__proto__', 'constructor', '1', 'a'), fc.string({ maxLength: 5 })),
    fc.jsonValue(),
    { maxKeys: 6 },
  )
  .map((members) => jsonObject(Object.entries(members).filter(([name]) => name !== 'crc')))

describe('sealed JSON', () => {
  it('gives back what was sealed, however the text is indented', () => {
    fc.assert(
      fc.property(objects, fc.nat({ max: 3 }), (members, indent) => {
        const text = JSON.stringify(sealed(members), null, indent)
        expect(canonicalJson(unsealed(parseJson(text)))).toBe(
          canonicalJson(JSON.parse(JSON.stringify(members))),
        )
      }),
    )
  })

  it('covers the canonical text: sorted by code unit at every level, without white space', () => {
    const members = { b: [1, 'é', null, { z: -0, a: 1e21 }], a: {}, 10: true, 9: '\ud800' }
    const text = '{"10":true,"9":"\\ud800","a":{},"b":[1,"é",null,{"a":1e+21,"z":0}]}'
    expect(canonicalJson(members)).toBe(text)
    const bytes = Buffer.from(text)
    expect(sealed(members)['crc']).toBe(crc32c(bytes, 0, bytes.byteLength))
  })

  it('is judged by its bytes where it is written as its canonical text', () => {
    fc.assert(
      fc.property(objects, fc.nat(), fc.integer({ min: 1, max: 255 }), (some, at, change) => {
        const members = jsonObject([...Object.entries(some), ['a', 1]])
        const text = sealedText(members)
        const { crc } = sealed(members)
        expect(canonicalJson(unsealed(parseJson(text)))).toBe(canonicalJson(members))
        const bytes = Buffer.from(text)
        expect(isSealedText(bytes, crc)).toBe(true)
        expect(isSealedText(bytes, Number(crc) ^ 1)).toBe(false)
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ change
        expect(isSealedText(bytes, crc)).toBe(false)
      }),
    )
    expect(isSealedText(Buffer.alloc(0), 0)).toBe(false)
    expect(isSealedText(Buffer.from('{"a":1,"crc":null}'), null)).toBe(false)
  })

  it('leaves out members without a value, as JSON does', () => {
    expect(canonicalJson({ a: undefined, b: [undefined] })).toBe('{"b":[null]}')
  })

  it('has no prototype, so __proto__ is a member like any other', () => {
    const read = unsealed(
      parseJson(JSON.stringify(sealed(jsonObject([['__proto__', { polluted: true }]])))),
    )
    expect(Object.keys(read ?? {})).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(read)).toBeNull()
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })

  it('a change of any value, name or member is seen', () => {
    const text = JSON.stringify(sealed({ topics: { orders: { partitions: 3 } }, list: ['a', 'b'] }))
    const changes = [
      ['3', '4'],
      ['orders', 'orderz'],
      ['"a","b"', '"b","a"'],
      ['"list":', '"more":1,"list":'],
      [',"crc":', ',"crc":1'],
    ]
    for (const [from = '', to = ''] of changes) {
      expect(text).toContain(from)
      expect(unsealed(parseJson(text.replace(from, to)))).toBeUndefined()
    }
  })

  it.each([
    '',
    '{',
    'null',
    '[]',
    '"text"',
    '12',
    '{}',
    '{"a":1}',
    '{"a":1,"crc":"1"}',
    '\0\0\0',
    `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)},"crc":1}`,
  ])('is none: case %#', (text) => {
    expect(unsealed(parseJson(text))).toBeUndefined()
  })
})
