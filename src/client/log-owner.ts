/**
 * Finding the owner of a shared log from another thread of its process, by the handle that it gave:
 * what somebody who attaches does before anything is opened. The owner's side is shared-log.ts.
 *
 * Whoever listens on the channel before looking at the lock record is answered if the record was
 * there (I2 of shared-log.ts), so there is no race with an owner that closes, and nothing is tried
 * again. An owner's thread that was terminated cannot answer and has not given its lock back: that
 * alone is found out by time.
 */
import { isAbsolute } from 'node:path'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { holderOfLock } from '../storage/live-writer.ts'
import { describeValue } from './check-options.ts'
import { channelOf, messageOf } from './shared-log.ts'

const CALL = 'EventLog.attach'
/** An owner answers between two turns of its event loop. */
const ANSWER_TIMEOUT_MS = 60_000

/** A handle of a log on disk. */
export interface AttachableHandle {
  readonly directory: string
  readonly id: string
}

/** @throws {LogError} INVALID_ARGUMENT for what `log.share` did not give. */
export function checkHandle(value: unknown): AttachableHandle {
  if (typeof value === 'object' && value !== null && 'directory' in value && 'id' in value) {
    const { directory, id } = value
    if (typeof directory === 'string' && isAbsolute(directory) && typeof id === 'string')
      return { directory, id }
  }
  throw invalidArgument(
    `${CALL}: takes the handle that log.share() gave in a thread of this process, not ${describeValue(value)}`,
    { value },
  )
}

/** What a log fails with whose owner is gone. */
export function ownerClosed({ directory }: AttachableHandle): LogError<'CLOSED'> {
  return new LogError(
    'CLOSED',
    `${CALL}: the log in ${directory} that was shared is closed: share it again where it is open now, or open the directory with readOnly: true`,
    { call: CALL, directory },
  )
}

/**
 * Asks the owner for the memory that its readers wait on.
 * @throws {LogError} CLOSED where the log was closed since; INVALID_ARGUMENT for the handle of
 *   another process; TIMEOUT where the owner's thread does not answer; IO.
 */
export async function findOwner(
  handle: AttachableHandle,
  clock: Clock,
): Promise<SharedArrayBuffer> {
  const channel = channelOf(handle.id) // Holds the process: somebody waits to read.
  let timer: unknown
  const answer = new Promise<SharedArrayBuffer>((resolve, reject) => {
    timer = clock.setTimeout(() => reject(noAnswer(handle)), ANSWER_TIMEOUT_MS)
    channel.addEventListener('message', (event) => {
      const message = messageOf(event)
      if (message === 'closed') reject(ownerClosed(handle))
      // A 'hello' is another one's that attaches.
      else if (message !== undefined && message !== 'hello') resolve(message.memory)
    })
  })
  answer.catch(() => undefined) // Whoever fails before it came does not wait for it.
  try {
    channel.postMessage('hello')
    const holder = holderOfLock(handle.directory, handle.id)
    if (holder === 'nobody') throw ownerClosed(handle)
    if (holder === 'elsewhere') throw sharedElsewhere(handle)
    return await answer
  } finally {
    clock.clearTimeout(timer)
    channel.close()
  }
}

function sharedElsewhere({ directory }: AttachableHandle): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(
    `${CALL}: the log in ${directory} was shared by another process, and only its own threads can attach to it: use EventLog.open(directory, { readOnly: true })`,
    { directory },
  )
}

function noAnswer({ directory }: AttachableHandle): LogError<'TIMEOUT'> {
  const message = `${CALL}: the thread that shared ${directory} did not answer for ${ANSWER_TIMEOUT_MS} ms: it is blocked, or was terminated without closing the log`
  return new LogError('TIMEOUT', message, { directory, timeoutMs: ANSWER_TIMEOUT_MS })
}
