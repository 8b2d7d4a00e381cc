/**
 * What the files mean that a stop within a swap of segments left in a partition's folder, whether
 * it was ours (segment-swap.ts) or that of a broker, which renames in another order:
 *
 *                 ours                             a broker's
 *   .cleaned      written, not whole               as ours
 *   -> .swap      indexes, then the .log           the .log, then indexes; higher offsets first,
 *                                                  where one segment became several
 *   old files     -> .deleted, ascending           as ours
 *   -> final      indexes, then the .log           the .log, then indexes
 *
 * Reads only; swap-recovery.ts does what follows from it, and verification reads on as if it had.
 *   I1  what is not whole, or ends where no segment starts, takes nobody's place: the old segments
 *       are the log's again, whether they have their names still or wait for their removal
 *   I2  what is dropped is only what replaced nothing yet
 *   I3  the same files give the same plan, and what is left of a plan that was begun gives the rest
 */
import { batchSizeBytesOf, nextOffsetOf } from '../format/record-batch.ts'
import { parsePassingFileName, parseSegmentFileName } from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import { segmentPath, type SegmentPlace } from '../storage/segment-indexes.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { BatchWalk } from './batch-walk.ts'
import { nextTurn } from './clock.ts'
import { SectorReads } from './sector-reads.ts'

/** Bytes read before other work gets its turn. */
const SLICE_BYTES = 1_048_576

/** A partition's folder. */
export interface SwapFolder {
  readonly driver: StorageDriver
  readonly directory: string
  /** Every segment there ends where the next one starts. */
  readonly isOwn: boolean
}

/** A segment by the ending that its files have behind their names: none, `.swap`, `.deleted`. */
export interface NamedSegment {
  readonly baseOffset: number
  readonly ending: '' | `.${string}`
}

/** A swap that was under way. */
export type SwapStep =
  /** It has replaced nothing: its files go. */
  | { readonly kind: 'drop'; readonly baseOffset: number }
  /** It takes the place of what starts from there on, and below `nextOffset`. */
  | { readonly kind: 'complete'; readonly baseOffset: number; readonly nextOffset: number }
  /** It is not what was written: the segments `restored` get their names back. */
  | {
      readonly kind: 'undo'
      readonly baseOffset: number
      readonly restored: readonly NamedSegment[]
    }
  /** Only indexes lack their final names. */
  | { readonly kind: 'finish'; readonly baseOffset: number }

/** What a folder holds, and what is to be done there. */
export interface SwapPlan {
  /** The log's once it is done, by base offset, with the names that they have now. */
  readonly segments: readonly NamedSegment[]
  readonly steps: readonly SwapStep[]
  /** Files of no use: written by a cleaner that did not come to its end. */
  readonly leftovers: readonly string[]
}

/** True where a swap, or a cleaner, left anything among the files of these names. */
export function hasSwapFiles(names: readonly string[]): boolean {
  return names.some((name) => name.endsWith('.swap') || name.endsWith('.cleaned'))
}

/** What is to be done in a folder that has files of these names. */
export function planSwaps(folder: SwapFolder, names: readonly string[]): Procedure<SwapPlan> {
  return new SwapPlanning(folder, names).run()
}

class SwapPlanning {
  readonly #folder: SwapFolder
  /** Segments of the log as they come to be, by base offset. */
  readonly #segments = new Map<number, NamedSegment['ending']>()
  /** `.log`s about to be removed: their endings, the newest last. */
  readonly #removed = new Map<number, { readonly ending: `.${string}`; readonly copy: number }[]>()
  /** The last base offset of a file that waits for its removal. */
  #lastRemoved = -1
  readonly #swaps: number[] = []
  readonly #indexSwaps = new Set<number>()
  readonly #cleaned: number[] = []
  readonly #leftovers: string[] = []
  readonly #steps: SwapStep[] = []

