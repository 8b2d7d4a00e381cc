/**
 * The child of the kills of compaction: opens a log, tells what is in it, then writes keys that
 * come again and again, and has them compacted all the time, until it is killed. What it writes it
 * tells before and after, in a journal: a kill takes nothing of a file.
 *
 *   life <number>            it has the log, and has written down what it found
 *   begun <from> <to>        before records of these numbers are appended, in one batch
 *   done <from> <offset>     they are in the page cache, from that offset on
 *   run <segments>           compaction came to its end once more; segments that it replaced
 *   over                     the log was closed
 */
import { openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EventLog } from '../../src/index.ts'
import { recordOf, type CompactionLife, type FoundEntry } from './compaction-kills.ts'

const TOPIC = 'state'
const BATCHES_BETWEEN_FLUSHES = 50
/** Then writing waits until compaction has come to its end once more: no machine lets it starve. */
const BATCHES_BETWEEN_RUNS = 400

const life = JSON.parse(readFileSync(0, 'utf8')) as CompactionLife // The parent wrote it.
const journal = openSync(life.journal, 'a')

function tell(...words: readonly (string | number)[]): void {
  writeSync(journal, `${words.join(' ')}\n`)
}

const log = await EventLog.open(life.directory, {
  lockTimeoutMs: 20_000,
  housekeepingIntervalMs: null,
  onWarning: () => undefined,
})
const topic = await log.ensureTopic(TOPIC, {
  cleanupPolicy: 'compact',
  segmentBytes: 8_192,
  minCleanableDirtyRatio: 0,
  deleteRetentionMs: 0,
  fileDeleteDelayMs: life.number % 2 === 0 ? 0 : 1_000,
})
const partition = topic.partition(0)
look()
tell('life', life.number)
process.stdout.write('ready\n')
let next = life.next
let run: Promise<void> = Promise.resolve()
if (!life.isLast) await Promise.all([write(), compact()])
await log.runHousekeeping({ force: true })
look()
await log.close()
tell('over')

/** All that is there; it is renamed into its place. */
function look(): void {
  const found = Array.from(partition.records(), ({ offset, key, value }): FoundEntry => {
    return [offset, String(key), value === null ? null : Number.parseInt(String(value), 10)]
  })
  writeFileSync(`${life.found}.new`, JSON.stringify(found))
  renameSync(`${life.found}.new`, life.found)
}

async function write(): Promise<void> {
  for (let batch = 0; ; batch += 1) {
    const from = next
    next += 1 + (batch % 12)
    tell('begun', from, next)
    const records = Array.from({ length: next - from }, (_, at) => recordOf(from + at))
    const { baseOffset } = partition.append(records)
    tell('done', from, baseOffset)
    if (batch % BATCHES_BETWEEN_FLUSHES === 0) await log.flush()
    else await nextTurn()
    if (batch % BATCHES_BETWEEN_RUNS === BATCHES_BETWEEN_RUNS - 1) await run
  }
}

async function compact(): Promise<void> {
  for (;;) {
    run = compactOnce()
    await run
    await nextTurn() // A run that finds nothing to do waits for nothing.
  }
}

async function compactOnce(): Promise<void> {
  const { deletedSegments, cleanedPartitions } = await log.runHousekeeping({ force: true })
  if (cleanedPartitions + deletedSegments === 0) return
  tell('run', cleanedPartitions)
  process.stdout.write('compacted\n')
}
