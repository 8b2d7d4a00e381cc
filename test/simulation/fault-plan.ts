/**
 * FaultPlan: what goes wrong in one process, and what has gone wrong so far. Steps set it up; the
 * driver asks it at each call; whoever judges an error asks it what may be blamed for that.
 */
import type { DiskAction, DiskCall, DiskFault } from '../../src/testing/disk-faults.ts'
import type { DiskMachine } from '../../src/testing/disk-machine.ts'
import type { SeededRandom } from '../../src/testing/seeded-random.ts'

/** Groups of faults that a run may have, as `--faults` names them. */
export const FAULT_GROUPS = ['crash', 'full', 'io', 'slow', 'clock', 'rot'] as const

/** One of them. */
export type FaultGroup = (typeof FAULT_GROUPS)[number]

/** Calls of one kind that fail: after `after` good ones, `left` times. */
export interface CallFault {
  readonly action: DiskAction
  readonly suffix: string
  readonly fault: DiskFault
  after: number
  left: number
}

/** What an error may be blamed on. */
export type Blame = 'NO_SPACE' | 'IO' | 'sync' | 'read' | 'resize' | 'EROFS'

/** How often each kind of fault was injected. */
export type FaultCounts = Map<string, number>

/** Faults that nobody is told of. */
const SILENT: ReadonlySet<DiskFault> = new Set([
  'lost',
  'misdirected',
  'skip',
  'rot',
  'slow',
  'short',
  'interrupted',
])

/** See the file's header. */
export class FaultPlan {
  /** What went wrong in this process. */
  readonly seen: Set<Blame> = new Set()
  /** Calls until the process stops; undefined: it does not. */
  stopAfter: number | undefined
  /** Calls that `stopAfter` counts; undefined: all. */
  stopAt: Pick<CallFault, 'action' | 'suffix'> | undefined
  /** How many calls failed. */
  struck = 0
  /** It has stopped: nothing that it says or does counts any more. */
  isStopped = false
  /** Passes over calls, as an engine would that leaves a rule out. */
  leftOut: ((call: DiskCall) => boolean) | undefined
  /** Of a hundred reads so many are slow. */
  slowReads = 0
  #faults: CallFault[] = []
  readonly #machine: DiskMachine
  readonly #random: SeededRandom
  readonly #counts: FaultCounts

  constructor(machine: DiskMachine, random: SeededRandom, counts: FaultCounts) {
    this.#machine = machine
    this.#random = random
    this.#counts = counts
    if (!this.isCalm) this.seen.add('NO_SPACE') // A disk stays full when its process goes.
  }

  /** Nothing goes wrong from now on. */
  calm(): void {
    this.#machine.isFull = false
    this.#machine.capacityBytes = Infinity
    this.#machine.faults.clear()
    this.#faults = []
    this.stopAfter = undefined
    this.stopAt = undefined
  }

  /** True where nothing is set up to go wrong. */
  get isCalm(): boolean {
    const { isFull, capacityBytes } = this.#machine
    return !isFull && capacityBytes === Infinity && this.#faults.length === 0
  }

  count(kind: string): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
  }

  /** Only `roomBytes` more fit; undefined: nothing does, not even over what is there. */
  fill(roomBytes: number | undefined): void {
    this.seen.add('NO_SPACE')
    this.count('full disk')
    const machine = this.#machine
    if (roomBytes === undefined) machine.isFull = true
    else {
      machine.tree.measure()
      machine.capacityBytes = machine.tree.usedBytes + roomBytes
    }
  }

  /** Counts done in pieces, and interrupted ones: nobody is to notice. */
  shorten(rate: number): void {
    this.#machine.faults.setRates(rate === 0 ? {} : { short: rate, interrupted: rate })
  }

  add(fault: CallFault): void {
    this.#faults.push(fault)
  }

  /** What becomes of a call that changes something. */
  readonly decide = (call: DiskCall): DiskFault | undefined => {
    if (this.leftOut?.(call) === true) return 'skip'
    if (this.stopAfter !== undefined && isOf(call, this.stopAt) && this.stopAfter-- <= 0) {
      this.isStopped = true
      this.stopAfter = undefined
      this.stopAt = undefined
      this.count('stop in a call')
      return 'stop'
    }
    return this.#faults.length === 0 ? undefined : this.#faultOf(call)
  }

  /** How long a read takes. */
  slowReadMs(): number {
    if (this.slowReads === 0 || this.#random.below(100) >= this.slowReads) return 0
    this.count('slow read')
    return 2 + this.#random.below(4)
  }

  /** Whether a read fails. */
  failsRead(path: string): boolean {
    if (this.#faults.length === 0) return false
    return this.#faultOf({ action: 'read', path }) !== undefined
  }

  #faultOf(call: DiskCall): DiskFault | undefined {
    const faults = this.#faults
    for (const [index, one] of faults.entries()) {
      if (!isOf(call, one)) continue
      if (one.after-- > 0) continue
      one.left -= 1
      this.struck += 1
      if (one.left <= 0) faults.splice(index, 1)
      this.count(`${one.fault} at ${call.action}`)
      if (!SILENT.has(one.fault)) this.#blame(one.fault, call.action)
      return one.fault
    }
    return undefined
  }

  #blame(fault: DiskFault, action: DiskAction): void {
    this.seen.add(fault === 'ENOSPC' || fault === 'EDQUOT' ? 'NO_SPACE' : 'IO')
    if (fault === 'EROFS') this.seen.add('EROFS')
    if (action === 'flush' || action === 'flushDirectory') this.seen.add('sync')
    if (action === 'read' || action === 'resize') this.seen.add(action)
  }
}

/** Whether a call is one of those that `wanted` names; no path but the log's own folder is ''. */
function isOf(call: DiskCall, wanted: FaultPlan['stopAt']): boolean {
  if (wanted === undefined) return true
  if (wanted.action !== call.action) return false
  return wanted.suffix === '/' ? call.path === '' : call.path.endsWith(wanted.suffix)
}
