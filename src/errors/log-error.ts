/**
 * LogError: the one error class users meet, with a code from a closed set and details typed by it.
 * A message says what, where, and the way out; programs read `code` and `details`, never the text.
 */

/** Every code a `LogError` can carry. */
export const LOG_ERROR_CODES = [
  'INVALID_ARGUMENT',
  'CLOSED',
  'LOCKED',
  'READ_ONLY',
  'TOPIC_EXISTS',
  'TOPIC_NOT_FOUND',
  'PARTITION_NOT_FOUND',
  'CONFIG_MISMATCH',
  'OFFSET_OUT_OF_RANGE',
  'OFFSET_CONFLICT',
  'RECORD_TOO_LARGE',
  'INVALID_RECORD',
  'CORRUPT',
  'UNSUPPORTED_FORMAT',
  'NO_SPACE',
  'IO',
  'TIMEOUT',
  'ABORTED',
  'BUFFER_FULL',
  'FENCED',
  'OUT_OF_ORDER_SEQUENCE',
  'TRANSACTION_ABORTED',
  'REBALANCED',
  'NO_OFFSET',
  'GROUP_NOT_FOUND',
  'GROUP_NOT_EMPTY',
  'WRONG_VERSION',
  'CONDITION_FAILED',
] as const

/** The closed set of reasons for which streambed refuses or fails. */
export type LogErrorCode = (typeof LOG_ERROR_CODES)[number]

/** What `details` holds, for the codes that have a fixed shape. */
export interface LogErrorDetails {
  LOCKED: { readonly pid: number; readonly startedAt: number; readonly directory: string }
  IO: { readonly file?: string; readonly outcome?: 'unknown' }
  OFFSET_OUT_OF_RANGE: {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    readonly logStartOffset: number
    readonly logEndOffset: number
  }
  WRONG_VERSION: { readonly expected: 'none' | 'exists' | number; readonly actual: number }
  CONDITION_FAILED: { readonly after: number | undefined; readonly position: number }
  CORRUPT: {
    readonly topic: string
    readonly partition: number
    readonly file: string
    readonly position: number
    readonly offset: number | null
  }
  INVALID_RECORD: {
    readonly issues?: readonly {
      readonly message: string
      readonly path?: readonly PropertyKey[]
    }[]
  }
}

/**
 * The shape of `details` for one code; a frozen bag of values where the code has none of its own.
 */
export type DetailsOf<C> = C extends keyof LogErrorDetails
  ? LogErrorDetails[C]
  : Readonly<Record<string, unknown>>

/** Codes for which the same call may succeed later without a change by the caller. */
const RETRIABLE: ReadonlySet<LogErrorCode> = new Set([
  'LOCKED',
  'NO_SPACE',
  'TIMEOUT',
  'BUFFER_FULL',
  'REBALANCED',
])

/**
 * Recognises errors of another copy of this package, or of another thread, where instanceof fails.
 */
const MARK = 'streambed.LogError'

/**
 * The error of every refused or failed call.
 *
 * @example
 * ```ts
 * try { await EventLog.open('./data') } catch (error) {
 *   if (LogError.is(error, 'LOCKED')) console.error('held by', error.details.pid)
 * }
 * ```
 */
export class LogError<C extends LogErrorCode = LogErrorCode> extends Error {
  override readonly name: string
  /** Why, from the closed set. */
  readonly code: C
  /** What exactly, typed by `code`. */
  readonly details: DetailsOf<C>
  /** True where the same call may succeed later. */
  readonly retriable: boolean
  /** Present on every LogError, structured clones included. @internal */
  readonly kind: string = MARK

  constructor(
    code: C,
    message: string,
    details: DetailsOf<C>,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options)
    this.name = code === 'ABORTED' ? 'AbortError' : 'LogError'
    this.code = code
    this.details = Object.freeze({ ...details }) as DetailsOf<C> // a frozen copy has the same shape
    this.retriable = RETRIABLE.has(code)
  }

  /**
   * True for a LogError with one of `codes` (any code when none is given), of whichever copy of the
   * package.
   */
  static is<C extends LogErrorCode>(error: unknown, ...codes: readonly C[]): error is LogError<C> {
    if (typeof error !== 'object' || error === null) return false
    // reads only, checked below
    const { kind, code } = error as { readonly kind?: unknown; readonly code?: unknown }
    if (kind !== MARK && !(error instanceof LogError)) return false
    const wanted: readonly unknown[] = codes
    return wanted.length === 0 || wanted.includes(code)
  }
}

/** The caller gave a value that can never be right: names the value and what is allowed. */
export function invalidArgument(
  message: string,
  details: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): LogError<'INVALID_ARGUMENT'> {
  return new LogError(
    'INVALID_ARGUMENT',
    message,
    details,
    cause === undefined ? undefined : { cause },
  )
}
