/**
 * The codecs that can be written and read here: what needs an optional package is left out where
 * that is not installed, so that the suites run without any of them too.
 */
import { COMPRESSION_CODECS, type Codec, isCodecAvailable } from '../../src/format/compression.ts'

/** Whether `codec` can be written and read back here. */
export function isUsable(codec: Codec): boolean {
  return isCodecAvailable(codec, 'compress') && isCodecAvailable(codec, 'decompress')
}

/** All of them, 'none' included. */
export const USABLE_CODECS: readonly Codec[] = COMPRESSION_CODECS.filter(isUsable)
