/**
 * A model of what a partition knows of producers: it keeps every batch there ever was, and searches
 * all of them for each answer.
 */

const SEQUENCES = 2 ** 31

/** A batch or marker that was appended. */
export interface ModelEntry {
  readonly producerId: number
  readonly epoch: number
  /** -1 in a marker. */
  readonly sequence: number
  readonly count: number
  readonly transactional: boolean
  readonly baseOffset: number
  /** Of a marker. */
  readonly outcome?: 'commit' | 'abort' | undefined
}

/** A batch that somebody wants to append. */
export interface WantedBatch {
  readonly producerId: number
  readonly epoch: number
  readonly sequence: number
  readonly count: number
  readonly transactional: boolean
}

/** What becomes of it: an error's code, where its original starts, or null: it is appended. */
export type Verdict = 'FENCED' | 'OUT_OF_ORDER_SEQUENCE' | 'INVALID_ARGUMENT' | number | null

/** All producers of one partition. */
export class ProducerModel {
  readonly #entries: ModelEntry[] = []

  /** All that was appended, in order. */
  get entries(): readonly ModelEntry[] {
    return this.#entries
  }

  get logEndOffset(): number {
    const last = this.#entries.at(-1)
    return last === undefined ? 0 : last.baseOffset + last.count
  }

  verdictOn(batch: WantedBatch): Verdict {
    const { producerId, epoch } = batch
    const known = this.#of(producerId)
    if (known.length === 0) return null
    const currentEpoch = known.at(-1)?.epoch ?? -1
    if (epoch < currentEpoch) return 'FENCED'
    for (const one of this.#batchesOf(producerId, epoch).slice(-5)) {
      if (one.sequence === batch.sequence && one.count === batch.count) return one.baseOffset
    }
    if (batch.sequence !== this.nextSequence(producerId, epoch)) return 'OUT_OF_ORDER_SEQUENCE'
    const isOpen = this.firstOffsetOf(producerId) !== undefined
    const isOfIt = batch.transactional && epoch === currentEpoch
    return isOpen && !isOfIt ? 'INVALID_ARGUMENT' : null
  }

  append(batch: WantedBatch & Pick<ModelEntry, 'outcome'>): void {
    this.#entries.push({ ...batch, baseOffset: this.logEndOffset })
  }

  appendMarker(producerId: number, epoch: number, outcome?: 'commit' | 'abort'): void {
    this.append({ producerId, epoch, sequence: -1, count: 1, transactional: true, outcome })
  }

  /** Whether the transaction of a batch was aborted; undefined while it is open. */
  isAborted(batch: ModelEntry): boolean | undefined {
    const marker = this.#of(batch.producerId).find(
      (one) => one.sequence < 0 && one.baseOffset > batch.baseOffset,
    )
    return marker === undefined ? undefined : marker.outcome === 'abort'
  }

  nextSequence(producerId: number, epoch: number): number {
    const last = this.#batchesOf(producerId, epoch).at(-1)
    const isCurrent = this.currentEpoch(producerId) === epoch
    return last === undefined || !isCurrent ? 0 : (last.sequence + last.count) % SEQUENCES
  }

  currentEpoch(producerId: number): number {
    return this.#of(producerId).at(-1)?.epoch ?? -1
  }

  /** Where the open transaction of a producer starts; undefined where it has none. */
  firstOffsetOf(producerId: number): number | undefined {
    const known = this.#of(producerId)
    const since = known.slice(known.findLastIndex((one) => one.sequence < 0) + 1)
    return since.find((one) => one.transactional)?.baseOffset
  }

  get producerIds(): readonly number[] {
    return [...new Set(this.#entries.map((one) => one.producerId))]
  }

  /** First offsets of all open transactions, ascending. */
  get openOffsets(): readonly number[] {
    const offsets = this.producerIds.map((id) => this.firstOffsetOf(id))
    return offsets.filter((offset) => offset !== undefined).sort((a, b) => a - b)
  }

  #of(producerId: number): readonly ModelEntry[] {
    return this.#entries.filter((one) => one.producerId === producerId)
  }

  #batchesOf(producerId: number, epoch: number): readonly ModelEntry[] {
    return this.#of(producerId).filter((one) => one.epoch === epoch && one.sequence >= 0)
  }
}
