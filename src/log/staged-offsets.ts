/**
 * StagedOffsets: positions that a transaction has written and that do not count yet. What becomes
 * of them is the transaction's to say: they count, they never did, or nobody knows.
 *
 *   staged -> applied    the commit marker is written
 *          -> dropped    aborted
 *          -> unknown    only opening the log again will tell
 *   I1  a position changes when its transaction is committed, and not where a record behind it in
 *       the topic of committed offsets says otherwise: as offsets-load.ts will read it again
 *   I2  while the outcome is open, and for ever where it is unknown, whoever takes a partition over
 *       waits for it: read from the old position, its records would be handled twice
 */
import type { LogError } from '../errors/log-error.ts'
import type { GroupPosition } from './group-positions.ts'
import { changePosition, type StagedChange } from './offsets-writer.ts'
import type { OffsetCommit } from './offset-checks.ts'
import type { PartitionLog } from './partition-log.ts'

/** How a transaction ended, as far as its positions are concerned. */
export type OffsetsOutcome = 'committed' | 'aborted' | 'unknown'

/** Positions of one group that a transaction commits. */
export interface TransactionOffsets {
  readonly groupId: string
  readonly commits: readonly OffsetCommit[]
  /**
   * Asked synchronously right before they are appended.
   * @throws {LogError} REBALANCED where a partition is not any more whose it was; TOPIC_NOT_FOUND.
   */
  check(): void
  /** What became of them once they were staged. Must not throw. */
  ended(outcome: OffsetsOutcome): void
}

/** Part of a partition: everything below `offset`. */
export interface UpTo {
  readonly log: PartitionLog
  readonly offset: number
}

/** Positions that were appended and do not count yet. One of the last three is called, once. */
export interface StagedOffsets {
  /** Where they were written: durable before the decision. */
  readonly logs: readonly UpTo[]
  /**
   * The data that they are about: durable before the decision too. A topic that was deleted since
   * needs no sync.
   */
  readonly sources: readonly UpTo[]
  /** The transaction is committed. */
  apply(): void
  /** The transaction is aborted. */
  drop(): void
  /** Nobody knows before the log is opened again: they stay pending, and who waits gets `error`. */
  unknown(error: LogError): void
}

/** The positions of one transaction. */
export class StagedTransaction implements StagedOffsets {
  readonly logs: readonly UpTo[]
  readonly sources: readonly UpTo[]
  readonly #offsets: readonly TransactionOffsets[]
  readonly #changes: readonly StagedChange[]
  readonly #pending: PendingOffsets
  readonly #outcome: Outcome = new Outcome()

  constructor(
    pending: PendingOffsets,
    offsets: readonly TransactionOffsets[],
    { logs, sources, changes }: AppendedOffsets,
  ) {
    this.logs = logs
    this.sources = sources
    this.#offsets = offsets
    this.#changes = changes
    this.#pending = pending
    for (const { change } of changes) pending.add(change.position, this.#outcome)
  }

  apply(): void {
    for (const { change, writtenAt } of this.#changes) {
      if (writtenAt > change.position.writtenAt) changePosition(change, writtenAt) // I1
    }
    this.#end('committed')
  }

  drop(): void {
    this.#end('aborted')
  }

  unknown(error: LogError): void {
    this.#outcome.fail(error)
    for (const one of this.#offsets) one.ended('unknown')
  }

  #end(outcome: OffsetsOutcome): void {
    for (const { change } of this.#changes) this.#pending.remove(change.position, this.#outcome)
    for (const one of this.#offsets) one.ended(outcome)
    this.#outcome.settle()
  }
}

/** What a transaction appended. */
interface AppendedOffsets {
  readonly logs: readonly UpTo[]
  readonly sources: readonly UpTo[]
  readonly changes: readonly StagedChange[]
}

/** Positions that wait for the outcome of transactions. */
export class PendingOffsets {
  readonly #outcomes = new Map<GroupPosition, Outcome[]>()

  add(position: GroupPosition, outcome: Outcome): void {
    position.isPending = true
    const outcomes = this.#outcomes.get(position)
    if (outcomes === undefined) this.#outcomes.set(position, [outcome])
    else outcomes.push(outcome)
  }

  remove(position: GroupPosition, outcome: Outcome): void {
    const left = (this.#outcomes.get(position) ?? []).filter((other) => other !== outcome)
    position.isPending = left.length > 0
    if (position.isPending) this.#outcomes.set(position, left)
    else this.#outcomes.delete(position)
  }

  /**
   * Resolves when none of these positions is pending. @throws {LogError} IO where one never is; who
   * asks only whether there is anything to wait for, need not hear of it.
   */
  settled(positions: readonly GroupPosition[]): Promise<void> {
    const settled = this.#settled(positions)
    settled.catch(() => undefined)
    return settled
  }

  async #settled(positions: readonly GroupPosition[]): Promise<void> {
    for (;;) {
      const outcomes = positions.flatMap((position) => this.#outcomes.get(position) ?? [])
      if (outcomes.length === 0) return
      await Promise.all(outcomes.map((outcome) => outcome.known()))
    }
  }
}

/** Whether it is known what became of a transaction. */
class Outcome {
  #isKnown = false
  #failure: LogError | undefined
  #waiting: (() => void)[] = []

  settle(): void {
    this.#isKnown = true
    this.#wake()
  }

  fail(error: LogError): void {
    this.#failure = error
    this.#wake()
  }

  /** Resolves when it is. @throws {LogError} What keeps it from ever being known. */
  async known(): Promise<void> {
    if (!this.#isKnown && this.#failure === undefined) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
      })
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
