/**
 * Computer: the machine of a simulation: a disk that outlives its processes, and the process with
 * the log, which is started, stopped by whatever may stop it, and started again.
 *
 *   I1  a process that was stopped has no effect any more, and nothing that it said counts
 *   I2  a start may be stopped, or fail as a fault explains: then there is another one
 *   I3  what a process leaves behind when it ends by itself: no timer, no call, no open file
 */
import { EventLog } from '../../src/client/event-log.ts'
import { openOver } from '../../src/client/log-opening.ts'
import { checkLogOptions } from '../../src/client/log-options.ts'
import type { Clock } from '../../src/log/clock.ts'
import { RECOVERY_POINTS } from '../../src/log/log-checkpoints.ts'
import { BATCH_HEADER_BYTES, batchSizeBytesOf } from '../../src/format/record-batch.ts'
import { parseOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { DiskMachine } from '../../src/testing/disk-machine.ts'
import type { CachedBytes } from '../../src/testing/cached-bytes.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { type FaultCounts, FaultPlan } from './fault-plan.ts'
import type { Stop } from './partition-model.ts'
import { ProcessLife } from './process-life.ts'
import { ScheduledDriver } from './scheduled-driver.ts'
import { heldCount, Scheduler, type Trace } from './scheduler.ts'
import { must } from './simulation-failure.ts'

/** Files that the engine leaves to the driver to close. */
const LEFT_TO_THE_DRIVER: ReadonlySet<string> = new Set(['streambed.control'])

/** What the body of a user's loop does: a close ends the loop, and cannot wait for its body. */
export const LOOP_BODY = 'loop body'

const BASE_OFFSET_BYTES = 8

/** Holds of a process that was killed stay: the count says nothing any more. */
let holdsWereLost = false

/** What a computer is given. */
export interface ComputerParts {
  readonly seed: number
  readonly trace: Trace
  readonly counts: FaultCounts
  readonly leftOut: FaultPlan['leftOut']
  readonly isTainted: () => boolean
  /** Before a call of the process changes the disk. */
  readonly beforeCall: () => void
  /** A partition's sync failed. */
  readonly onReadOnly: ProcessLife['onReadOnly']
}

/** See the file's header. */
export class Computer {
  /** A stop in a call takes the power along. */
  stopsWithPower = false
  /** Calls after which the next start is stopped. */
  stopAtOpen: number | undefined
  /** How often a log was opened, or tried to be. */
  openedCount = 0
  readonly #parts: ComputerParts
  readonly #random: SeededRandom
  #disk: FaultDriver
  #boot = 0
  #nowMs = 1_700_000_000_000
  #life: ProcessLife | undefined

  constructor(parts: ComputerParts) {
    this.#parts = parts
    this.#random = new SeededRandom(parts.seed ^ 0x1b873593)
    this.#disk = new FaultDriver(new DiskMachine(parts.seed, this.#diskClock))
  }

  /** The process that runs. */
  get life(): ProcessLife {
    must(this.#life !== undefined, () => 'no process runs')
    return this.#life
  }

  /** The disk itself, past every fault. */
  get disk(): DiskMachine {
    return this.#disk.machine
  }

  /**
   * Ends the process where it is. With the power everything goes that was not synced, or a part of
   * it.
   */
  stop(cutsPower: boolean, random: SeededRandom): void {
    if (heldCount() > 0) holdsWereLost = true
    this.#nowMs = this.life.scheduler.clock.now() + random.below(1_000)
    if (cutsPower) this.#boot += 1
    this.#disk = cutsPower ? this.#disk.powerCut(random) : this.#disk.processKill()
  }

  /** Starts a process and opens the log; returns how the log was left, all in all. */
  async start(how: Stop): Promise<Stop> {
    let stop = how
    for (;;) {
      const life = this.#newLife()
      life.faults.stopAfter = this.stopAtOpen
      this.stopAtOpen = undefined
      const outcome = await this.#open(life)
      this.openedCount += 1
      life.faults.stopAfter = undefined
      if (outcome === 'open') return stop
      const cutsPower = outcome === 'stopped' && this.stopsWithPower
      stop = stop === 'cut' || cutsPower ? 'cut' : 'killed'
      life.faults.calm()
      this.stop(cutsPower, this.#nextRandom())
    }
  }

  /** I3, after a close. */
  checkNothingIsLeft(): void {
    const { scheduler, driver } = this.life
    must(scheduler.timerCount === 0, () => `${scheduler.timerCount} timers are left after close`)
    const callNames = scheduler.callNames.filter((name) => name !== LOOP_BODY)
    must(callNames.length === 0, () => `under way after close: ${callNames.join(', ')}`)
    must(driver.isClosed, () => 'the driver is open after close')
    const leftOpen = driver.leftOpen.filter((path) => !LEFT_TO_THE_DRIVER.has(path))
    must(leftOpen.length === 0, () => `left open: ${leftOpen.join(', ')}`)
    must(holdsWereLost || heldCount() === 0, () => 'the process is held after close')
  }

  /** Behind the batches of a log its file holds zeros: anything else would pass for torn. */
  checkFreeSpace(): void {
    const files = [...this.disk.tree.files()].filter(({ name }) => name.endsWith('.log'))
    for (const topic of this.life.log.describe().topics) {
      for (const { partition, bytes: logBytes } of topic.partitions) {
        const folder = `${topic.name}-${partition}`
        const own = files.filter(({ parent }) => parent?.name === folder)
        const active = own.toSorted((a, b) => (a.name < b.name ? -1 : 1)).pop()
        if (active === undefined) continue
        const others = own.filter((file) => file !== active)
        const start = logBytes - others.reduce((sum, { bytes }) => sum + bytes.sizeBytes, 0)
        const rest = Buffer.alloc(Math.max(0, active.bytes.sizeBytes - start))
        active.bytes.read(rest, 0, rest.length, start)
        must(
          rest.every((byte) => byte === 0),
          () => `${folder}/${active.name}: something is left behind position ${start}`,
        )
      }
    }
  }

  /** Flips a bit of a file whose name ends so, on the disk; no process has seen it before. */
  rot(suffix: string, random: SeededRandom): void {
    const files = [...this.disk.tree.files()].filter(
      ({ bytes, name }) => bytes.sizeBytes > 0 && name.endsWith(suffix),
    )
    const file = files[random.below(files.length)]
    if (file === undefined) return
    const { bytes, name } = file
    const usedBytes = random.below(4) > 0 ? usedBytesOf(bytes) : bytes.sizeBytes
    let position = random.below(usedBytes)
    // No CRC covers a base offset: recovery may take a batch with another one for what comes behind
    // damage (docs/simulation.md).
    if (name.endsWith('.log') && isInBaseOffset(bytes, position)) position += BASE_OFFSET_BYTES
    bytes.flipBit(position, random.below(8))
    bytes.evict()
    this.life.faults.count('rotten bit')
  }

  /** Up to where each partition is synced, as the checkpoint says. */
  recoveryPoints(): ReadonlyMap<string, number> {
    const node = this.disk.tree.find(RECOVERY_POINTS)
    if (node?.kind !== 'file') return new Map()
    const bytes = Buffer.alloc(node.bytes.sizeBytes)
    node.bytes.read(bytes, 0, bytes.length, 0)
    const entries = parseOffsetCheckpoint(bytes) ?? []
    return new Map(entries.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  }

  /** Bytes of every file whose name ends so, by path. */
  filesEnding(suffix: string): ReadonlyMap<string, string> {
    const found = new Map<string, string>()
    for (const { name, parent, bytes } of this.disk.tree.files()) {
      if (!name.endsWith(suffix)) continue
      const content = Buffer.alloc(bytes.sizeBytes)
      bytes.read(content, 0, content.length, 0)
      found.set(`${parent?.name}/${name}`, content.toString('latin1'))
    }
    return found
  }

  /** Of the disk: that of the process that runs. */
  readonly #diskClock: Clock = {
    now: () => this.#life?.scheduler.clock.now() ?? this.#nowMs,
    monotonicNow: () => 0,
    setTimeout: () => undefined,
    clearTimeout: () => undefined,
  }

  #nextRandom(): SeededRandom {
    return new SeededRandom(this.#random.below(2 ** 31))
  }

  #newLife(): ProcessLife {
    const { trace, counts, leftOut, isTainted, onReadOnly } = this.#parts
    const scheduler = new Scheduler(this.#nextRandom(), this.#nowMs, trace)
    const faults = new FaultPlan(this.disk, this.#nextRandom(), counts)
    faults.leftOut = leftOut
    const driver = new ScheduledDriver(this.#disk, scheduler, faults)
    const life = new ProcessLife(scheduler, driver, faults)
    life.isTainted = isTainted
    life.bootId = `boot ${this.#boot}`
    driver.beforeCall = this.#parts.beforeCall
    life.onReadOnly = onReadOnly
    this.#life = life
    return life
  }

  async #open(life: ProcessLife): Promise<'open' | 'refused' | 'stopped'> {
    const { scheduler, faults, driver } = life
    const bytes = this.#nextRandom()
    const options = checkLogOptions(
      {
        clock: scheduler.clock,
        random: (count) => Uint8Array.from({ length: count }, () => bytes.below(256)),
        onWarning: life.warned,
      },
      'memory',
      'simulation',
    )
    const { bootId } = life
    const isGone = (): boolean => faults.isStopped
    const storage = { driver, bootId, name: 'simulation', defaults: {}, isGone }
    let wasRefused = false
    life.track(openOver(storage, options), {
      what: 'open',
      done: (opened) => void (life.log = EventLog.over(opened)),
      failed: () => void (wasRefused = true),
    })
    const isOver = (): boolean => life.pendingCount === 0 || faults.isStopped
    await scheduler.until(isOver, () => 'open')
    life.throwFailure()
    if (faults.isStopped) return 'stopped'
    if (!wasRefused) return 'open'
    must(scheduler.timerCount === 0, () => 'timers are left after an open that failed')
    must(driver.isClosed, () => 'the driver is open after an open that failed')
    return 'refused'
  }
}

/** Bytes up to the last one that is not zero; behind it there is free space. */
function usedBytesOf(bytes: CachedBytes): number {
  const content = Buffer.alloc(bytes.sizeBytes)
  bytes.read(content, 0, content.length, 0)
  return Math.max(1, content.findLastIndex((byte) => byte !== 0) + 1)
}

/** Whether the byte is of the base offset of one of the batches. */
function isInBaseOffset(bytes: CachedBytes, position: number): boolean {
  const header = Buffer.alloc(BATCH_HEADER_BYTES)
  for (let at = 0; at <= position; at += batchSizeBytesOf(header, 0)) {
    const read = bytes.read(header, 0, BATCH_HEADER_BYTES, at)
    if (read < BATCH_HEADER_BYTES || header.readInt32BE(BASE_OFFSET_BYTES) <= 0) return false
    if (position < at + BASE_OFFSET_BYTES) return true
  }
  return false
}
