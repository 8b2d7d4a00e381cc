/**
 * Mutants of transactions: of the order in which one is committed, of what ends it, and of who is
 * shown it (mutants.ts says what a mutant is).
 */
import type { FaultGroup } from './fault-plan.ts'
import type { Mutant } from './mutants.ts'

const CRASH: readonly FaultGroup[] = ['crash']
const TRANSACTION = 'src/log/coordinated-transaction.ts'

/** Builds that lack a rule of transactions. */
export const TRANSACTION_MUTANTS: readonly Mutant[] = [
  {
    rule: 'what a transaction wrote is durable before its decision',
    section: 8,
    file: TRANSACTION,
    find: 'logs.map((log) => durable({ log, offset: log.logEndOffset }))',
    replace: '[Promise.resolve()]',
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'what its positions were committed of is durable before its decision',
    section: 8,
    file: TRANSACTION,
    find: 'for (const source of this.#staged?.sources ?? []) waits.push(durable(source))',
    replace: '',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'the decision is durable before its markers',
    section: 8,
    file: TRANSACTION,
    find: 'await this.#decision(upTo)\n    this.id.decided()',
    replace: 'void this.#decision(upTo).catch(() => undefined)\n    this.id.decided()',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'the marker that is a decision is durable before the commit counts',
    section: 8,
    file: TRANSACTION,
    find: 'await this.#decision(upTo) //',
    replace: 'void this.#decision(upTo).catch(() => undefined) //',
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'markers are durable before the next decision of the id',
    section: 8,
    file: TRANSACTION,
    find: 'waits.push(this.id.settled(logs))',
    replace: '',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'markers are durable before a new producer of the id is recorded',
    section: 8,
    file: 'src/log/transaction-coordinator.ts',
    find: 'await Promise.all([this.prepareTransactions(), id.settled()])',
    replace: 'await this.prepareTransactions()',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'after a decision nothing is written under its epoch',
    section: 8,
    file: 'src/log/transactional-id.ts',
    find: "this.#decision = { complete: 'CompleteCommit', unwrittenCount: 0, written: [] }\n    this.advance()",
    replace: "this.#decision = { complete: 'CompleteCommit', unwrittenCount: 0, written: [] }",
    faults: CRASH,
    seed: 20,
  },
  {
    rule: 'positions of a transaction move with its commit marker, not before',
    section: 8,
    file: TRANSACTION,
    find: 'this.#staged = offsets.stage(this.#offsets, (log) => this.#nextIn(log))',
    replace:
      'this.#staged = offsets.stage(this.#offsets, (log) => this.#nextIn(log)); this.#staged.apply()',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'what a stop left undecided is aborted, and nothing else committed',
    section: 8,
    file: 'src/log/transaction-recovery.ts',
    find: "outcome: isCommitted ? 'commit' : 'abort',",
    replace: "outcome: 'commit',",
    faults: CRASH,
    seed: 12,
  },
  {
    rule: 'what was decided before a stop is committed when the log is opened',
    section: 8,
    file: 'src/log/transaction-recovery.ts',
    find: "outcome: isCommitted ? 'commit' : 'abort',",
    replace: "outcome: 'abort',",
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'readers of what is committed end at the last stable offset',
    section: 5,
    file: 'src/log/partition-log.ts',
    find: 'return Math.min(firstUnstable, this.#logEndOffset)',
    replace: 'return Math.max(Math.min(firstUnstable, 0), this.#logEndOffset)',
    faults: CRASH,
    seed: 4,
  },
  {
    rule: 'readers hear of an abort before its marker moves the last stable offset',
    section: 8,
    file: 'src/log/partition-log.ts',
    find: 'if (aborted !== undefined) this.#aborted?.added(aborted)',
    replace: '',
    faults: CRASH,
    seed: null,
  },
  {
    rule: 'readers of what is durable wait for a marker that is a decision',
    section: 5,
    file: 'src/client/record-source.ts',
    find: 'isCommitted ? log.undecided.lowestOffset : Infinity',
    replace: 'isCommitted && log.undecided.lowestOffset < 0 ? 0 : Infinity',
    faults: CRASH,
    seed: null,
  },
]
