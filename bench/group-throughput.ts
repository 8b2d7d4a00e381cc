/**
 * How fast does a consumer group work through a topic of four partitions that is in memory, looking
 * at each value and committing as it goes?
 *
 * streambed: `for await` over consumers and over their batches, `run` and `runBatches`, with one
 * member and with four. SQLite: pages of 1,000 rows and a row with the position, in WAL mode with
 * synchronous NORMAL, which survives a kill as the commits of a group do. Limit: `records()`, which
 * knows no group.
 */
import { SQLITE, SqliteLog, sqliteStore } from './contestants/sqlite.ts'
import { StreambedGroups, type GroupPass } from './contestants/streambed-group.ts'
import { Contest, type Timed } from './runner/contest.ts'
import { Dataset, mustEqual, touch } from './runner/dataset.ts'
import type { Contestant, Question } from './runner/question.ts'
import { recordsFor, sizesOf } from './runner/scale.ts'
import { timed } from './runner/stopwatch.ts'

/** The question. */
export const groupThroughput: Question = {
  name: 'groups-throughput',
  asks: 'a consumer group reads a topic in memory to its end, committing as it goes',
  answer: 'throughput',
  cases: (scale) =>
    sizesOf(scale).map((size) => {
      const plan = {
        dataset: new Dataset(size.valueBytes),
        recordCount: recordsFor(200_000, size, scale),
      }
      return { name: size.name, contestants: contestantsOf(plan) }
    }),
}

interface Plan {
  readonly dataset: Dataset
  readonly recordCount: number
}

type Pass = () => GroupPass | Promise<GroupPass>

/** Read before the clock starts. */
const WARM_UP_RECORDS = 800_000
/** Read at least while it runs. */
const TIMED_RECORDS = 800_000

async function timedPasses({ dataset, recordCount }: Plan, pass: Pass): Promise<Timed> {
  for (let read = 0; read < WARM_UP_RECORDS; read += recordCount) await pass()
  const passCount = Math.ceil(TIMED_RECORDS / recordCount)
  const readCount = passCount * recordCount
  let visited = 0
  let sum = 0
  const measurement = await timed(readCount, dataset.byteCount(readCount), async () => {
    for (let passed = 0; passed < passCount; passed += 1) {
      const seen = await pass()
      visited += seen.visited
      sum += seen.sum
    }
  })
  mustEqual(visited, readCount, 'records read')
  mustEqual(sum, passCount * dataset.touched(0, recordCount), 'sum over the values read')
  return { measurement }
}

const OURS: readonly (readonly [name: string, pass: (groups: StreambedGroups) => Pass])[] = [
  ['batches, 1 member', (groups) => () => groups.iteratedByBatch(1)],
  ['batches, 4 members', (groups) => () => groups.iteratedByBatch(4)],
  ['for await, 1 member', (groups) => () => groups.iterated(1)],
  ['for await, 4 members', (groups) => () => groups.iterated(4)],
  ['runBatches, 1 member', (groups) => () => groups.ranByBatch({})],
  ['run, 1 member', (groups) => () => groups.ran({})],
  ['run, 4 members', (groups) => () => groups.ran({ members: 4 })],
  ['run by key, 1 member', (groups) => () => groups.ran({ orderedBy: 'key', concurrency: 4 })],
]

function contestantsOf(plan: Plan): readonly Contestant[] {
  const { dataset, recordCount } = plan
  const open = (): Promise<StreambedGroups> => StreambedGroups.filled(dataset, recordCount)
  const contest = new Contest(dataset, (pass: Pass) => timedPasses(plan, pass))
  for (const [name, pass] of OURS) contest.add({ name, role: 'ours' }, open, pass)
  contest
    .add(
      { name: 'sqlite', ...SQLITE, store: sqliteStore(dataset, recordCount) },
      (directory) => new SqliteLog(directory, 'NORMAL'),
      (log) => () => consumed(log),
    )
    .add({ name: 'records()', role: 'limit' }, open, (groups) => () => groups.scanned())
  return contest.contestants
}

function consumed(log: SqliteLog): GroupPass {
  let sum = 0
  const visited = log.consume(({ value }) => {
    sum += touch(value, 0, value.length)
  })
  return { visited, sum }
}
