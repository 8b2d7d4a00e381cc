/**
 * DiskMachine: what a FaultDisk has that outlives its processes: names and bytes, faults, chance,
 * the clock that slow calls wait for, and how much fits.
 */
import { systemClock, delay, type Clock } from '../log/clock.ts'
import { systemError } from '../storage/file-failure.ts'
import { DiskFaults, type DiskAction, type DiskCall, type DiskFault } from './disk-faults.ts'
import { DiskTree, pathOf, type CrashReport, type TreeNode } from './disk-tree.ts'
import { PAGE_BYTES } from './cached-bytes.ts'
import { SeededRandom } from './seeded-random.ts'
import type { Survival, TearBytes } from './survival.ts'

/** What is fixed of a crash; the rest is drawn from the seed. */
export interface CrashOptions {
  /** How much of what was not synced it keeps. */
  readonly keep?: Survival | undefined
  /** What the device writes as a whole. */
  readonly tearBytes?: TearBytes | undefined
}

/** A call that a FaultDisk has noted. */
export interface NotedCall extends DiskCall {
  readonly fault: DiskFault | undefined
}

/** A bit that flipped. */
export interface FlippedBit {
  readonly path: string
  readonly position: number
  /** 0 is the lowest. */
  readonly bit: number
}

/** A call that waits for the test. */
export interface HeldCall extends DiskCall {
  /** It ends as it would have. */
  end(): void
  /** It fails, with EIO where no error is given. */
  fail(error?: Error): void
}

/** See the file's header. */
export class DiskMachine {
  readonly tree: DiskTree = new DiskTree()
  readonly random: SeededRandom
  readonly faults: DiskFaults
  readonly clock: Clock
  /** Bytes that fit; Infinity for no limit. */
  capacityBytes: number = Infinity
  /** Nothing more fits, whatever the capacity: not even a write over what is there. */
  isFull = false
  /** Calls noted, when they are. */
  calls: NotedCall[] | undefined
  /** Which flushes and reads ahead wait for the test. */
  holds: ((call: DiskCall) => boolean) | undefined
  held: HeldCall[] = []
  lastCrash: CrashReport | undefined
  /** Boots of the machine so far. */
  boots = 1

  constructor(seed: number = 0, clock: Clock = systemClock) {
    this.random = new SeededRandom(seed)
    this.faults = new DiskFaults(this.random)
    this.clock = clock
  }

  /** Of this boot of the machine. */
  get bootId(): string {
    return `boot ${this.boots}`
  }

  now(): number {
    return this.clock.now()
  }

  kill(): void {
    this.faults.count('kill')
    this.#releaseHeld()
  }

  crash(random: SeededRandom, options: CrashOptions): CrashReport {
    this.faults.count('crash')
    this.#releaseHeld()
    this.boots += 1
    const report = this.tree.crash(random, options)
    this.lastCrash = report
    if (this.capacityBytes !== Infinity) this.tree.measure()
    return report
  }

  /** Whoever waits finds its process gone. */
  #releaseHeld(): void {
    for (const call of this.held) call.end()
  }

  /** Bytes of `wanted` more that still fit. */
  roomFor(wanted: number): number {
    if (this.isFull) return 0
    return Math.max(0, Math.min(wanted, this.capacityBytes - this.tree.usedBytes))
  }

  note(call: DiskCall, fault: DiskFault | undefined): void {
    this.calls?.push({ ...call, fault })
  }

  /** What a call that takes its time waits for; undefined where it takes none. */
  waitOf(
    action: DiskAction,
    at: TreeNode | string,
    fault: DiskFault | undefined,
  ): Promise<unknown> | undefined {
    if (fault === 'slow') return delay(this.clock, this.faults.slowMs)
    if (this.holds === undefined) return undefined
    const call: DiskCall = { action, path: typeof at === 'string' ? at : pathOf(at) }
    if (!this.holds(call)) return undefined
    return new Promise((resolve, reject) => {
      const held: HeldCall = {
        ...call,
        end: () => {
          this.held = this.held.filter((other) => other !== held)
          resolve(undefined)
        },
        fail: (error = systemError('EIO', 'failed by the test')) => {
          this.held = this.held.filter((other) => other !== held)
          reject(error)
        },
      }
      this.held.push(held)
    })
  }

  /** The error of a fault, as the system gives it. */
  errorOf(fault: DiskFault): Error {
    return systemError(fault, `${fault}, injected`)
  }

  /** Flips a bit on the disk; undefined where there is no such clean byte. */
  flipBit(where: Partial<FlippedBit>): FlippedBit | undefined {
    const files = [...this.tree.files()].filter(
      (file) =>
        file.bytes.sizeBytes > 0 && (where.path === undefined || pathOf(file) === where.path),
    )
    const file = files[this.random.below(files.length)]
    if (file === undefined) return undefined
    const { position = this.random.below(file.bytes.sizeBytes), bit = this.random.below(8) } = where
    if (!file.bytes.flipBit(position, bit)) return undefined
    this.faults.count('rot')
    this.tree.dirtyFiles.add(file)
    return { path: pathOf(file), position, bit }
  }

  /** Clean pages leave the cache. */
  evict(): void {
    for (const file of this.tree.dirtyFiles) {
      file.bytes.evict()
      if (!file.bytes.isDirty) this.tree.dirtyFiles.delete(file)
    }
  }

  /** A page that was on its way to one place arrives at another. */
  misdirect(image: Buffer): void {
    const files = [...this.tree.files()].filter(({ bytes }) => bytes.sizeBytes > 0)
    const victim = files[this.random.below(files.length)]
    if (victim === undefined) return
    const pages = Math.ceil(victim.bytes.sizeBytes / PAGE_BYTES)
    const hit = victim.bytes.divergePage(this.random.below(pages), (page) => void image.copy(page))
    if (hit) this.tree.dirtyFiles.add(victim)
  }
}
