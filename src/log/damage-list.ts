/**
 * DamageList: the damage of one partition as it is found. What nobody could have read any more is
 * none: what lies below the start of the log, and files without a byte whose offsets are elsewhere.
 */
import type { Damage } from './damage.ts'

/** A place in a file where offsets are missing. */
export interface FoundLoss {
  readonly position: number
  readonly bytes: number
  /** The offset that should be there. */
  readonly firstOffset: number
  /** The next offset that is there again. */
  readonly resumesAt: number
  readonly reason: string
}

/** A file, or a part of one, that is wrong without a record being lost by it. */
export type FoundFlaw = Pick<Damage, 'file' | 'position' | 'bytes' | 'reason'>

/** The damage of one partition. */
export class DamageList {
  readonly #topic: string
  readonly #partition: number
  readonly #logStartOffset: number
  readonly #damage: Damage[] = []

  constructor(topic: string, partition: number, logStartOffset: number) {
    this.#topic = topic
    this.#partition = partition
    this.#logStartOffset = logStartOffset
  }

  get all(): readonly Damage[] {
    return this.#damage
  }
  get count(): number {
    return this.#damage.length
  }

  /** Adds the offsets that are gone from a .log, as far as anybody could have read them. */
  addLoss(file: string, found: FoundLoss): void {
    const { position, bytes, resumesAt, reason } = found
    const firstOffset = Math.max(found.firstOffset, this.#logStartOffset)
    const isLoss = resumesAt > firstOffset
    if (!isLoss && (bytes === 0 || resumesAt <= this.#logStartOffset)) return
    const lastOffset = isLoss ? resumesAt - 1 : null
    this.#add({ file, position, bytes, reason }, isLoss ? firstOffset : null, lastOffset)
  }

  /** Adds what is wrong without a loss. */
  addFlaw(flaw: FoundFlaw): void {
    this.#add(flaw, null, null)
  }

  /** Forgets what was found last: the files were being removed meanwhile. */
  cutTo(count: number): void {
    this.#damage.length = count
  }

  #add(flaw: FoundFlaw, firstOffset: number | null, lastOffset: number | null): void {
    const { file, position, bytes, reason } = flaw
    const [topic, partition] = [this.#topic, this.#partition]
    this.#damage.push({ topic, partition, file, position, bytes, firstOffset, lastOffset, reason })
  }
}
