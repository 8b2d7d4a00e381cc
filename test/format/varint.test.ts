/** Zigzag varints by Kafka's vectors, edge values and encodings that are refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  VarintReader,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '../../src/format/varint.ts'
import { fromHex, loadVectors } from './vectors.ts'

interface VarintVectors {
  readonly varint: readonly {
    readonly value: number
    readonly hex: string
    readonly size: number
  }[]
  readonly varlong: readonly {
    readonly value: string
    readonly hex: string
    readonly size: number
  }[]
  readonly invalidVarint: readonly {
    readonly hex: string
    readonly readVarint: string
    readonly readVarlong: string
  }[]
}

const vectors = loadVectors<VarintVectors>('varint.json')

function readVarint(bytes: Buffer, at = 0, end = bytes.length): { value: number; next: number } {
  const reader = new VarintReader()
  reader.position = at
  return { value: reader.readVarint(bytes, end), next: reader.position }
}

function readVarlong(bytes: Buffer, at = 0, end = bytes.length): { value: number; next: number } {
  const reader = new VarintReader()
  reader.position = at
  return { value: reader.readVarlong(bytes, end), next: reader.position }
}

describe('varint', () => {
  it.each(vectors.varint)('$value is $hex, as in Kafka, both ways', ({ value, hex, size }) => {
    const buffer = Buffer.alloc(size + 2, 0xee)
    expect(writeVarint(buffer, 1, value)).toBe(1 + size)
    expect(buffer.toString('hex')).toBe(`ee${hex}ee`)
    expect(varintBytes(value)).toBe(size)
    expect(readVarint(buffer, 1)).toEqual({ value, next: 1 + size })
  })

  it('round trips every int32 in varintBytes bytes', () => {
    const buffer = Buffer.alloc(5)
    fc.assert(
      fc.property(fc.integer(), (value) => {
        const end = writeVarint(buffer, 0, value)
        expect(end).toBe(varintBytes(value))
        expect(readVarint(buffer, 0, end)).toEqual({ value, next: end })
      }),
    )
  })
})

describe('varlong', () => {
  const isSafe = (value: string): boolean => Number.isSafeInteger(Number(value))

  it.each(vectors.varlong.filter(({ value }) => isSafe(value)))(
    '$value is $hex, as in Kafka, both ways',
    ({ value: text, hex, size }) => {
      const value = Number(text)
      const buffer = Buffer.alloc(size + 2, 0xee)
      expect(writeVarlong(buffer, 1, value)).toBe(1 + size)
      expect(buffer.toString('hex')).toBe(`ee${hex}ee`)
      expect(varlongBytes(value)).toBe(size)
      expect(readVarlong(buffer, 1)).toEqual({ value, next: 1 + size })
    },
  )

  it.each(vectors.varlong.filter(({ value }) => !isSafe(value)))(
    'refuses $value, which a double cannot hold exactly',
    ({ hex }) => {
      expect(() => readVarlong(fromHex(hex))).toThrow(expect.objectContaining({ reason: 'number' }))
    },
  )

  it.each([
    [2 ** 34 + 2 ** 27, 6],
    [2 ** 34, 6],
    [2 ** 34 - 1, 5],
    [-(2 ** 34), 5],
    [-(2 ** 34) - 1, 6],
  ])('%i takes %i bytes', (value, byteLength) => {
    expect(varlongBytes(value)).toBe(byteLength)
    expect(writeVarlong(Buffer.alloc(10), 0, value)).toBe(byteLength)
  })

  it('round trips every safe integer in varlongBytes bytes', () => {
    const buffer = Buffer.alloc(10)
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 52 }), (any, shift) => {
        const value = Math.trunc(any / 2 ** shift) + 0 // + 0 turns -0 into 0
        const end = writeVarlong(buffer, 0, value)
        expect(end).toBe(varlongBytes(value))
        expect(readVarlong(buffer, 0, end)).toEqual({ value, next: end })
      }),
    )
  })

  it('asserts that an unsafe integer is not written', () => {
    expect(() => writeVarlong(Buffer.alloc(10), 0, 2 ** 53)).toThrow(InvariantError)
  })

  it('reads a small number from ten bytes, ignoring what an int64 has no bits for', () => {
    expect(readVarlong(fromHex('8480808080808080807e'))).toEqual({ value: 2, next: 10 })
  })
})

describe('an encoding that Kafka rejects', () => {
  it.each(vectors.invalidVarint)('$hex fails or gives the same value here', (vector) => {
    const bytes = fromHex(vector.hex)
    const refusal: unknown = expect.objectContaining({ name: 'CorruptBytes', reason: 'record' })
    expect(vector.readVarint).toMatch(/Exception$/)
    expect(() => readVarint(bytes)).toThrow(refusal)
    if (vector.readVarlong.startsWith('ok:')) {
      expect(readVarlong(bytes).value).toBe(Number(vector.readVarlong.slice(3)))
    } else {
      expect(() => readVarlong(bytes)).toThrow(refusal)
    }
  })

  it('never makes a reader look at a byte behind its end, nor fail with anything but CorruptBytes', () => {
    // The bytes behind the end differ between the two runs: a reader that looked would differ too.
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const outcome = (padding: number, read: typeof readVarint): unknown => {
          const padded = Buffer.concat([bytes, Buffer.alloc(12, padding)])
          try {
            const result = read(padded, 0, bytes.length)
            expect(result.next).toBeLessThanOrEqual(bytes.length)
            return result
          } catch (error) {
            expect(error).toBeInstanceOf(CorruptBytes)
            return (error as CorruptBytes).reason // just checked
          }
        }
        expect(outcome(0x00, readVarint)).toEqual(outcome(0xff, readVarint))
        expect(outcome(0x00, readVarlong)).toEqual(outcome(0xff, readVarlong))
      }),
    )
  })
})
