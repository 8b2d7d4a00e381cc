/**
 * DiskFaults: which calls to a FaultDisk fail, and how: the n-th of a kind, some of them by chance,
 * and how many of each kind there were.
 *
 * Decides and counts; what a fault does is fault-driver.ts' business. Chance comes from the disk's
 * seed alone and is asked only where a rate is set, so the same calls meet the same faults.
 */
import { assert } from '../errors/invariant.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What is asked of a disk. `'unlink'` is the removal of a directory as well. */
export type DiskAction =
  | 'create'
  | 'open'
  | 'read'
  | 'readAhead'
  | 'write'
  | 'resize'
  | 'flush'
  | 'mkdir'
  | 'rename'
  | 'unlink'
  | 'flushDirectory'
  | 'list'

/** One call. `path` is the new one in a rename. */
export interface DiskCall {
  readonly action: DiskAction
  readonly path: string
}

const EVERYWHERE: readonly DiskAction[] = [
  'create',
  'open',
  'read',
  'readAhead',
  'write',
  'resize',
  'flush',
  'mkdir',
  'rename',
  'unlink',
  'flushDirectory',
  'list',
]

/**
 * What a call may meet.
 *
 * - `'EIO'`, `'ENOSPC'`, `'EDQUOT'`, `'EMFILE'`, `'EROFS'`, `'EINTR'`: it fails with that error; a
 *   write may have left a part of its bytes, as after a short count.
 * - `'interrupted'`, `'short'`: EINTR or a short count, met as the disk driver meets it: the call
 *   goes on and succeeds, in two pieces of which a crash may keep one.
 * - `'drop'`: a flush fails with EIO, its pages count as clean and never reach the disk; reads show
 *   them until they leave the cache. `'dropUnreadable'`: reads show the disk at once.
 * - `'lost'`, `'misdirected'`: a write that is acknowledged, flushed even, and never arrives; or
 *   arrives at another place.
 * - `'skip'`: a write or flush that is acknowledged and not done.
 * - `'rot'`: a bit of what is read has flipped on the disk.
 * - `'slow'`: it ends `faults.slowMs` later by the clock of the disk.
 * - `'stop'`: the process is killed there: the call has no effect, a write half of it.
 */
export type DiskFault =
  | 'EIO'
  | 'ENOSPC'
  | 'EDQUOT'
  | 'EMFILE'
  | 'EROFS'
  | 'EINTR'
  | 'interrupted'
  | 'short'
  | 'drop'
  | 'dropUnreadable'
  | 'lost'
  | 'misdirected'
  | 'skip'
  | 'rot'
  | 'slow'
  | 'stop'

/** The calls that a rate applies a fault to. */
const FAULT_ACTIONS: Readonly<Record<DiskFault, readonly DiskAction[]>> = {
  EIO: EVERYWHERE,
  ENOSPC: ['create', 'write', 'resize', 'mkdir'],
  EDQUOT: ['create', 'write', 'resize', 'mkdir'],
  EMFILE: ['create', 'open', 'flushDirectory', 'list'],
  EROFS: ['create', 'write', 'resize', 'mkdir', 'rename', 'unlink'],
  EINTR: ['read', 'readAhead', 'write'],
  interrupted: ['read', 'readAhead', 'write'],
  short: ['read', 'readAhead', 'write'],
  drop: ['flush'],
  dropUnreadable: ['flush'],
  lost: ['write'],
  misdirected: ['write'],
  skip: ['write', 'flush', 'flushDirectory'],
  rot: ['read', 'readAhead'],
  slow: ['flush', 'flushDirectory', 'readAhead'],
  stop: [],
}

// `as`: the keys of FAULT_ACTIONS are the faults there are.
const DISK_FAULTS: readonly DiskFault[] = Object.keys(FAULT_ACTIONS) as DiskFault[]

/** A fault that is an error of the system, by its name there. */
export type SystemFault = Extract<DiskFault, `E${string}`>

/** What is counted: faults of calls, ends of processes, and refusals of a disk that is full. */
export type FaultKind = DiskFault | 'full' | 'kill' | 'crash'

