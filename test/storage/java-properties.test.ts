/** Java's .properties text: what java.util.Properties reads, and round trips. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatJavaProperties, parseJavaProperties } from '../../src/storage/java-properties.ts'

describe('Java properties', () => {
  it.each<[string, string, Record<string, string>]>([
    [
      'all separators',
      'a=1\nb:2\nc 3\nd\t4\ne = 5\nf : 6\n',
      { a: '1', b: '2', c: '3', d: '4', e: '5', f: '6' },
    ],
    ['only the first separator', 'a==b\nc = :d\ne  f\n', { a: '=b', c: ':d', e: 'f' }],
    ['comments and blank lines', '#\n# a=1\n  ! b=2\n\n \t\nc=3\n', { c: '3' }],
    ['no comment behind a value', 'a=1 # one\n', { a: '1 # one' }],
    ['white space before a key and behind a value', '  a=1 \n', { a: '1 ' }],
    ['all line ends, and none at the end', 'a=1\r\nb=2\rc=3', { a: '1', b: '2', c: '3' }],
    ['keys without a value, and values without a key', 'a\nb=\n=c\n', { a: '', b: '', '': 'c' }],
    ['continued lines', 'a=1,\\\n   2,\\\r\n\t3\nb=4\\\\\nc=5\\', { a: '1,2,3', b: '4\\', c: '5' }],
    ['a blank line continued by nothing', '\\\n\na=1\n\\', { a: '1' }],
    ['a continued line that looks like a comment', 'a=1\\\n#2\n', { a: '1#2' }],
    [
      'escapes',
      'a\\=\\:\\ b=\\t\\n\\r\\f\\\\\\q\\u00e9\\u20AC\n',
      { 'a=: b': '\t\n\r\f\\q\u00e9\u20ac' },
    ],
    ['the last of a key', 'a=1\na=2\n', { a: '2' }],
    ['nothing', '', {}],
  ])('%s', (_what, text, expected) => {
    expect(Object.fromEntries(parseJavaProperties(text) ?? [['damaged', '']])).toEqual(expected)
  })

  it.each(['a=\\u12', 'a=\\uxyzw', '\\u=1'])('%j is damage', (text) => {
    expect(parseJavaProperties(text)).toBeUndefined()
  })

  it('gives back what was written, whatever the characters, in ASCII', () => {
    const characters = [
      'a',
      ' ',
      '\t',
      '\n',
      '\r',
      '\f',
      '\\',
      '=',
      ':',
      '#',
      '!',
      'u',
      '\0',
      '\u00e9',
      '\ud83d',
    ]
    const text = fc
      .array(fc.constantFrom(...characters), { maxLength: 8 })
      .map((all) => all.join(''))
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 3 }), (pairs) => {
        const properties = new Map(pairs)
        const written = formatJavaProperties(properties)
        expect(written).toMatch(/^[ -~\n]*$/)
        expect(parseJavaProperties(written)).toEqual(properties)
      }),
    )
  })
})
