/**
 * Types of the one file of `crc-32` that streambed uses: the package ships none for it.
 */
declare module 'crc-32/crc32c.js' {
  const crc32c: {
    /** CRC-32C of all of `bytes`, continuing from `seed`, as a signed int32. */
    buf(bytes: Uint8Array, seed?: number): number
  }
  export default crc32c
}
