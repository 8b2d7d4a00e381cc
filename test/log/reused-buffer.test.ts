/** Memory that one reader reads into again and again: as much as it needs, none while it waits. */
import { describe, expect, it } from 'vitest'
import { ReusedBuffer } from '../../src/log/reused-buffer.ts'

describe('a reused buffer', () => {
  it('is the same one as long as it is large enough', () => {
    const reused = new ReusedBuffer()
    const first = reused.of(262_144)
    expect(first.length).toBe(262_144)
    for (const byteLength of [1, 262_144, 5_000]) expect(reused.of(byteLength)).toBe(first)
    expect(reused.of(262_145).length).toBe(262_145)
  })

  it('shrinks again after a batch that needed megabytes', () => {
    const reused = new ReusedBuffer()
    reused.of(8_388_608)
    expect(reused.of(4_194_304).length).toBe(8_388_608)
    expect(reused.of(262_144).length).toBe(262_144)
  })

  it('holds next to nothing while nothing is read', () => {
    const reused = new ReusedBuffer()
    const large = reused.of(262_144)
    reused.letGo()
    expect(reused.of(10)).not.toBe(large)
    const small = reused.of(10)
    expect(small.length).toBeLessThanOrEqual(16_384)
    reused.letGo()
    expect(reused.of(10)).toBe(small)
  })
})
