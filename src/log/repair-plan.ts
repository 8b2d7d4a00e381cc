/**
 * What repair makes of a partition: which segments stay, which are made anew and from what, which
 * are set aside. Pure: it looks at what verification found, and touches nothing.
 *
 * What is lost is filled with empty batches, so that the offsets of a log without gaps still follow
 * on each other, and its other gaps still show (docs/decisions/030).
 *   I1  every stretch that is as it was written is part of what is made
 *   I2  the log ends no earlier than before
 */
import { MAX_EMPTY_BATCH_OFFSETS, type OffsetRange } from '../format/empty-batch.ts'
import type { PartitionFindings, SegmentFindings } from './partition-findings.ts'
import { MAX_RELATIVE_OFFSET } from './roll-policy.ts'
import type { Stretch } from './verify-segment.ts'

/** Segments made for offsets that are lost, at most: more is no loss, but a wrong number. */
const MAX_NEW_SEGMENTS = 64

/** A piece of a segment that is made. */
export type SegmentPart =
  | { readonly kind: 'copy'; readonly stretch: Stretch }
  | { readonly kind: 'fill'; readonly range: OffsetRange; readonly leaderEpoch: number }

/** What happens to one segment. */
export type SegmentStep =
  /** Its .log is made anew; where there was one, `source` is it. */
  | {
      readonly kind: 'make'
      readonly baseOffset: number
      readonly source: SegmentFindings | undefined
      readonly parts: SegmentPart[]
    }
  | { readonly kind: 'index'; readonly baseOffset: number; readonly fileBytes: number }
  | { readonly kind: 'set aside'; readonly baseOffset: number }

/** What is known of the partition besides its segments. */
export interface PlanInput {
  readonly findings: PartitionFindings
  /** Each segment ends where the next one starts. */
  readonly isOwn: boolean
  readonly logStartOffset: number
  /** Segments whose batches name other leader epochs than they should. */
  readonly wrongEpochs: ReadonlySet<number>
}

/** What repair does to a partition. */
export interface PartitionPlan {
  readonly steps: readonly SegmentStep[]
  /** The end that was known is so far off that it cannot have been one: it is forgotten. */
  readonly isEndImplausible: boolean
}

/** The steps that make a partition sound, by base offset. */
export function planPartition(input: PlanInput): PartitionPlan {
  return new Planning(input).run()
}

class Planning {
  readonly #input: PlanInput
  readonly #steps: SegmentStep[] = []
  /** The segment made last, while more can be put behind it. */
  #made: Extract<SegmentStep, { kind: 'make' }> | undefined
  /** The segment before, where it stays as it is. */
  #kept: SegmentFindings | undefined
  #nextOffset: number
  #leaderEpoch = 0

  constructor(input: PlanInput) {
    this.#input = input
    this.#nextOffset = input.findings.firstOffset
    this.#leaderEpoch = Math.max(input.findings.epochs[0]?.leaderEpoch ?? 0, 0)
  }

  run(): PartitionPlan {
    const { findings } = this.#input
    for (const segment of findings.segments) this.#add(segment)
    const isEndImplausible =
      findings.leastEnd - this.#nextOffset > MAX_NEW_SEGMENTS * MAX_EMPTY_BATCH_OFFSETS
    const isTorn = findings.tornBytes > 0
    if (!isEndImplausible && !isTorn) this.#fillTo(findings.leastEnd) // I2
    return { steps: this.#steps, isEndImplausible }
  }

  #add(segment: SegmentFindings): void {
    const { baseOffset, stretches, isDamaged } = segment
    if (isDamaged && stretches.length === 0 && baseOffset < this.#nextOffset) {
      this.#steps.push({ kind: 'set aside', baseOffset })
      return
    }
    const { isOwn, logStartOffset } = this.#input
    if (isOwn && baseOffset > logStartOffset) this.#fillTo(baseOffset)
    this.#nextOffset = Math.max(this.#nextOffset, baseOffset)
    if (isDamaged || this.#input.wrongEpochs.has(baseOffset)) this.#make(segment)
    else this.#keep(segment)
    this.#leaderEpoch = stretches.at(-1)?.leaderEpoch ?? this.#leaderEpoch
  }

  #keep(segment: SegmentFindings): void {
    this.#made = undefined
    this.#kept = segment
    this.#nextOffset = segment.stretches.at(-1)?.nextOffset ?? this.#nextOffset
    if (segment.areIndexesDamaged) this.#renewIndexes(segment)
  }

  #renewIndexes({ baseOffset, wholeBytes }: SegmentFindings): void {
    this.#steps.push({ kind: 'index', baseOffset, fileBytes: wholeBytes })
  }

  #make(segment: SegmentFindings): void {
    this.#begin(segment.baseOffset, segment)
    let end = 0
    for (const stretch of segment.stretches) {
      // Bytes were lost before it, and their offsets with them.
      if (stretch.position > end) this.#fillTo(stretch.firstOffset)
      this.#made?.parts.push({ kind: 'copy', stretch })
      this.#leaderEpoch = stretch.leaderEpoch
      this.#nextOffset = stretch.nextOffset
      end = stretch.end
    }
  }

  #begin(baseOffset: number, source: SegmentFindings | undefined): void {
    // Offsets were lost at the end of the one before: its indexes may still name them.
    const kept = source === undefined ? this.#kept : undefined
    if (kept?.areIndexesDamaged === false) this.#renewIndexes(kept)
    this.#kept = undefined
    this.#made = { kind: 'make', baseOffset, source, parts: [] }
    this.#steps.push(this.#made)
  }

  /** Fills what is lost up to `offset`: behind what is being made, or in segments of their own. */
  #fillTo(offset: number): void {
    while (this.#nextOffset < offset) {
      const firstOffset = this.#nextOffset
      const base = this.#made?.baseOffset
      if (base === undefined || firstOffset - base > MAX_RELATIVE_OFFSET) {
        this.#begin(firstOffset, undefined)
        continue
      }
      const nextOffset = Math.min(
        offset,
        this.#endOfEpoch(firstOffset),
        firstOffset + MAX_EMPTY_BATCH_OFFSETS,
        base + MAX_RELATIVE_OFFSET + 1,
      )
      const range = { firstOffset, nextOffset }
      const leaderEpoch = this.#epochAt(firstOffset)
      this.#made?.parts.push({ kind: 'fill', range, leaderEpoch })
      this.#nextOffset = nextOffset
    }
  }

  #epochAt(offset: number): number {
    const { storedEpochs } = this.#input.findings
    const stored = storedEpochs.findLast(({ startOffset }) => startOffset <= offset)
    return stored?.leaderEpoch ?? this.#leaderEpoch
  }

  #endOfEpoch(offset: number): number {
    const { storedEpochs } = this.#input.findings
    return storedEpochs.find(({ startOffset }) => startOffset > offset)?.startOffset ?? Infinity
  }
}
