/**
 * `log.scrub`: the verification of a log while it is open, beside reads and writes, no faster than
 * it is told. What it finds is in its report, and on the log as a `DAMAGE` warning.
 */
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { holdProcess, nextTurn, type Clock } from '../log/clock.ts'
import type { Damage } from '../log/damage.ts'
import {
  DirectoryVerification,
  type VerifyFindings,
  type VerifyInput,
} from '../log/verify-directory.ts'
import { checkOptions, describeValue } from './check-options.ts'
import type { VerifyReport } from './log-reports.ts'
import { aborted, reportOf } from './log-verify.ts'
import { damageFoundByScrub, type Warn } from './log-warnings.ts'
import { signalOf } from './position.ts'

/** Options of `log.scrub`. */
export interface ScrubOptions {
  /** Default: no limit but the event loop's turns. */
  maxBytesPerSecond?: number | undefined
  /** Ends it with `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** What a scrub needs of its log. */
export interface ScrubHost {
  readonly clock: Clock
  readonly holdsProcess: boolean
  readonly isOpen: boolean
  readonly warn: Warn
  onClosing(listener: () => void): () => void
}

const CALL = 'log.scrub'
/** Bytes read before the event loop has its turn. */
const STEP_BYTES = 1_048_576
/** A limit is kept in slices: what a second allows, so many times. */
const SLICES_A_SECOND = 20

/** Verifies the open log; see `EventLog.scrub`. */
export async function scrubLog(
  host: ScrubHost,
  input: VerifyInput,
  options: ScrubOptions | undefined,
): Promise<VerifyReport> {
  checkOptions(options, ['maxBytesPerSecond', 'signal'], CALL)
  const rate = rateOf(options?.maxBytesPerSecond)
  const signal = signalOf(options?.signal, CALL)
  const release = host.holdsProcess ? holdProcess() : () => undefined
  const pace = new Pace(host, signal, rate)
  const verification = new DirectoryVerification(input)
  // At once, while the log's files can still be given back.
  const forget = host.onClosing(() => {
    verification.stop()
    pace.wake()
  })
  try {
    const findings = await pace.drive(verification)
    for (const [first, ...rest] of byPartition(findings.damage)) {
      if (first !== undefined) host.warn(damageFoundByScrub(first, [first, ...rest]))
    }
    return reportOf(findings, pace.elapsedMs)
  } finally {
    forget()
    verification.stop()
    pace.end()
    release()
  }
}

/** Steps no faster than the rate, and waits so that it can be woken. */
class Pace {
  readonly #host: ScrubHost
  readonly #signal: AbortSignal | null
  readonly #rate: number
  readonly #startedMs: number
  #wake: (() => void) | undefined
  #timer: unknown

  constructor(host: ScrubHost, signal: AbortSignal | null, rate: number) {
    this.#host = host
    this.#signal = signal
    this.#rate = rate
    this.#startedMs = host.clock.monotonicNow()
    signal?.addEventListener('abort', this.wake)
  }

  /** Ends a wait before its time. */
  readonly wake = (): void => {
    this.#wake?.()
  }

  get elapsedMs(): number {
    return this.#host.clock.monotonicNow() - this.#startedMs
  }

  async drive(verification: DirectoryVerification): Promise<VerifyFindings> {
    const stepBytes = Math.min(STEP_BYTES, Math.max(1, Math.ceil(this.#rate / SLICES_A_SECOND)))
    for (;;) {
      this.#check()
      const goesOn = verification.step(stepBytes)
      const { findings } = verification
      if (!goesOn && findings !== undefined) return findings
      const dueMs = (verification.progress.bytes / this.#rate) * 1000
      await this.#wait(dueMs - this.elapsedMs)
    }
  }

  /** Lets go of clock and signal. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.wake)
    if (this.#timer !== undefined) this.#host.clock.clearTimeout(this.#timer)
  }

  #check(): void {
    if (this.#signal?.aborted === true) throw aborted(this.#signal, CALL)
    if (!this.#host.isOpen)
      throw new LogError('CLOSED', `${CALL}: the log was closed`, { call: CALL })
  }

  async #wait(ms: number): Promise<void> {
    if (!(ms > 0)) return await nextTurn()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#timer = this.#host.clock.setTimeout(resolve, ms)
    })
    this.#wake = undefined
    this.#host.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function rateOf(maxBytesPerSecond: unknown): number {
  if (maxBytesPerSecond === undefined) return Infinity
  const isNumber = typeof maxBytesPerSecond === 'number'
  if (isNumber && Number.isSafeInteger(maxBytesPerSecond) && maxBytesPerSecond >= 1) {
    return maxBytesPerSecond
  }
  throw invalidArgument(
    `${CALL}: maxBytesPerSecond is an integer of at least 1, not ${describeValue(maxBytesPerSecond)}`,
    { option: 'maxBytesPerSecond', value: maxBytesPerSecond },
  )
}

function byPartition(damage: readonly Damage[]): Iterable<readonly Damage[]> {
  const groups = new Map<string, Damage[]>()
  for (const one of damage) {
    const key = `${one.topic}-${one.partition}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [one])
    else group.push(one)
  }
  return groups.values()
}
