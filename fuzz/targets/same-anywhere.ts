/**
 * Reading something that lies inside of other bytes: what is around it decides nothing.
 */
import { promiseEqual, unlessCorrupt } from '../fuzz-target.ts'

const SURROUNDINGS = [0x00, 0xff, 0x01] as const
const AROUND_BYTES = 9

type Read<T> = (buffer: Buffer, at: number, length: number) => T

/** What `read` makes of `bytes`, whatever lies before and behind them; undefined for a refusal. */
export function sameAnywhere<T>(bytes: Buffer, read: Read<T>): T | undefined {
  const all = SURROUNDINGS.map((byte) => {
    const around = Buffer.alloc(AROUND_BYTES, byte)
    const buffer = Buffer.concat([around, bytes, around])
    return unlessCorrupt(() => read(buffer, AROUND_BYTES, bytes.length))
  })
  for (const one of all) promiseEqual(one, all[0], 'what lies around it decides nothing')
  return all[0]
}
