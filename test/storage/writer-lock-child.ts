/**
 * A process, or a thread, that takes and releases writer locks on request, for
 * writer-lock-processes.test.ts. One request at a time, each answered by one `LockReply`.
 */
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { LogError } from '../../src/errors/log-error.ts'
import { acquireWriterLock } from '../../src/storage/writer-lock.ts'
import type { LockMechanism, WriterLock } from '../../src/storage/writer-lock.ts'

export type LockRequest =
  | {
      readonly kind: 'open'
      readonly directory: string
      readonly mechanisms: readonly LockMechanism[]
    }
  | { readonly kind: 'release' }
  /** Open, work and release, so often, waiting for others; answered 'open' if never disturbed. */
  | {
      readonly kind: 'laps'
      readonly directory: string
      readonly mechanisms: readonly LockMechanism[]
      readonly laps: number
    }

export interface LockReply {
  readonly outcome: string
  readonly details?: unknown
}

let lock: WriterLock | undefined

async function open(
  directory: string,
  mechanisms: readonly LockMechanism[],
  lockTimeoutMs: number,
): Promise<WriterLock> {
  return await acquireWriterLock(directory, {
    lockTimeoutMs,
    mechanisms,
    now: () => 1,
    monotonicNow: () => performance.now(),
    // Impatient, so that as many as can be meet.
    wait: () => delay(1),
  })
}

async function answer(request: LockRequest): Promise<LockReply> {
  try {
    if (request.kind === 'open') lock = await open(request.directory, request.mechanisms, 0)
    if (request.kind === 'release') await lock?.release()
    if (request.kind === 'laps') {
      for (let lap = 0; lap < request.laps; lap += 1) {
        const mine = await open(request.directory, request.mechanisms, 60_000)
        const witness = join(request.directory, 'witness')
        closeSync(openSync(witness, 'wx'))
        unlinkSync(witness)
        await mine.release()
      }
    }
    return { outcome: request.kind === 'release' ? 'released' : 'open' }
  } catch (error) {
    if (LogError.is(error)) return { outcome: error.code, details: error.details }
    return { outcome: String(error) }
  }
}

const reply = (message: LockReply): void => {
  if (parentPort === null) process.send?.(message)
  else parentPort.postMessage(message)
}
const listen = (request: LockRequest): void => void answer(request).then(reply)
if (parentPort === null) process.on('message', listen)
else parentPort.on('message', listen)
reply({ outcome: 'ready' })
