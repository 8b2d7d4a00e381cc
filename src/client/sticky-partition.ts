/**
 * Sticky partitions (KIP-794): where records without a key go. They stay on one partition, drawn at
 * random, until a batch's worth of bytes went there, so that batches fill instead of being spread.
 *
 *   I1  it moves on once `batchBytes` went to the partition and a batch was closed there, or twice
 *       as many in any case: moving in the middle of a batch would leave half-full ones
 *   I2  each topic has a partition of its own; one that no longer exists is chosen anew
 */

/** Random bytes, as `EventLogOptions.random` gives them. */
export type RandomBytes = (byteCount: number) => Uint8Array

interface Sticky {
  partition: number
  producedBytes: number
}

const INT32_BYTES = 4

/** The sticky partitions of one producer. */
export class StickyPartitions {
  readonly #byTopic = new Map<string, Sticky>()
  readonly #batchBytes: number
  readonly #random: RandomBytes

  constructor(batchBytes: number, random: RandomBytes) {
    this.#batchBytes = batchBytes
    this.#random = random
  }

  /** The partition for the next record without a key. */
  partitionOf(topic: string, partitionCount: number): number {
    let sticky = this.#byTopic.get(topic)
    if (sticky === undefined) {
      sticky = { partition: UNCHOSEN, producedBytes: 0 }
      this.#byTopic.set(topic, sticky)
    }
    if (sticky.partition < 0 || sticky.partition >= partitionCount) {
      sticky.partition = this.#draw(partitionCount)
      sticky.producedBytes = 0
    }
    return sticky.partition
  }

  /** `byteCount` bytes went to a partition; `batchClosed`: the next record there starts a batch. */
  recorded(topic: string, partition: number, byteCount: number, batchClosed: boolean): void {
    if (this.#byTopic.size === 0) return // Hot: where every record has a key, that is all.
    const sticky = this.#byTopic.get(topic)
    if (sticky === undefined || sticky.partition !== partition) return
    sticky.producedBytes += byteCount
    const enough = batchClosed ? this.#batchBytes : this.#batchBytes * 2
    if (sticky.producedBytes >= enough) sticky.partition = UNCHOSEN
  }

  #draw(partitionCount: number): number {
    if (partitionCount === 1) return 0
    const bytes = this.#random(INT32_BYTES)
    let number = 0
    for (const byte of bytes.subarray(0, INT32_BYTES)) number = number * 256 + byte
    return number % partitionCount
  }
}

/** No partition: drawn when the next record asks. */
const UNCHOSEN = -1
