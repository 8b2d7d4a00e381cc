/**
 * Positioned reads off the event loop that end with what was asked for or with the end of the file,
 * however little the system gives at a time, and when a call of it is worth another try.
 */
import fs from 'node:fs'
import { errorCodeOf } from './file-failure.ts'

/** Interrupted or empty calls in a row after which a file is given up. */
export const MAX_STALLS = 128

/** True for a call that did nothing and may do it the next time. */
export function isInterruption(error: unknown): boolean {
  const code = errorCodeOf(error)
  return code === 'EINTR' || code === 'EAGAIN'
}

/** Fills `target` from `position` on; fewer bytes only at the end of the file. */
export async function readFully(fd: number, target: Buffer, position: number): Promise<number> {
  let done = 0
  let stalls = 0
  while (done < target.byteLength) {
    let count = 0
    try {
      count = await readOnce(fd, target, done, position + done)
    } catch (error) {
      if (!isInterruption(error) || ++stalls > MAX_STALLS) throw error
      continue
    }
    if (count === 0) break
    done += count
  }
  return done
}

function readOnce(fd: number, target: Buffer, start: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, target, start, target.byteLength - start, position, (error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}
