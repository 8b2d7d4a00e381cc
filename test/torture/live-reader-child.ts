/**
 * A reader of the readers' campaign that is a process: opens the log for reading and follows it,
 * once for all, or again and again. It ends when it has come to what it is told on its input.
 */
import { constants } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { EventLog, LogError } from '../../src/index.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { ReaderLife } from './live-campaign.ts'
import { nowMs } from './live-events.ts'
import { observeFsCalls, type FsCall } from './fs-calls.ts'
import { LiveReader } from './live-reader.ts'

const WRITING = constants.O_WRONLY | constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC

const life = JSON.parse(process.argv[2] ?? '') as ReaderLife // The parent wrote it.
const random = new SeededRandom(life.plan.seed)
const reader = new LiveReader(life.plan)
/** Told by the parent: how far everybody has to come, then that the writer has closed the log. */
const lines = createInterface(process.stdin)
const closed = new Promise<void>((resolve) => {
  lines.on('line', (line) => {
    if (line === 'closed') resolve()
  })
})
lines.on('line', (line) => {
  if (line === 'closed') return
  const targets = JSON.parse(line) as [string, number][] // The parent wrote it.
  reader.finish(new Map(targets))
})

observeFsCalls({ begins: refuseChange, ends: () => undefined })
try {
  await follow()
  if (reader.hasFinished) {
    process.stdout.write('finished\n')
    await closed
    const log = await open()
    reader.tellSums(log)
    await log.close()
    reader.tellOver()
  }
} catch (error) {
  reader.tellFailure('child', error)
}
process.exit(0)

/** Nothing below the directory of the log may be changed by a reader, not even for a moment. */
function refuseChange({ name, effect, arguments: values }: FsCall): void {
  const isBelow = values.some((value) => String(value).startsWith(life.plan.directory))
  const flags = values[1] ?? 'r'
  const isReading = flags === 'r' || (typeof flags === 'number' && (flags & WRITING) === 0)
  const isChange = effect === 'open' ? isBelow && !isReading : effect === 'name' && isBelow
  if (!isChange && effect !== 'resize' && effect !== 'sync') return
  reader.tellFailure('file system', new Error(`a reader called ${name} of ${values.join()}`))
}

async function follow(): Promise<void> {
  while (!reader.hasFinished && !reader.hasFailed) {
    const log = await open()
    process.stdout.write('following\n')
    const untilMs = life.staysMs === null ? Infinity : nowMs() + random.below(life.staysMs)
    await reader.follow(log, () => nowMs() > untilMs)
    if (reader.hasFinished) await reader.tellTable()
    await log.close()
    await reader.haveEnded()
    await delay(random.below(20))
  }
}

/** The log is there once its writer has begun. */
async function open(): Promise<EventLog> {
  for (;;) {
    try {
      return await EventLog.open(life.plan.directory, {
        readOnly: true,
        visibility: life.plan.visibility,
      })
    } catch (error) {
      if (!LogError.is(error, 'IO', 'INVALID_ARGUMENT') || reader.hasSeenAny) throw error
      await delay(20)
    }
  }
}
