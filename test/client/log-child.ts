/**
 * A process with a log of its own, for log-processes.test.ts. The first argument says what it does,
 * the second is the directory. What it has to say goes to standard output.
 */
import { EventLog } from '../../src/client/event-log.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { collectGarbage } from '../support/process-resources.ts'

const [, , what = '', directory = ''] = process.argv

async function opened(): Promise<EventLog> {
  const log = await EventLog.open(directory)
  await log.ensureTopic('t')
  return log
}

async function run(): Promise<void> {
  switch (what) {
    case 'refused':
      await EventLog.open(directory).catch((error: unknown) => {
        if (LogError.is(error)) say(JSON.stringify({ code: error.code, details: error.details }))
      })
      return
    case 'idle': {
      const log = await opened()
      log.share()
      log.producer({ lingerMs: 60_000 })
      log.topic('t').partition(0).append({ value: 'x' })
      const read = log.topic('t').read({ live: true })
      await read.next()
      say('idle')
      return
    }
    case 'waits':
    case 'waits in memory': {
      const log = what === 'waits' ? await opened() : EventLog.inMemory()
      const topic = await log.ensureTopic('t')
      process.once('exit', () => say('ended'))
      process.stdin.unref()
      setTimeout(() => say('still there'), 200).unref()
      process.once('SIGTERM', () => void log.close())
      await topic.read({ live: true }).next()
      say('the read has ended')
      return
    }
    case 'transactions': {
      const log = await opened()
      const producer = log.producer({ transactionTimeoutMs: 100 })
      await producer.transaction((tx) => tx.send({ topic: 't', value: 'x' }))
      const left = await producer.begin()
      await left.send({ topic: 't', value: 'left open' })
      await producer.transaction((tx) => tx.send({ topic: 't', value: 'y' }))
      await left.commit().catch((error: unknown) => {
        if (LogError.is(error)) say(error.code)
      })
      await (await producer.begin()).send({ topic: 't', value: 'idle' })
      say('idle')
      return
    }
    case 'is looked after': {
      const options = { housekeepingIntervalMs: 1, cleanerMaxBytesPerSecond: 1 }
      const log = await EventLog.open(directory, options)
      const topic = await log.ensureTopic('t', { cleanupPolicy: 'compact', segmentBytes: 1_024 })
      const value = 'x'.repeat(300)
      for (let n = 0; n < 20; n++) topic.partition(0).append({ key: 'k', value })
      await log.flush()
      process.once('exit', () => say('ended'))
      // Long enough for a run to begin, which then takes hours.
      setTimeout(() => say('idle'), 100)
      return
    }
    case 'waits for housekeeping': {
      const options = { housekeepingIntervalMs: null, cleanerMaxBytesPerSecond: 100_000 }
      const log = await EventLog.open(directory, options)
      const topic = await log.ensureTopic('t', { cleanupPolicy: 'compact', segmentBytes: 4_096 })
      const value = 'x'.repeat(1_000)
      for (let n = 0; n < 20; n++) topic.partition(0).append({ key: 'k', value })
      await log.flush()
      const { cleanedPartitions } = await log.runHousekeeping()
      say(`compacted ${cleanedPartitions}`)
      return
    }
    case 'keeps small values': {
      await keepSmallValues()
      return
    }
    default:
      throw new Error(`unknown: ${what}`)
  }
}

/** Reads 64 MB twice, keeps one small value of each 256 KB, and says how much memory stays. */
async function keepSmallValues(): Promise<void> {
  const log = await opened()
  const partition = log.topic('t').partition(0)
  const value = Buffer.alloc(1_000)
  for (let batch = 0; batch < 1_000; batch += 1) {
    partition.append(Array.from({ length: 64 }, () => ({ key: 'key', value })))
  }
  await partition.flush()
  const kept: (Buffer | null)[] = []
  const before = await usedBytes()
  for (const record of partition.records()) if (record.offset % 256 === 0) kept.push(record.key)
  for await (const record of partition.read()) if (record.offset % 256 === 0) kept.push(record.key)
  const after = await usedBytes()
  say(JSON.stringify({ kept: kept.length, bytes: after - before }))
  await log.close()
}

async function usedBytes(): Promise<number> {
  await collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await run()
