/**
 * murmur2 against Kafka's own results.
 */
import { describe, expect, it } from 'vitest'
import { murmur2 } from '../../src/format/murmur2.ts'
import { fromHex, loadVectors } from './vectors.ts'

interface MurmurFile {
  readonly vectors: readonly { readonly hex: string; readonly murmur2: number }[]
}

describe('murmur2', () => {
  it.each(loadVectors<MurmurFile>('murmur2.json').vectors)('of "$hex" is $murmur2', (vector) => {
    const bytes = fromHex(vector.hex)
    expect(murmur2(bytes)).toBe(vector.murmur2)
    expect(murmur2(new Uint8Array(bytes))).toBe(vector.murmur2)
  })
})
