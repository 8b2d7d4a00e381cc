/** CRC-32C by WebAssembly: what it is made of, what it gives, and when it is made. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import plain from 'crc-32/crc32c.js'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import loadWabt from 'wabt'
import { compileCrc32c, CRC32C_PROGRAM } from '../../src/format/crc32c-wasm.ts'
import { webAssembly } from '../../src/format/web-assembly.ts'
import { CHECKOUT } from '../support/source-text.ts'
import { withOtherPackages } from './without-packages.ts'

/** Of its memory, what a piece has room in. */
const ROOM_BYTES = 131_072 - 8_192

/** Loads it as it is in a process that has summed nothing yet. */
const load = (): Promise<typeof import('../../src/format/crc32c.ts')> =>
  import('../../src/format/crc32c.ts')
const AS_INSTALLED: ReadonlyMap<string, unknown> = new Map()

afterEach(() => {
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

describe('the program', () => {
  it('is what its text says', async () => {
    const wabt = await loadWabt()
    const text = readFileSync(join(CHECKOUT, 'src/format/crc32c.wat'), 'utf8')
    const { buffer } = wabt.parseWat('crc32c.wat', text).toBinary({})
    expect(CRC32C_PROGRAM).toBe(Buffer.from(buffer).toString('base64'))
  })

  it('gives what the plain implementation gives, in pieces too', () => {
    const extend = compileCrc32c()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.nat(3_000), (bytes, cut) => {
        const at = Math.min(cut, bytes.length)
        expect(extend?.(bytes)).toBe(plain.buf(bytes))
        expect(extend?.(bytes.subarray(at), extend(bytes.subarray(0, at)))).toBe(plain.buf(bytes))
      }),
    )
  })

  it.each([-1, 0, 1, ROOM_BYTES - 1, ROOM_BYTES, 3 * ROOM_BYTES + 5])(
    'sums more than it has room for: by %i bytes',
    (more) => {
      const bytes = Buffer.alloc(ROOM_BYTES + more, 'streambed \u00e9')
      expect(compileCrc32c()?.(bytes, 0x1234_5678)).toBe(plain.buf(bytes, 0x1234_5678))
    },
  )

  it('is not made where there is no WebAssembly', () => {
    vi.stubGlobal('WebAssembly', undefined)
    expect(compileCrc32c()).toBeUndefined()
  })
})

describe('crc32c', () => {
  it('compiles it with the eighth kilobyte of long ranges, once', async () => {
    const made = vi.spyOn(webAssembly(), 'Module')
    const bytes = Buffer.alloc(4_096, 'streambed')
    await withOtherPackages(AS_INSTALLED, load, ({ crc32c }) => {
      for (let i = 0; i < 100; i += 1) crc32c(bytes, 0, 255)
      crc32c(bytes, 0, 4_096)
      expect(made).not.toHaveBeenCalled()
      expect(crc32c(bytes, 0, 4_096)).toBe(plain.buf(bytes) >>> 0)
      crc32c(bytes, 0, 4_096)
      expect(made).toHaveBeenCalledOnce()
    })
  })

  it('does without it where it cannot be compiled, and tries once', async () => {
    const Module = vi.fn<() => never>(function none() {
      throw new RangeError('out of memory')
    })
    vi.stubGlobal('WebAssembly', { Module })
    const bytes = Buffer.alloc(10_000, 'streambed')
    await withOtherPackages(AS_INSTALLED, load, ({ crc32c, extendCrc32c }) => {
      for (let i = 0; i < 3; i += 1) expect(crc32c(bytes, 0, 10_000)).toBe(plain.buf(bytes) >>> 0)
      expect(extendCrc32c(5, bytes)).toBe(plain.buf(bytes, 5) >>> 0)
    })
    expect(Module).toHaveBeenCalledOnce()
  })
})
