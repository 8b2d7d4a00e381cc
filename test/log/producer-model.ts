/**
 * A model of what a partition knows of producers: it keeps every batch there ever was, and searches
 * all of them for each answer.
 */

const SEQUENCES = 2 ** 31

/** A batch or marker that was appended. */
interface Entry {
  readonly producerId: number
  readonly epoch: number
  /** -1 in a marker. */
  readonly sequence: number
  readonly count: number
  readonly transactional: boolean
  readonly baseOffset: number
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
  readonly #entries: Entry[] = []
  logEndOffset = 0

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

  append(batch: WantedBatch): void {
    this.#entries.push({ ...batch, baseOffset: this.logEndOffset })
    this.logEndOffset += batch.count
  }

  appendMarker(producerId: number, epoch: number): void {
    this.append({ producerId, epoch, sequence: -1, count: 1, transactional: true })
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

  #of(producerId: number): readonly Entry[] {
    return this.#entries.filter((one) => one.producerId === producerId)
  }

  #batchesOf(producerId: number, epoch: number): readonly Entry[] {
    return this.#of(producerId).filter((one) => one.epoch === epoch && one.sequence >= 0)
  }
}
