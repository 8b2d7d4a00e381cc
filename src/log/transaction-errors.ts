/**
 * What transactions fail with. That one was aborted is TRANSACTION_ABORTED, with what caused it as
 * its cause; IO with `outcome: 'unknown'` says that nobody can tell before the log is opened anew.
 */
import { LogError } from '../errors/log-error.ts'

/** The transaction was aborted: nothing of it is visible. */
export function transactionAborted(
  transactionalId: string,
  why: string,
  cause?: unknown,
): LogError<'TRANSACTION_ABORTED'> {
  return new LogError(
    'TRANSACTION_ABORTED',
    `the transaction of ${transactionalId} was aborted: ${why}`,
    { transactionalId },
    cause === undefined ? undefined : { cause },
  )
}

/** It was open for longer than its producer allows. */
export function timedOut(
  transactionalId: string,
  timeoutMs: number,
): LogError<'TRANSACTION_ABORTED'> {
  return new LogError(
    'TRANSACTION_ABORTED',
    `the transaction of ${transactionalId} was aborted: it was not committed within its ` +
      `transactionTimeoutMs (${timeoutMs})`,
    { transactionalId, transactionTimeoutMs: timeoutMs },
  )
}

/** A newer producer has the transactional id. */
export function fenced(transactionalId: string): LogError<'FENCED'> {
  return new LogError(
    'FENCED',
    `a newer producer has the transactionalId ${transactionalId}: close this one; ids are for one ` +
      'producer at a time',
    { transactionalId },
  )
}

/** The transaction is over: nothing can be added to it. */
export function transactionOver(transactionalId: string): LogError<'CLOSED'> {
  return new LogError('CLOSED', `the transaction of ${transactionalId} is over: begin another`, {
    transactionalId,
  })
}

/** Whether it is committed shows when the log is opened anew. */
export function outcomeUnknown(transactionalId: string, cause: unknown): LogError<'IO'> {
  return new LogError(
    'IO',
    `whether the transaction of ${transactionalId} is committed cannot be told before the log was ` +
      'closed and opened again: its commit could neither be made durable nor be taken back',
    { outcome: 'unknown' },
    { cause },
  )
}

/** An earlier transaction has an unknown outcome. */
export function undecidedSince(what: string, cause: LogError): LogError<'READ_ONLY'> {
  return new LogError(
    'READ_ONLY',
    `${what} takes no transactions since one has an unknown outcome: close the log and open it again`,
    {},
    { cause },
  )
}

/**
 * Why no transaction began: of an older one it may be unknown what became of it, of this one it is
 * not.
 */
export function notBegun(transactionalId: string, cause: unknown): unknown {
  if (!LogError.is(cause, 'IO') || cause.details.outcome !== 'unknown') return cause
  return new LogError(
    'IO',
    `no transaction of ${transactionalId} can begin: what is recorded of the ones before could not ` +
      'be made durable; close the log and open it again',
    {},
    { cause },
  )
}
