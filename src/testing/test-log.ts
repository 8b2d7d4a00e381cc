/**
 * testLog: a log for tests of the code that uses one: over a simulated disk, with a clock that the
 * test moves and faults that the test chooses.
 *
 * Owns the machine, the clock and the log over their lives: `reset` puts new ones behind the same
 * handle, `crash` gives a new handle over what the disk kept.
 */
import { EventLog } from '../client/event-log.ts'
import { openOver, openOverNow, type GivenStorage, type OpenedLog } from '../client/log-opening.ts'
import { checkOptions, describeValue } from '../client/check-options.ts'
import {
  checkLogOptions,
  type CheckedLogOptions,
  type MemoryLogOptions,
} from '../client/log-options.ts'
import type { TopicDefinition } from '../client/topic-definition.ts'
import {
  invalidArgument,
  LOG_ERROR_CODES,
  LogError,
  type DetailsOf,
  type LogErrorCode,
} from '../errors/log-error.ts'
import { nextTurn, systemClock } from '../log/clock.ts'
import { DiskMachine } from './disk-machine.ts'
import { FaultDriver } from './fault-driver.ts'
import { TestClock, type ManualClock } from './manual-clock.ts'
import { SeededRandom } from './seeded-random.ts'

/** What can go wrong under a `TestLog`. */
export interface Faults {
  /** The next `count` sends reject, by default with IO; nothing of them is appended. */
  failSends(count: number, code?: LogErrorCode): void
  /**
   * The next `count` syncs of records fail. Their sends reject with IO and `outcome: 'unknown'`,
   * their partitions turn read-only until the log is opened again, and what was not synced may be
   * gone after a crash: as when a disk fails.
   */
  failFlush(count: number): void
  /** Nothing more fits on the disk, or it does again: appends and sends fail with NO_SPACE. */
  diskFull(full: boolean): void
  /**
   * The machine stops in the middle of the next write of records, with half of it on the disk: all
   * calls fail from there on. `crash` opens the log again, which cuts off the half.
   */
  tornWrite(): void
  /**
   * The power goes and the log is opened again: what was synced is there, of what was not, some may
   * be. The log before and its handles are dead. `log` is the one returned.
   */
  crash(): Promise<EventLog>
}

/** A log for tests. */
export interface TestLog extends AsyncDisposable {
  /** The log. The same handle until `faults.crash()`. */
  readonly log: EventLog
  /** What the log goes by. Starts at 2026-01-01T00:00:00Z. */
  readonly clock: ManualClock
  readonly faults: Faults
  /**
   * Resolves when everything that can run without time passing has run, handlers of consumer groups
   * included: what they wait for outside of the log gets a second of real time.
   * @throws {LogError} TIMEOUT where somebody still waits, and says who: sends and attempts that
   *   come with the clock, handlers that do not end, a rebalance that somebody holds up.
   */
  settle(): Promise<void>
  /**
   * Empties the log: no records, the topics given at the start and no others, offsets from 0, no
   * faults, the clock at its start without timers. Handles of topics have to be taken anew.
   */
  reset(): void
}

/** Options of `testLog`. */
export interface TestLogOptions {
  /** Made before it is handed over, and again by `reset`. */
  topics?: readonly TopicDefinition[] | undefined
  /** Of everything left to chance: ids, what a crash keeps. Default 0. */
  seed?: number | undefined
  /** Settings of topics that are created without them. */
  topicDefaults?: MemoryLogOptions['topicDefaults']
}

const OPTIONS: readonly string[] = ['topics', 'seed', 'topicDefaults']
/** As of a log in memory: a test has many, and none of them grows. */
const DEFAULTS = { segmentBytes: 16_777_216 }
const LOG_FILES = /\.log$/
/** Real time that handlers get for what is no part of the log. */
const HANDLER_PATIENCE_MS = 1_000

/**
 * A log for a test, ready at once: the engine of a log on disk over a simulated one, which can
 * crash, fill up and fail.
 *
 * @example
 * ```ts
 * const t = testLog()
 * const orders = await t.log.createTopic('orders')
 * await orders.send({ key: 'o-1', value: 'paid' })
 * const again = await t.faults.crash() // synced records survive
 * expectRecords(again.topic('orders')).toMatch([{ key: 'o-1', value: 'paid' }])
 * await t.log.close()
 * ```
 */
export function testLog(options: TestLogOptions = {}): TestLog {
  checkOptions(options, OPTIONS, 'testLog')
  const { seed = 0 } = options
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw invalidArgument(`testLog: seed is an integer from 0 on, not ${describeValue(seed)}`, {
      option: 'seed',
      value: seed,
    })
  }
  return new DiskTestLog(seed, options)
}

class DiskTestLog implements TestLog, Faults {
  readonly clock: TestClock = new TestClock()
  readonly #seed: number
  readonly #options: TestLogOptions
  #machine: DiskMachine
  #driver: FaultDriver
  #checked: CheckedLogOptions
  #opened: OpenedLog
  #log: EventLog
  #failingSends: LogErrorCode[] = []
  #isTorn = false