/** Which calls of a kind fail. */
export interface FaultRule {
  readonly fault: DiskFault
  /** Default: any. */
  readonly action?: DiskAction | undefined
  /** Calls on paths that it matches, relative to the root of the disk. Default: any. */
  readonly path?: RegExp | string | undefined
  /** The first one that fails, from now on, counted from 1. Default 1. */
  readonly nth?: number | undefined
  /** How many fail from there on. Default 1. */
  readonly count?: number | undefined
}

interface ArmedRule {
  readonly rule: FaultRule
  callsBefore: number
  callsLeft: number
}

/** Probabilities from 0 to 1, by fault. */
export type FaultRates = Readonly<Partial<Record<DiskFault, number>>>

/** See the file's header. */
export class DiskFaults {
  /** How long a `'slow'` call takes, in milliseconds of the disk's clock. Default 100. */
  slowMs = 100
  readonly #random: SeededRandom
  readonly #counts: Record<FaultKind, number>
  #rules: ArmedRule[] = []
  #rates: ReadonlyMap<DiskAction, readonly (readonly [DiskFault, number])[]> = new Map()
  #ratesOf: FaultRates = {}

  /** @internal */
  constructor(random: SeededRandom) {
    this.#random = random
    const kinds = [...DISK_FAULTS, 'full', 'kill', 'crash']
    // `as`: the list names every kind.
    this.#counts = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<FaultKind, number>
  }

  /** Faults injected so far, by kind. */
  get counts(): Readonly<Record<FaultKind, number>> {
    return { ...this.#counts }
  }

  /** The rates in force. */
  get rates(): FaultRates {
    return this.#ratesOf
  }

  /**
   * From now on calls fail by chance: `{ EIO: 0.001 }` is one in a thousand of those that may meet
   * it. Replaces the rates before; `{}` turns them off.
   */
  setRates(rates: FaultRates): void {
    const byAction = new Map<DiskAction, (readonly [DiskFault, number])[]>()
    for (const fault of DISK_FAULTS) {
      const rate = rates[fault] ?? 0
      assert(rate >= 0 && rate <= 1, 'rates: from 0 to 1')
      if (rate === 0) continue
      for (const action of FAULT_ACTIONS[fault]) {
        const faults = byAction.get(action)
        if (faults === undefined) byAction.set(action, [[fault, rate]])
        else faults.push([fault, rate])
      }
    }
    this.#rates = byAction
    this.#ratesOf = { ...rates }
  }

  /** Makes the n-th call of a kind fail, and as many after it as the rule says. */
  inject(rule: FaultRule): void {
    const { nth = 1, count = 1 } = rule
    this.#rules.push({ rule, callsBefore: nth - 1, callsLeft: count })
  }

  /** Takes back every rule and rate; counts stay. */
  clear(): void {
    this.#rules = []
    this.setRates({})
  }

  /** True while no call can fail. @internal */
  get areIdle(): boolean {
    return this.#rules.length === 0 && this.#rates.size === 0
  }

  /** A rate is set. @internal */
  get areByChance(): boolean {
    return this.#rates.size > 0
  }

  /** What a call meets. @internal */
  draw(call: DiskCall): DiskFault | undefined {
    return this.#ruled(call) ?? this.#drawn(call.action)
  }

  /** Notes that a fault happened. @internal */
  count(kind: FaultKind): void {
    this.#counts[kind] += 1
  }

  #ruled(call: DiskCall): DiskFault | undefined {
    let fault: DiskFault | undefined
    for (const armed of this.#rules) {
      if (!matches(armed.rule, call)) continue
      if (armed.callsBefore > 0) armed.callsBefore -= 1
      else if (fault === undefined) {
        fault = armed.rule.fault
        armed.callsLeft -= 1
      }
    }
    if (fault !== undefined) this.#rules = this.#rules.filter(({ callsLeft }) => callsLeft > 0)
    return fault
  }

  #drawn(action: DiskAction): DiskFault | undefined {
    const faults = this.#rates.get(action)
    if (faults === undefined) return undefined
    for (const [fault, rate] of faults) if (this.#random.fraction() < rate) return fault
    return undefined
  }
}

/** True for a fault that is an error of the system. */
export function isSystemFault(fault: DiskFault): fault is SystemFault {
  return fault.startsWith('E')
}

function matches({ action, path }: FaultRule, call: DiskCall): boolean {
  if (action !== undefined && action !== call.action) return false
  if (path === undefined) return true
  return typeof path === 'string' ? path === call.path : path.test(call.path)
}
