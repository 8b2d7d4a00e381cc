/** CRC-32C by Kafka's vectors, and the native and the plain way against each other. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32c, extendCrc32c, loadNativeCrc32c } from '../../src/format/crc32c.ts'
import { InvariantError } from '../../src/errors/invariant.ts'
import { fromHex, loadVectors } from './vectors.ts'

interface CrcVectors {
  readonly vectors: readonly { readonly hex: string; readonly crc32c: number }[]
}

// The order matters: what is computed before the native implementation is loaded is JavaScript's.
const lengths = [0, 1, 15, 16, 40, 255, 256, 257, 1_000, 65_536]
const patterns = lengths.map((length) => Buffer.alloc(length, 'streambed \u00e9'))
const plainExtended = patterns.map((pattern) => extendCrc32c(0xdead_beef, pattern))
const plainResults = patterns.map((pattern) => crc32c(pattern, 0, pattern.length))
loadNativeCrc32c()

describe('crc32c', () => {
  it.each(loadVectors<CrcVectors>('crc32c.json').vectors)('of "$hex" is $crc32c', (vector) => {
    const bytes = fromHex(vector.hex)
    expect(crc32c(bytes, 0, bytes.length)).toBe(vector.crc32c)
  })

  it('gives the same with and without the native implementation', () => {
    expect(patterns.map((pattern) => crc32c(pattern, 0, pattern.length))).toEqual(plainResults)
  })

  it('goes on from any piece to the next, with and without the native implementation', () => {
    expect(patterns.map((pattern) => extendCrc32c(0xdead_beef, pattern))).toEqual(plainExtended)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.nat(2_000), (bytes, cut) => {
        const at = Math.min(cut, bytes.length)
        const whole = extendCrc32c(extendCrc32c(0, bytes.subarray(0, at)), bytes.subarray(at))
        expect(whole).toBe(crc32c(bytes, 0, bytes.length))
      }),
    )
  })

  it('covers its range and nothing else', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 600 }),
        fc.nat(20),
        fc.nat(20),
        (bytes, before, after) => {
          const inside = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(after, 2)])
          expect(crc32c(inside, before, before + bytes.length)).toBe(crc32c(bytes, 0, bytes.length))
        },
      ),
    )
  })

  it('asserts that the range lies inside the buffer', () => {
    expect(() => crc32c(Buffer.alloc(4), 0, 5)).toThrow(InvariantError)
    expect(() => crc32c(Buffer.alloc(4), 3, 2)).toThrow(InvariantError)
  })

  it('is not changed by asking for the native implementation again', () => {
    expect(loadNativeCrc32c()).toBe(loadNativeCrc32c())
  })
})
