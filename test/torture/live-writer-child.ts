/**
 * The writer of the readers' campaign, a process that is killed: opens the log, tells what it
 * found, and works on it (live-writer.ts) until it is killed or has done its part. Two of the
 * readers are worker threads of it, which run this file too.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { EventLog } from '../../src/index.ts'
import { type Clock, systemClock } from '../../src/log/clock.ts'
import type { WriterLife } from './live-campaign.ts'
import { EventFile, type WriterEvent } from './live-events.ts'
import { runWorkerReader, WorkerReaders } from './live-workers.ts'
import { LiveWriter } from './live-writer.ts'

/** Checkpoints wait so long at least. */
const LATER_MS = 1_000

if (isMainThread) {
  const life = JSON.parse(process.argv[2] ?? '') as WriterLife // The parent wrote it.
  await live(life)
} else {
  await runWorkerReader()
}

async function live(life: WriterLife): Promise<void> {
  const journal = new EventFile<WriterEvent>(life.journal)
  journal.tell({ what: 'opening', life: life.number })
  const telling: { writer?: LiveWriter } = {}
  const log = await EventLog.open(life.directory, {
    clock: tellingClock(() => telling.writer?.tellFlush()),
    lockTimeoutMs: 20_000,
    housekeepingIntervalMs: null,
    onWarning: () => undefined,
  })
  const writer = new LiveWriter(log, life, journal)
  telling.writer = writer
  await writer.begin()
  const workers = new WorkerReaders(life.workers, log)
  process.stdout.write('working\n')
  const work = writer.work()
  if (life.ends === 'kill') return await work
  await delay(life.workMs)
  await writer.stop(work)
  if (life.ends === 'last') {
    const targets = await writer.finish()
    workers.finish(targets)
    process.stdout.write('finished\n')
    await Promise.all([once(createInterface(process.stdin), 'line'), workers.haveFinished()])
    writer.tellSums()
  }
  writer.tellFlush()
  await log.close()
  await workers.haveEnded()
  journal.tell({ what: 'over' })
  process.exit(0)
}

/** A clock that tells before anything that is due later than at once: a checkpoint syncs it all. */
function tellingClock(tell: () => void): Clock {
  return {
    now: () => systemClock.now(),
    monotonicNow: () => systemClock.monotonicNow(),
    setTimeout: (fn, ms) => {
      const due = (): void => {
        if (ms >= LATER_MS) tell()
        fn()
      }
      return systemClock.setTimeout(due, ms)
    },
    clearTimeout: (handle) => systemClock.clearTimeout(handle),
  }
}
