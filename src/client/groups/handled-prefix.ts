/**
 * HandledPrefix: how far a partition is handled without a gap, while its records are finished in
 * any order. What may be committed is the position below which every record is finished.
 *
 *   offsets   10 11 12 13 14 | 15 not taken
 *   open       x     x                        position 10; once 10 is finished, 12
 *
 *   I1  position is the lowest open offset; without one, where the next take begins
 *   I2  position never moves back
 * Holds the open records alone, in offset order, each linked to its neighbours: a record that stays
 * open for ever costs no memory for those that are finished behind it.
 */
import { assert } from '../../errors/invariant.ts'

/** A record that is not finished. */
export interface OpenOffset {
  readonly offset: number
  before: OpenOffset | undefined
  after: OpenOffset | undefined
  isOpen: boolean
}

/** The records of one partition that are not finished, and the position that they hold back. */
export class HandledPrefix {
  #first: OpenOffset | undefined
  #last: OpenOffset | undefined
  /** Behind everything that was taken. */
  #end: number
  #openCount = 0

  /** `start` is the first offset that is taken. */
  constructor(start: number) {
    this.#end = start
  }

  /** Every record below it is finished. */
  get position(): number {
    return this.#first?.offset ?? this.#end
  }

  get openCount(): number {
    return this.#openCount
  }

  /** A record was taken. In offset order. */
  open(offset: number): OpenOffset {
    assert(offset >= this.#end, 'records are taken in offset order')
    const added: OpenOffset = { offset, before: this.#last, after: undefined, isOpen: true }
    if (this.#last === undefined) this.#first = added
    else this.#last.after = added
    this.#last = added
    this.#end = offset + 1
    this.#openCount += 1
    return added
  }

  /** Everything below `nextOffset` was taken: there is nothing in a gap to wait for. */
  takenUpTo(nextOffset: number): void {
    assert(nextOffset >= this.#end, 'a take ends behind its last record')
    this.#end = nextOffset
  }

  /** A record is finished; whether `position` moved. */
  finish(record: OpenOffset): boolean {
    assert(record.isOpen, 'a record is finished once')
    const { before, after } = record
    record.isOpen = false
    record.before = undefined
    record.after = undefined
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    this.#openCount -= 1
    return before === undefined
  }
}
