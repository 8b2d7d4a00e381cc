/**
 * How much slower is a writer that others read beside, in other processes? It appends as fast as
 * it can; beside it there are
 *
 *   no readers              nobody: what there is to lose
 *   they read another log   as many processes, which read a log that nobody writes: they take the
 *                           same cores, caches and memory, and have nothing to do with this writer
 *   they follow             live readers of what is appended: what they cost beyond that
 *   they wait               live readers of another topic of the log, which are woken by whatever
 *                           the writer publishes, find nothing, and sleep again
 *
 * All of them run at the lowest priority, so that the writer has a core where there are two. The
 * peer is who reads another log: a ratio to that is what following costs, and no matter of how
 * many share the machine. Who follows compares what it has read when the writer is done.
 */
import { join } from 'node:path'
import { type Follower, type FollowerErrand, followingProcess } from './contestants/followers.ts'
import { OTHER_TOPIC, StreambedLog, streambedStore } from './contestants/streambed.ts'
import { Dataset } from './runner/dataset.ts'
import type { Case, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const VALUE_BYTES = 100
const BATCH_RECORDS = 500
/** What the other log holds, which is read again and again. */
const OTHER_COUNT = 200_000

interface Fleet {
  readonly name: string
  readonly processCount: number
  /** Logs that each of them opens, each with a reader of its own. */
  readonly logCount: number
}

type Doing = 'follow' | 'wait' | 'reread'

const QUICK: readonly Fleet[] = [
  { name: '1 reader', processCount: 1, logCount: 1 },
  { name: '10 readers, a process each', processCount: 10, logCount: 1 },
  { name: '100 readers in 10 processes', processCount: 10, logCount: 10 },
]
/** About 6 GB of memory, and 100 of the inotify instances that a user may have. */
const FULL: readonly Fleet[] = [
  ...QUICK,
  { name: '100 readers, a process each', processCount: 100, logCount: 1 },
]

const dataset = new Dataset(VALUE_BYTES)

/** The question. */
export const readersWriter: Question = {
  name: 'readers-writer',
  asks: 'appends in batches of 500 beside readers in other processes',
  answer: 'throughput',
  cases: ({ quick }) =>
    (quick ? QUICK : FULL).map((fleet) => caseOf(fleet, quick ? 1_000_000 : 2_000_000)),
}

function caseOf(fleet: Fleet, recordCount: number): Case {
  const beside = (doing: Doing | undefined) => (directory: string) =>
    appendsBeside(directory, recordCount, fleet, doing)
  return {
    name: fleet.name,
    contestants: [
      { name: 'no readers', role: 'limit', measure: beside(undefined) },
      { name: 'they read another log', role: 'peer', measure: beside('reread') },
      { name: 'they follow', role: 'ours', measure: beside('follow') },
      { name: 'they wait', role: 'ours', measure: beside('wait') },
    ],
  }
}

async function appendsBeside(
  directory: string,
  recordCount: number,
  fleet: Fleet,
  doing: Doing | undefined,
): Promise<Measurement> {
  const [here, elsewhere] = [join(directory, 'log'), join(directory, 'other')]
  // Whoever reads it or not: the writer's code is as warm in each of them.
  await streambedStore(dataset, OTHER_COUNT).fill(elsewhere)
  const open = await StreambedLog.open(here)
  await open.log.createTopic(OTHER_TOPIC)
  const readers =
    doing === undefined
      ? []
      : await started(fleet, {
          does: doing,
          directory: doing === 'reread' ? elsewhere : here,
          logCount: fleet.logCount,
          recordCount: OTHER_COUNT,
          warmUpCount: 0,
          valueBytes: VALUE_BYTES,
        })
  await open.appendRange(dataset, BATCH_RECORDS, 0, recordCount)
  const measurement = await timed(recordCount, dataset.byteCount(recordCount), () =>
    open.appendRange(dataset, BATCH_RECORDS, recordCount, 2 * recordCount),
  )
  for (const reader of readers) reader.stop()
  const reports = await Promise.all(readers.map(({ report }) => report))
  open.check(dataset, 2 * recordCount)
  await open.close()
  const cores = reports.reduce((sum, { cpuNs, wallNs }) => sum + cpuNs / wallNs, 0)
  return { ...measurement, also: { "readers' cores": cores } }
}

function started({ processCount }: Fleet, errand: FollowerErrand): Promise<readonly Follower[]> {
  return Promise.all(Array.from({ length: processCount }, () => followingProcess(errand)))
}
