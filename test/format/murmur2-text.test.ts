/** murmur2 of strings: the same as that of their UTF-8, whatever is in them. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2 } from '../../src/format/murmur2.ts'
import { murmur2OfText } from '../../src/format/murmur2-text.ts'

interface Vector {
  readonly text: string | null
  readonly murmur2: number
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../vectors/murmur2.json', import.meta.url), 'utf8'),
) as { readonly vectors: readonly Vector[] }

describe('murmur2OfText', () => {
  it("gives Kafka's hash for every text it hashed", () => {
    const texts = vectors.filter(({ text }) => typeof text === 'string')
    expect(texts.length).toBeGreaterThan(10)
    for (const { text, murmur2: hash } of texts) expect(murmur2OfText(String(text))).toBe(hash)
  })

  it('agrees with the hash of the bytes, for ASCII and anything else, lone surrogates too', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary-ascii' }),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
    )
    fc.assert(
      fc.property(text, (key) => {
        expect(murmur2OfText(key)).toBe(murmur2(Buffer.from(key)))
      }),
    )
  })

  it('tells ASCII from its neighbours at every place of a word', () => {
    for (let length = 1; length <= 9; length += 1) {
      for (let at = 0; at < length; at += 1) {
        for (const letter of ['\u007f', '\u0080', '\u0100', '€']) {
          const key = `${'a'.repeat(at)}${letter}${'a'.repeat(length - at - 1)}`
          expect(murmur2OfText(key)).toBe(murmur2(Buffer.from(key)))
        }
      }
    }
  })
})