  constructor(folder: SwapFolder, names: readonly string[]) {
    this.#folder = folder
    for (const name of names) {
      const segment = parseSegmentFileName(name)
      if (segment?.suffix === '.log') this.#segments.set(segment.baseOffset, '')
      else if (segment === undefined) this.#sort(name)
    }
    for (const removed of this.#removed.values()) removed.sort((a, b) => a.copy - b.copy)
  }

  *run(): Procedure<SwapPlan> {
    for (const baseOffset of this.#swaps.toSorted((a, b) => a - b)) yield* this.#judge(baseOffset)
    for (const baseOffset of this.#indexSwaps) {
      if (this.#swaps.includes(baseOffset)) continue
      const isFinal = this.#segments.get(baseOffset) === '' && !this.#cleaned.includes(baseOffset)
      this.#steps.push({ kind: isFinal ? 'finish' : 'drop', baseOffset })
    }
    const segments = [...this.#segments].map(([baseOffset, ending]) => ({ baseOffset, ending }))
    return {
      segments: segments.sort((a, b) => a.baseOffset - b.baseOffset),
      steps: this.#steps,
      leftovers: this.#leftovers,
    }
  }

  #sort(name: string): void {
    const file = parsePassingFileName(name)
    const { driver, directory } = this.#folder
    if (file === undefined || driver.status(`${directory}/${name}`)?.kind !== 'file') return
    const { baseOffset, state, suffix, ending, copy } = file
    const isLog = suffix === '.log'
    if (state === 'cleaned') {
      this.#cleaned.push(baseOffset)
      this.#leftovers.push(name)
    } else if (state === 'swap') {
      if (isLog) this.#swaps.push(baseOffset)
      else this.#indexSwaps.add(baseOffset)
    } else {
      this.#lastRemoved = Math.max(this.#lastRemoved, baseOffset)
      if (!isLog) return
      const removed = this.#removed.get(baseOffset)
      if (removed === undefined) this.#removed.set(baseOffset, [{ ending, copy }])
      else removed.push({ ending, copy })
    }
  }

  /** What becomes of the `.log.swap` of `baseOffset`. */
  *#judge(baseOffset: number): Procedure<void> {
    if (yield* this.#isUncommitted(baseOffset)) {
      this.#steps.push({ kind: 'drop', baseOffset }) // I2
      return
    }
    const end = yield* this.#endOf(baseOffset, '.swap')
    if (end.isWhole && this.#isEnd(baseOffset, end.nextOffset)) {
      this.#complete(baseOffset, end.nextOffset)
      return
    }
    const restored = yield* this.#restorable(baseOffset)
    // There is nothing else: recovery says what of it is damaged.
    if (restored === undefined) return this.#complete(baseOffset, baseOffset + 1)
    for (const { baseOffset: base, ending } of restored) this.#segments.set(base, ending)
    this.#steps.push({ kind: 'undo', baseOffset, restored })
  }

  /**
   * True where not all of what belongs together got the name that says that it is whole. A broker
   * renames the .log before its indexes, and of a segment that it divides the last part first.
   */
  *#isUncommitted(baseOffset: number): Procedure<boolean> {
    if (this.#cleaned.includes(baseOffset)) return this.#segments.has(baseOffset)
    if (!this.#cleaned.some((base) => base < baseOffset)) return false
    const bases = [...this.#segments.keys()].filter((base) => base <= baseOffset)
    const divided = Math.max(...bases, -1)
    if (divided < 0 || divided === baseOffset) return false
    const ending = this.#segments.get(divided) ?? ''
    return (yield* this.#endOf(divided, ending)).nextOffset > baseOffset
  }

  /** Whether a segment of the log can end there: the active one is never part of a swap. */
  #isEnd(baseOffset: number, nextOffset: number): boolean {
    if (nextOffset <= baseOffset) return false
    return !this.#folder.isOwn || this.#segments.has(nextOffset) || this.#swaps.includes(nextOffset)
  }

  #complete(baseOffset: number, nextOffset: number): void {
    const replaced = [...this.#segments.keys()].filter((base) => {
      return base >= baseOffset && base < nextOffset
    })
    for (const base of replaced) this.#segments.delete(base)
    this.#segments.set(baseOffset, '.swap')
    this.#steps.push({ kind: 'complete', baseOffset, nextOffset })
  }

  /**
   * The segments that lack nothing from `baseOffset` on: one after the other, those that have their
   * names, and of those set aside the newest. Undefined where there is none to begin with.
   */
  *#restorable(baseOffset: number): Procedure<readonly NamedSegment[] | undefined> {
    if (!this.#segments.has(baseOffset) && !this.#removed.has(baseOffset)) return undefined
    const restored: NamedSegment[] = []
    for (let offset = baseOffset; offset <= this.#lastRemoved;) {
      const bases = [...this.#segments.keys(), ...this.#removed.keys()]
      const base = Math.min(...bases.filter((one) => one >= offset))
      if (base === Infinity) break
      const ending = this.#segments.get(base) ?? this.#removed.get(base)?.at(-1)?.ending ?? ''
      restored.push({ baseOffset: base, ending })
      const { nextOffset } = yield* this.#endOf(base, ending)
      offset = Math.max(nextOffset, base + 1)
    }
    return restored
  }

  /** Whether all of a .log is whole batches, and one past the last offset of those that are. */
  *#endOf(
    baseOffset: number,
    ending: NamedSegment['ending'],
  ): Procedure<{ readonly isWhole: boolean; readonly nextOffset: number }> {
    const { driver, directory } = this.#folder
    const place: SegmentPlace = { driver, directory, baseOffset }
    const path = segmentPath(ending === '' ? place : { ...place, suffix: ending }, '.log')
    const log = driver.openFile(path, 'read')
    try {
      const { sizeBytes: fileBytes } = log
      const walk = new BatchWalk({ log: new SectorReads(log), baseOffset, fileBytes })
      const next = { nextOffset: baseOffset, isGapless: false }
      let sliceEnd = SLICE_BYTES
      for (let position = 0; position < fileBytes;) {
        if (walk.check(position, next) !== 'ok') {
          return { isWhole: false, nextOffset: next.nextOffset }
        }
        const at = walk.at(position)
        next.nextOffset = nextOffsetOf(walk.buffer, at)
        position += batchSizeBytesOf(walk.buffer, at)
        if (position < sliceEnd) continue
        sliceEnd = position + SLICE_BYTES
        yield nextTurn
      }
      return { isWhole: true, nextOffset: next.nextOffset }
    } finally {
      log.close()
    }
  }
}
