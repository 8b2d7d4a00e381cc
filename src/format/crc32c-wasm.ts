/**
 * CRC-32C as WebAssembly: crc32c.wat, compiled. V8 translates it in half a millisecond and runs it
 * at full speed from the first byte on, where it interprets JavaScript for a while.
 *
 * Owns the memory of one instance: its tables, and room for what is summed, which is copied there.
 */
import { webAssembly } from './web-assembly.ts'

/** What crc32c.wat makes, in base64: a test compares the two. */
export const CRC32C_PROGRAM: string =
  'AGFzbQEAAAABCgJgAABgAn9/AX8DAwIAAQUDAQACBxMCBm1lbW9yeQIABmV4dGVuZAABCAEACoEDAoABAQN/A0AgAEEC' +
  'diEBQQghAgNAIAFBAXZB+PbYl3hBACABQQFxa3FzIQEgAkEBayICDQALIAAgATYCACAAQQRqIQAgAEGACEkNAAsDQCAA' +
  'QYAIaygCACEBIAAgAUEIdiABQf8BcUECdCgCAHM2AgAgAEEEaiEAIABBgMAASQ0ACwv8AQEEfyAAQX9zIQJBgMAAIQNB' +
  'gMAAIAFBeHFqIQQCQCADIARGDQADQCACIAMoAgBzIQIgAygCBCEFIAJB/wFxQQJ0KAKAOCACQQZ2QfwHcSgCgDBzIAJB' +
  'DnZB/AdxKAKAKCACQRZ2QfwHcSgCgCBzcyAFQf8BcUECdCgCgBggBUEGdkH8B3EoAoAQcyAFQQ52QfwHcSgCgAggBUEW' +
  'dkH8B3EoAgBzc3MhAiADQQhqIQMgAyAESQ0ACwtBgMAAIAFqIQQCQCADIARGDQADQCACQQh2IAIgAy0AAHNB/wFxQQJ0' +
  'KAIAcyECIANBAWohAyADIARJDQALCyACQX9zCw=='

/** Where in the memory the room for what is summed starts. */
const ROOM_AT = 8_192

interface Crc32cExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  readonly extend: (before: number, byteLength: number) => number
}

/** The checksum that `before` is of, and all of `bytes` behind it; as a signed int32. */
export type ExtendChecksum = (bytes: Uint8Array, before?: number) => number

/**
 * A new instance; undefined where there is no WebAssembly (`node --jitless`), or no address space
 * for its memory.
 */
export function compileCrc32c(): ExtendChecksum | undefined {
  try {
    const { Module, Instance } = webAssembly()
    const instance = new Instance(new Module(Buffer.from(CRC32C_PROGRAM, 'base64')), {})
    const { memory, extend } = instance.exports as Crc32cExports // by crc32c.wat
    const room = new Uint8Array(memory.buffer, ROOM_AT)
    return (bytes, before = 0) => {
      let crc = before
      for (let at = 0; at < bytes.length; at += room.length) {
        const piece = bytes.length <= room.length ? bytes : bytes.subarray(at, at + room.length)
        room.set(piece)
        crc = extend(crc, piece.length)
      }
      return crc
    }
  } catch {
    return undefined
  }
}