  constructor(seed: number, { topics, topicDefaults }: TestLogOptions) {
    this.#seed = seed
    this.#options = { topics, topicDefaults }
    this.#machine = new DiskMachine(seed, this.clock)
    this.#driver = new FaultDriver(this.#machine)
    this.#checked = this.#check()
    this.#opened = this.#openNow()
    this.#log = EventLog.over(this.#opened)
  }

  get log(): EventLog {
    return this.#log
  }

  get faults(): Faults {
    return this
  }

  failSends(count: number, code: LogErrorCode = 'IO'): void {
    checkCount('faults.failSends', count)
    if (!LOG_ERROR_CODES.includes(code)) {
      throw invalidArgument(`faults.failSends: ${describeValue(code)} is no code of a LogError`, {
        value: code,
      })
    }
    this.#failingSends = Array.from({ length: count }, () => code)
  }

  failFlush(count: number): void {
    checkCount('faults.failFlush', count)
    this.#machine.faults.inject({ fault: 'drop', action: 'flush', path: LOG_FILES, count })
  }

  diskFull(full: boolean): void {
    this.#machine.isFull = full
  }

  tornWrite(): void {
    this.#isTorn = true
    this.#machine.faults.inject({ fault: 'stop', action: 'write', path: LOG_FILES })
  }

  async crash(): Promise<EventLog> {
    const machine = this.#machine
    const isTorn = this.#isTorn && machine.faults.counts.stop > 0
    this.#driver.crash(isTorn ? { keep: 'all' } : {})
    machine.faults.clear()
    machine.isFull = false
    this.#isTorn = false
    this.#failingSends = []
    this.#abandon()
    await nextTurn()
    this.#driver = new FaultDriver(machine)
    this.#opened = await openOver(this.#storage(), this.#checked)
    this.#log = EventLog.over(this.#opened)
    this.#opened.host.onSend = this.#onSend
    return this.#log
  }

  async settle(): Promise<void> {
    const quiet = (): Promise<void> => this.clock.settle(() => this.#machine.tree.change)
    const beganMs = systemClock.monotonicNow()
    await quiet()
    const { host } = this.#opened
    // Nothing here tells a handler that waits for a file from one that waits for ever.
    while (host.groups.waiting().forHandlers.length > 0) {
      if (systemClock.monotonicNow() - beganMs > HANDLER_PATIENCE_MS) break
      await quiet()
    }
    const still = stillWaiting(host)
    if (still.length === 0) return
    throw new LogError('TIMEOUT', `settle: ${still.join('; ')}`, { waiting: still })
  }

  reset(): void {
    this.#driver.processKill()
    this.#abandon()
    this.clock.restart()
    this.#machine = new DiskMachine(this.#seed, this.clock)
    this.#driver = new FaultDriver(this.#machine)
    this.#checked = this.#check()
    this.#isTorn = false
    this.#failingSends = []
    this.#opened = this.#openNow()
    EventLog.renew(this.#log, this.#opened)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#log.close().catch(() => undefined) // The test's faults are no failure of the test.
  }

  #openNow(): OpenedLog {
    const opened = openOverNow(this.#storage(), this.#checked)
    opened.host.onSend = this.#onSend
    return opened
  }

  #storage(): GivenStorage {
    const driver = this.#driver
    const { bootId } = this.#machine
    return { driver, bootId, name: 'testLog', defaults: DEFAULTS, isGone: () => driver.isDead }
  }

  #check(): CheckedLogOptions {
    const random = new SeededRandom(this.#seed)
    const options = {
      ...this.#options,
      clock: this.clock,
      random: (byteLength: number) => {
        const bytes = new Uint8Array(byteLength)
        for (let at = 0; at < byteLength; at++) bytes[at] = random.below(256)
        return bytes
      },
      onWarning: () => undefined, // What goes wrong here was asked for.
    }
    return checkLogOptions(options, 'memory', 'testLog')
  }

  /** The handles of the log before end as those of a dead process: nobody waits for them. */
  #abandon(): void {
    this.#opened.host.close(0).catch(() => undefined)
  }

  readonly #onSend = (): void => {
    const code = this.#failingSends.pop()
    if (code === undefined) return
    const details = {} as DetailsOf<typeof code> // A test that asks for a code looks at no details.
    throw new LogError(code, `failed by faults.failSends with ${code}`, details)
  }
}

/** Who cannot go on by itself, and what would help. */
function stillWaiting({ hasPendingSends, groups }: OpenedLog['host']): readonly string[] {
  const { forHandlers, forBackoff, forRebalance } = groups.waiting()
  const said: string[] = []
  if (hasPendingSends) {
    const reason = 'a producer waits for its lingerMs, or for a schema: advance the clock'
    said.push(`records that were sent still wait: ${reason}`)
  }
  for (const place of forHandlers) said.push(`a handler still has a record of ${place}`)
  for (const place of forBackoff) {
    said.push(`a record of ${place} waits for its next attempt: advance the clock`)
  }
  for (const group of forRebalance) {
    said.push(
      `group ${group} waits in a rebalance for a member that has records of a partition that has ` +
        'to move: let it ask for the next, or leave',
    )
  }
  return said
}

function checkCount(where: string, count: unknown): void {
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return
  throw invalidArgument(`${where}: count is an integer from 0 on, not ${describeValue(count)}`, {
    value: count,
  })
}
