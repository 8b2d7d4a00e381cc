/**
 * The child of permissions.test.ts, which has no rights of its own: makes a log, takes the
 * permission away from one of its files or folders after the other, and says what verifying and
 * opening made of each, and what is there once it is given back.
 */
import { chmodSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { EventLog, LogError } from '../../src/index.ts'

const [directory = '', stop = 'closed'] = process.argv.slice(2)
const RECORDS = 40

const failures: string[] = []
const counts: Record<string, number> = {}

const log = await EventLog.open(directory)
const made = await log.createTopic('orders', { segmentBytes: 1_024, preallocate: false })
for (let at = 0; at < RECORDS; at++) made.partition(0).append([{ value: `value ${at}` }])
await log.close()

for (const path of ['.', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })]) {
  const place = join(directory, path)
  if (path === '.lock' || statSync(place, { throwIfNoEntry: false }) === undefined) continue
  if (stop === 'killed') rmSync(join(directory, '.kafka_cleanshutdown'), { force: true })
  if (statSync(place, { throwIfNoEntry: false }) === undefined) continue
  const { mode } = statSync(place)
  chmodSync(place, 0)
  const verified = await outcomeOf(path, async () => {
    const { sound } = await EventLog.verify(directory)
    return sound ? 'sound' : 'damaged'
  })
  const opened = await outcomeOf(path, openAndRead)
  chmodSync(place, mode)
  const ending = `verify ${verified}, open ${opened}`
  counts[ending] = (counts[ending] ?? 0) + 1
  const again = await outcomeOf(path, openAndRead)
  if (again !== 'whole') failures.push(`${path}: ${ending}, with its permission back ${again}`)
}
process.stdout.write(JSON.stringify({ counts, failures }))

async function openAndRead(): Promise<string> {
  const opened = await EventLog.open(directory, { onWarning: () => undefined })
  try {
    const { partitions } = opened.recovery
    if (partitions.some(({ damage }) => damage.some((one) => one.firstOffset !== null))) {
      return 'damaged'
    }
    const records = [...opened.topic('orders').partition(0).records()]
    const isWhole = records.every(({ value }, at) => String(value) === `value ${at}`)
    return isWhole && records.length === RECORDS ? 'whole' : `${records.length} records`
  } finally {
    await opened.close()
  }
}

/** What a call gave, or the code of what it was refused with; anything else is a failure. */
async function outcomeOf(path: string, call: () => Promise<string>): Promise<string> {
  try {
    return await call()
  } catch (error) {
    if (!LogError.is(error)) failures.push(`${path}: ${String(error)}`)
    else if (!error.message.includes(path === '.' ? directory : path)) {
      failures.push(`${path}: ${error.code} does not name it: ${error.message}`)
    }
    return LogError.is(error) ? error.code : 'failed'
  }
}
