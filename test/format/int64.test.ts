/** int64 as safe integers: every edge, and refusal beyond them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { InvariantError } from '../../src/errors/invariant.ts'
import { readInt64, writeInt64 } from '../../src/format/int64.ts'

const safeIntegers = fc.oneof(
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 2 ** 31, -(2 ** 31) - 1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1, 1 - 2 ** 53),
)

describe('int64', () => {
  it('has the bytes that BigInt64 has, for every safe integer, and reads them back', () => {
    const buffer = Buffer.alloc(10)
    fc.assert(
      fc.property(safeIntegers, (value) => {
        writeInt64(buffer, 1, value)
        expect(buffer.readBigInt64BE(1)).toBe(BigInt(value))
        expect(readInt64(buffer, 1)).toBe(value)
      }),
    )
    expect([buffer[0], buffer[9]]).toEqual([0, 0])
  })

  it.each([2n ** 53n, -(2n ** 53n), 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)])(
    'refuses to read %s, which a double cannot hold exactly',
    (value) => {
      const buffer = Buffer.alloc(8)
      buffer.writeBigInt64BE(value)
      expect(() => readInt64(buffer, 0)).toThrow(CorruptBytes)
      expect(() => readInt64(buffer, 0)).toThrow(expect.objectContaining({ reason: 'number' }))
    },
  )

  it.each([2 ** 53, -(2 ** 53), 0.5, Number.NaN, Number.POSITIVE_INFINITY])(
    'asserts that %s is not written',
    (value) => {
      expect(() => writeInt64(Buffer.alloc(8), 0, value)).toThrow(InvariantError)
    },
  )
})
