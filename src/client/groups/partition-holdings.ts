/**
 * PartitionHoldings: for each partition of a group, who holds it, whether the holder has to give it
 * up, and who is to have it. Only states and the moves between them: who is told is the
 * membership's business.
 *   I1  a partition has one holder or none
 *   I2  it goes to its heir only when nobody holds it
 *   I3  a holder that is not the heir has been asked to give up, or has lost it
 * A partition of a deleted topic stays known by its name until its holder released it: a topic made
 * anew under that name must not be handed out while the answer for the old one is still to come.
 */
import { assert } from '../../errors/invariant.ts'
import type { TopicPartition } from '../group-types.ts'
import { compareText } from './member-order.ts'

/** `own`: it counts. `revoked`: it counts until it is released. `lost`: it no longer counts. */
export type Holding = 'own' | 'revoked' | 'lost'

/** One partition as a group sees it; `M` is a member. */
export interface HeldPartition<M> extends TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly holder: M | undefined
  /** `own` where nobody holds it. */
  readonly holding: Holding
  /** Who is to have it; undefined: nobody, or not known yet. */
  readonly heir: M | undefined
}

interface Slot<M> extends HeldPartition<M> {
  holder: M | undefined
  holding: Holding
  heir: M | undefined
}

interface HeldTopic<M> {
  /** Of the topic that the heirs were chosen for. */
  id: string
  slots: Slot<M>[]
}

/** The partitions of one group. */
export class PartitionHoldings<M extends object> {
  readonly #topics = new Map<string, HeldTopic<M>>()
  #heldCount = 0
  #dueCount = 0

  /** How many have a holder. */
  get heldCount(): number {
    return this.#heldCount
  }

  /** How many have a holder that still has to release them. */
  get dueCount(): number {
    return this.#dueCount
  }

  /** Every partition that is known, by topic and number. */
  *all(): Generator<HeldPartition<M>> {
    for (const name of [...this.#topics.keys()].toSorted(compareText)) {
      yield* this.#topics.get(name)?.slots ?? []
    }
  }

  /** One partition; undefined where it is not known. */
  find(topic: string, partition: number): HeldPartition<M> | undefined {
    return this.#topics.get(topic)?.slots[partition]
  }

  /** Topics that are known, with their ids. */
  topics(): ReadonlyMap<string, string> {
    return new Map([...this.#topics].map(([name, { id }]) => [name, id]))
  }

  /** Knows `partitionCount` partitions of a topic from now on. What is held stays held. */
  include(topic: string, id: string, partitionCount: number): void {
    const known = this.#topics.get(topic) ?? { id, slots: [] }
    known.id = id
    // Of an earlier topic of that name, which had more.
    while (known.slots.length > partitionCount && known.slots.at(-1)?.holder === undefined) {
      known.slots.pop()
    }
    for (let partition = known.slots.length; partition < partitionCount; partition += 1) {
      known.slots.push({ topic, partition, holder: undefined, holding: 'own', heir: undefined })
    }
    this.#topics.set(topic, known)
  }

  /** Forgets all heirs, and topics not in `keep` of which nobody holds anything. */
  disinheritAll(keep: ReadonlyMap<string, unknown>): void {
    for (const [name, { slots }] of this.#topics) {
      for (const slot of slots) slot.heir = undefined
      if (keep.has(name) || slots.some(({ holder }) => holder !== undefined)) continue
      this.#topics.delete(name)
    }
  }

  /** Forgets who was to have the partitions of a topic. */
  disinherit(topic: string): void {
    for (const slot of this.#topics.get(topic)?.slots ?? []) slot.heir = undefined
  }

  /** `member` is to have the partition, once nobody else holds it. */
  bequeath(topic: string, partition: number, member: M): void {
    const slot = this.#slot(topic, partition)
    assert(slot.heir === undefined, 'I1: two members were to have one partition')
    slot.heir = member
  }

  /** What `from` was to have, `to` is to have: somebody else, or nobody. */
  passHeritage(from: M, to: M | undefined): void {
    for (const { slots } of this.#topics.values()) {
      for (const slot of slots) if (slot.heir === from) slot.heir = to
    }
  }

  /** Hands a partition that nobody holds to its heir. */
  grant(topic: string, partition: number): void {
    const slot = this.#slot(topic, partition)
    assert(slot.holder === undefined && slot.heir !== undefined, 'I2: free, and wanted')
    slot.holder = slot.heir
    this.#heldCount += 1
  }

  /** Its holder has to give it up (`revoked`), or has no claim to it any more (`lost`). */
  demand(topic: string, partition: number, holding: 'revoked' | 'lost'): void {
    const slot = this.#slot(topic, partition)
    assert(slot.holder !== undefined, 'I3: what nobody holds cannot be asked for')
    if (slot.holding === 'own') this.#dueCount += 1
    slot.holding = holding
  }

  /** Nobody holds it any more. */
  free(topic: string, partition: number): void {
    const slot = this.#slot(topic, partition)
    assert(slot.holder !== undefined, 'I1: somebody held it')
    if (slot.holding !== 'own') this.#dueCount -= 1
    this.#heldCount -= 1
    slot.holder = undefined
    slot.holding = 'own'
  }

  #slot(topic: string, partition: number): Slot<M> {
    const slot = this.#topics.get(topic)?.slots[partition]
    assert(slot !== undefined, 'the partition is known')
    return slot
  }
}
