/**
 * How many transactions are committed, durably, when each of them writes ten records and is
 * awaited: one at a time, and 64 at once, over one partition and over several? Counted are
 * transactions.
 *
 * streambed: `producer.transaction`, with a producer for each at once. Over several partitions the
 * decision is a record of its own behind their data. SQLite: WAL with synchronous FULL, the same
 * rows in one table, a transaction each. Limits: raw writes and awaited syncs in the order that a
 * transaction needs, with nothing read or checked; where 64 are under way, those that come in one
 * turn, queued by hand, become one transaction, which then only commits or fails as a whole.
 */
import { RawTransactions } from './contestants/raw-transactions.ts'
import { SQLITE, SqliteLog } from './contestants/sqlite.ts'
import { StreambedTransactions, TRANSACTION_RECORDS } from './contestants/streambed-transactions.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset } from './runner/dataset.ts'
import { GroupCommit } from './runner/group-commit.ts'
import type { Case, Contestant, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const PARTITIONS = [1, 2, 4]
/** `warmUp` are committed before the clock starts: V8 compiles while the first ones run. */
const KINDS = [
  { atOnce: 1, base: 2_000, warmUp: 8_000 },
  { atOnce: 64, base: 12_000, warmUp: 25_000 },
]
const VALUE_BYTES = 100
const FULL = 2

/** The question. */
export const transactions: Question = {
  name: 'transactions',
  asks: `commits transactions of ${TRANSACTION_RECORDS} records, each awaited and durable`,
  answer: 'throughput',
  cases: ({ quick }) =>
    KINDS.flatMap(({ atOnce, base, warmUp }) =>
      PARTITIONS.map((partitions) =>
        caseOf({ atOnce, partitions, warmUp, transactionCount: base * (quick ? 1 : FULL) }),
      ),
    ),
}

interface Plan {
  readonly atOnce: number
  readonly partitions: number
  readonly warmUp: number
  readonly transactionCount: number
}

/** Commits transaction `index`; one at a time for each sender. */
type Commit = (index: number, sender: number) => Promise<unknown>

function caseOf(plan: Plan): Case {
  const where = plan.partitions === 1 ? '1 partition' : `${plan.partitions} partitions`
  return { name: `${where}, ${plan.atOnce} in flight`, contestants: contestantsOf(plan) }
}

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { atOnce, partitions } = plan
  const dataset = new Dataset(VALUE_BYTES)
  const contest = new Contest(dataset, (commit: Commit) => timedCommits(plan, commit))
    .add(
      { name: 'streambed', role: 'ours' },
      (directory) => StreambedTransactions.open(directory, plan),
      (subject) => {
        const all = subject.transactionsOf(dataset)
        return (index, sender) => subject.commit(all[index % all.length] ?? [], sender)
      },
    )
    .add(
      { name: 'sqlite FULL', ...SQLITE },
      (directory) => new SqliteTransactions(directory),
      ({ log }) => {
        const all = dataset.batches(TRANSACTION_RECORDS)
        return async (index) => log.appendAll(all[index % all.length] ?? [])
      },
    )
  contest.add(
    { name: atOnce === 1 ? 'raw writes + fdatasync' : 'raw, queued', role: 'limit' },
    (directory) => new RawTransactions(directory, partitions),
    (files) => {
      const all = dataset.batches(TRANSACTION_RECORDS)
      const commit = (indexes: readonly number[]): Promise<void> =>
        files.commit(indexes.map((index) => all[index % all.length] ?? []))
      if (atOnce === 1) return (index) => commit([index])
      const group = new GroupCommit<number>(commit)
      return (index) => group.add(index)
    },
  )
  if (atOnce === 1) return contest.contestants
  contest.add(
    { name: 'sqlite FULL, queued', ...SQLITE, role: 'limit' },
    (directory) => new SqliteTransactions(directory),
    ({ log }) => {
      const all = dataset.batches(TRANSACTION_RECORDS)
      const group = new GroupCommit<number>((indexes) => {
        log.appendAll(indexes.flatMap((index) => all[index % all.length] ?? []))
      })
      return (index) => group.add(index)
    },
  )
  return contest.contestants
}

/** The table, checked by transactions as they are counted here. */
class SqliteTransactions {
  readonly log: SqliteLog

  constructor(directory: string) {
    this.log = new SqliteLog(directory, 'FULL')
  }

  check(dataset: Dataset, transactionCount: number): void {
    this.log.check(dataset, transactionCount * TRANSACTION_RECORDS)
  }

  close(): void {
    this.log.close()
  }
}

async function timedCommits(
  { atOnce, warmUp, transactionCount }: Plan,
  commit: Commit,
): Promise<Timed> {
  let next = 0
  const send = async (sender: number, end: number): Promise<void> => {
    while (next < end) await commit(next++, sender)
  }
  const commitUpTo = async (end: number): Promise<void> => {
    await Promise.all(Array.from({ length: atOnce }, (_, sender) => send(sender, end)))
  }
  const writtenCount = warmUp + transactionCount
  await commitUpTo(warmUp)
  const byteCount = new Dataset(VALUE_BYTES).byteCount(transactionCount * TRANSACTION_RECORDS)
  const measurement = await timed(transactionCount, byteCount, () => commitUpTo(writtenCount))
  return { measurement, writtenCount }
}
