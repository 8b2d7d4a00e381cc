/**
 * FaultDisk: a simulated machine with a disk, for running a log, and the code over it, through
 * what real ones do: crashes, power cuts, full disks, failed syncs, bits that flip.
 *
 * Owns the disk over the lives of its processes: `open` starts one, `kill` and `crash` end it.
 * What calls do is fault-driver.ts' business, what they meet disk-faults.ts'.
 */
import { EventLog } from '../client/event-log.ts'
import { openOver } from '../client/log-opening.ts'
import { checkLogOptions, type MemoryLogOptions } from '../client/log-options.ts'
import { checkOptions } from '../client/check-options.ts'
import { invalidArgument, LogError } from '../errors/log-error.ts'
import { nextTurn, systemClock, type Clock } from '../log/clock.ts'
import type { DiskCall, DiskFaults } from './disk-faults.ts'
import {
  DiskMachine,
  type CrashOptions,
  type FlippedBit,
  type HeldCall,
  type NotedCall,
} from './disk-machine.ts'
import { pathOf, type CrashReport } from './disk-tree.ts'
import { FaultDriver } from './fault-driver.ts'

/** What a FaultDisk is made with. */
export interface FaultDiskOptions {
  /** Of every choice that is left to chance. Default 0. */
  readonly seed?: number | undefined
  /** How many bytes fit; default: no limit. */
  readonly capacityBytes?: number | undefined
  /** Of the files' times and of slow calls. Default: the machine's. */
  readonly clock?: Clock | undefined
}

/**
 * A disk in memory that keeps apart what the kernel has in its cache and what is on the disk, and
 * fails when it is told to, or by chance from a seed. Without a fault it is a disk that keeps what
 * was synced.
 *
 * @example
 * ```ts
 * const disk = new FaultDisk({ seed: 7 })
 * const log = await disk.open()
 * const orders = await log.ensureTopic('orders')
 * await orders.send({ value: 'paid' }) // synced: it is there after any crash
 * orders.partition(0).append([{ value: 'seen' }]) // in the page cache: it may be
 * const { survival } = await disk.crash()
 * const again = await disk.open()
 * console.log(survival, again.topic('orders').partition(0).logEndOffset)
 * ```
 */
export class FaultDisk {
  readonly #machine: DiskMachine
  #driver: FaultDriver
  #log: EventLog | undefined
  #isOpening = false

  constructor(options: FaultDiskOptions = {}) {
    checkOptions(options, ['seed', 'capacityBytes', 'clock'], 'FaultDisk')
    const { seed = 0, capacityBytes = Infinity, clock = systemClock } = options
    if (!Number.isSafeInteger(seed) || seed < 0) {
      throw invalidArgument('FaultDisk: seed is an integer from 0 on', { option: 'seed' })
    }
    this.#machine = new DiskMachine(seed, clock)
    this.#driver = new FaultDriver(this.#machine)
    this.capacityBytes = capacityBytes
  }

  /** Which calls fail, by rule and by chance, and how many have: `disk.faults.counts`. */
  get faults(): DiskFaults {
    return this.#machine.faults
  }

  /** Bytes that fit. A write that needs more is `NO_SPACE` and leaves what did fit. */
  get capacityBytes(): number {
    return this.#machine.capacityBytes
  }

  set capacityBytes(bytes: number) {
    if (!(bytes >= 0)) {
      throw invalidArgument('FaultDisk: capacityBytes is a number from 0 on', {
        option: 'capacityBytes',
      })
    }
    this.#machine.tree.measure()
    this.#machine.capacityBytes = bytes
  }

  /** Bytes that all files take, with what is preallocated. */
  get usedBytes(): number {
    this.#machine.tree.measure()
    return this.#machine.tree.usedBytes
  }

  /** Calls noted since `recordCalls` was turned on; empty while it is off. */
  get calls(): readonly NotedCall[] {
    return this.#machine.calls ?? []
  }

  /** Notes every call with what it met, for debugging: it costs memory. Off by default. */
  recordCalls(on: boolean): void {
    this.#machine.calls = on ? (this.#machine.calls ?? []) : undefined
  }

  /** Flushes and reads ahead that are held, in the order in which they came. */
  get held(): readonly HeldCall[] {
    return this.#machine.held
  }

  /**
   * From now on flushes and reads ahead that `matches` says yes to wait for the test: see `held`.
   * `null` holds nothing more; what is held stays held.
   */
  hold(matches: ((call: DiskCall) => boolean) | null): void {
    this.#machine.holds = matches ?? undefined
  }

  /**
   * Opens the log that the disk holds; a disk with nothing on it becomes an empty log. One process
   * has it at a time: close it, or take it away by `kill` or `crash`, before it is opened again.
   *
   * @throws {LogError} LOCKED while it is open; what `EventLog.open` throws, and what faults make
   *   of it.
   */
  async open(options?: MemoryLogOptions): Promise<EventLog> {
    const checked = checkLogOptions(options, 'memory', 'FaultDisk.open')
    const isOpen = this.#log?.isOpen === true
    if (this.#isOpening || isOpen) {
      const details = { pid: process.pid, startedAt: 0, directory: 'FaultDisk' }
      throw new LogError('LOCKED', 'FaultDisk.open: its log is open already: close it', details)
    }
    this.#isOpening = true
    try {
      const driver = new FaultDriver(this.#machine)
      this.#driver = driver
      const { bootId } = this.#machine
      const isGone = (): boolean => driver.isDead
      const storage = { driver, bootId, name: 'FaultDisk', defaults: {}, isGone }
      this.#log = EventLog.over(await openOver(storage, checked))
      return this.#log
    } finally {
      this.#isOpening = false
    }
  }

  /**
   * The process is killed: what it wrote stays in the cache, its log and what is under way fail.
   * Resolves when nothing of it runs any more.
   */
  async kill(): Promise<void> {
    this.#driver.processKill()
    await this.#abandon()
  }

  /**
   * The power goes: what was synced stays, of the rest what `options` say or, by default, the seed.
   * Resolves, when nothing of the process runs any more, with what was drawn.
   */
  async crash(options: CrashOptions = {}): Promise<CrashReport> {
    const report = this.#driver.crash(options)
    await this.#abandon()
    return report
  }

  /**
   * Flips a bit on the disk, of the file at `path` or of any: bit rot. Pages that are dirty are
   * written over it, and a page in the cache hides it: `evict` or a crash shows it.
   * @returns which one; undefined where there is none that could flip.
   */
  flipBit(where: Partial<FlippedBit> = {}): FlippedBit | undefined {
    return this.#machine.flipBit(where)
  }

  /** Clean pages leave the cache, as under memory pressure: reads show what the disk has. */
  evict(): void {
    this.#machine.evict()
  }

  /** The names of all files, sorted, relative to the log's directory. */
  files(): readonly string[] {
    return [...this.#machine.tree.files()].map(pathOf).sort()
  }

  /** The bytes of a file as a process would read them. Owned. Undefined where there is none. */
  readFile(path: string): Buffer | undefined {
    const node = this.#machine.tree.find(path)
    if (node?.kind !== 'file') return undefined
    const bytes = Buffer.alloc(node.bytes.sizeBytes)
    node.bytes.read(bytes, 0, bytes.length, 0)
    return bytes
  }

  async #abandon(): Promise<void> {
    const log = this.#log
    this.#log = undefined
    // Its handles end as those of a dead process would: nobody waits for them.
    log?.close({ timeoutMs: 0 }).catch(() => undefined)
    await nextTurn()
    await nextTurn()
  }
}
