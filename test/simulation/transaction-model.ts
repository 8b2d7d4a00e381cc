/**
 * TransactionModel: what one transaction promised: all of its records, in every partition, or none.
 *
 *   open       anybody may abort it: nothing of it is committed
 *   ending     its commit is under way
 *   committed  its commit resolved: everything is there, whatever happens
 *   aborted    nothing of it is ever shown to readers of what is committed
 *   unknown    nobody heard how its commit ended: all of it, or nothing
 * Until it is known, the first reader who comes past it decides for all others.
 */
import type { PartitionModel } from './partition-model.ts'
import type { WrittenRecord } from './record-book.ts'
import { must } from './simulation-failure.ts'
import type { TopicModel } from './topic-model.ts'

/** Where a record of a transaction was sent. */
export interface SentRecord {
  readonly record: WrittenRecord
  readonly topic: TopicModel
  readonly partition: PartitionModel
}

/** See the file's header. */
export class TransactionModel {
  readonly number: number
  readonly sent: SentRecord[] = []
  outcome: 'open' | 'ending' | 'committed' | 'aborted' | 'unknown' = 'open'
  /** What readers saw of it, before anybody knew. */
  #decision: 'shown' | 'hidden' | undefined
  /** One of them was shown only what no loss of power takes. */
  #wasDurable = false

  constructor(number: number) {
    this.number = number
  }

  /** A record that is about to be sent in it. */
  add(record: WrittenRecord, topic: TopicModel, partition: PartitionModel): void {
    record.transaction = this
    this.sent.push({ record, topic, partition })
    partition.transactions.add(this.number)
  }

  /** Nothing comes of it any more. */
  get isOver(): boolean {
    return this.outcome === 'committed' || this.outcome === 'aborted'
  }

  /**
   * A reader of what is committed comes to one of its records, and shows it or goes past it:
   * `isDurable` one that is shown only what is on stable storage.
   */
  met(where: string, isShown: boolean, isDurable: boolean = false): void {
    const { outcome } = this
    const what = (): string =>
      `${where}: a record of transaction ${this.number} (${outcome}, ${this.#decision}) is ` +
      (isShown ? 'shown' : 'passed over')
    if (outcome === 'committed') return must(isShown, what)
    if (outcome === 'aborted') return must(!isShown, what)
    // What nobody has ended may have been aborted, and its user not have heard of it.
    must(outcome !== 'open' || !isShown, what)
    const decision = isShown ? 'shown' : 'hidden'
    must(this.#decision === undefined || this.#decision === decision, what)
    this.#decision = decision
    if (isShown && isDurable) this.#wasDurable = true
  }

  /** Its commit resolved: every record is on stable storage. */
  committed(): void {
    const { sent, number, outcome } = this
    must(outcome !== 'aborted', () => `transaction ${number} was aborted, and then committed`)
    must(this.#decision !== 'hidden', () => `transaction ${number}: hidden, and then committed`)
    this.outcome = 'committed'
    for (const { record, topic, partition } of sent) {
      const { id, offset, state } = record
      if (state !== 'acked' || !topic.isLive) continue
      must(
        offset < partition.handle.durableOffset,
        () => `transaction ${number}: record ${id} of ${partition.name} at ${offset}: not durable`,
      )
    }
  }

  /** Nothing of it may be shown: its user heard, or wants it so. */
  aborted(): void {
    must(this.outcome !== 'committed', () => `transaction ${this.number}: aborted, but committed`)
    must(this.#decision !== 'shown', () => `transaction ${this.number}: shown, and then aborted`)
    this.outcome = 'aborted'
  }

  /** Its process is gone. */
  processEnded(): void {
    if (this.outcome === 'open') this.outcome = 'aborted'
    else if (this.outcome === 'ending') this.outcome = 'unknown'
  }

  /** What is not on stable storage may be undone by a loss of power, a decision as well. */
  powerWent(): void {
    if (!this.#wasDurable) this.#decision = undefined
  }

  /** The log was opened again, and every partition of it was read. */
  settle(): void {
    if (this.outcome !== 'unknown' || this.#decision === undefined) return
    this.outcome = this.#decision === 'shown' ? 'committed' : 'aborted'
  }

  /** What was committed is there: with every record, but for those that were trimmed since. */
  checkWhole(): void {
    if (this.outcome !== 'committed') return
    for (const { record, topic, partition } of this.sent) {
      const { id, offset, state } = record
      if (state === 'refused' || !topic.isLive) continue
      if (offset >= 0 && offset < partition.logStart) continue
      must(
        state !== 'lost' && record.seenIn !== -1,
        () => `transaction ${this.number} is committed, but ${id} of ${partition.name} is gone`,
      )
    }
  }
}
