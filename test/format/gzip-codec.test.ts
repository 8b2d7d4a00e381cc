/**
 * Gzip as gzip writers in the field frame it: several members, zero padding, a lying trailer.
 */
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { CorruptBytes } from '../../src/errors/corrupt-bytes.ts'
import { compressGzip, decompressGzip } from '../../src/format/gzip-codec.ts'

const content = Buffer.from('streambed '.repeat(1_000))

describe('a gzip payload', () => {
  it('is written as one member without flags, name or time', () => {
    const member = compressGzip(content)
    expect(member.subarray(0, 9).toString('hex')).toBe('1f8b08000000000000')
    expect(member.readUInt32LE(member.length - 4)).toBe(content.length)
  })

  it('may be several members, of any level', () => {
    const members = [0, 1, 9].map((level) => gzipSync(content, { level }))
    const unpacked = decompressGzip(Buffer.concat(members), 3 * content.length)
    expect(unpacked.equals(Buffer.concat([content, content, content]))).toBe(true)
    expect(() => decompressGzip(Buffer.concat(members), 3 * content.length - 1)).toThrow(
      expect.objectContaining({ reason: 'limit' }),
    )
  })

  it.each([0, 0xffff_ffff])('whose trailer claims %i bytes is refused, not trusted', (claimed) => {
    const lie = Buffer.from(gzipSync(content))
    lie.writeUInt32LE(claimed, lie.length - 4)
    expect(() => decompressGzip(lie, content.length)).toThrow(CorruptBytes)
  })
})
