/**
 * A process with a consumer, for consumer-processes.test.ts. The first argument says what it does,
 * the second is the directory. What it has to say goes to standard output.
 */
import { EventLog } from '../../../src/client/event-log.ts'
import type { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import { collectGarbage } from '../../support/process-resources.ts'

const [, , what = '', directory = ''] = process.argv

async function run(): Promise<void> {
  const log = what === 'waits in memory' ? EventLog.inMemory() : await EventLog.open(directory)
  const topic = await log.ensureTopic('t')
  const group = log.consumerGroup('g', { topics: ['t'] })
  switch (what) {
    case 'idle':
      await (await group.join()).poll({ timeoutMs: 0 })
      say('idle')
      return
    case 'waits':
    case 'waits in memory': {
      const consumer = await group.join()
      process.once('exit', () => say('ended'))
      setTimeout(() => say('still there'), 200).unref()
      process.once('SIGTERM', () => void log.close())
      for await (const record of consumer) say(`unexpected ${record.offset}`)
      say('the loop has ended')
      return
    }
    case 'commits': {
      for (let count = 0; count < 5; count++) await topic.send({ value: `v${count}` })
      const consumer = await group.join()
      for await (const record of consumer) {
        if (record.offset < 2) continue
        await consumer.commit()
        say('committed')
        await new Promise(() => setInterval(() => undefined, 60_000)) // Until it is killed.
      }
      return
    }
    case 'forgets': {
      await topic.send({ value: 'x' })
      await forget(group)
      await collectGarbage()
      say(`${group.describe().members.length} members`)
      const empty = await log.ensureTopic('empty')
      const others = log.consumerGroup('others', { topics: ['empty'] })
      const poll = waiting(others)
      await collectGarbage()
      const { members } = others.describe()
      await empty.send({ value: 'y' })
      say(`${members.length} members, ${await poll} records`)
      await log.close()
      return
    }
    case 'catches up':
      say(JSON.stringify({ bytes: await bytesOfWaiting(log) }))
      await log.close()
      return
    default:
      throw new Error(`unknown: ${what}`)
  }
}

/** Reads 100 partitions of 240 KB each to their ends, and says how much memory stays. */
async function bytesOfWaiting(log: EventLog): Promise<number> {
  const topic = await log.createTopic('many', { partitions: 100 })
  const value = Buffer.alloc(1_000)
  for (const partition of topic.partitions) {
    partition.append(Array.from({ length: 240 }, () => ({ value })))
  }
  const consumer = await log.consumerGroup('h', { topics: ['many'] }).join()
  await collectGarbage()
  const before = process.memoryUsage().external
  for (let left = 24_000; left > 0;) left -= (await consumer.poll()).length
  await consumer.poll({ timeoutMs: 0 })
  await collectGarbage()
  return process.memoryUsage().external - before
}

/** Joins, with hooks, and loses its consumer and an iterator over it. */
async function forget(group: ConsumerGroup): Promise<void> {
  const consumer = await group.join({ onRevoked: (_, gone) => void gone.assignment })
  await consumer.poll({ max: 1 })
  const other = await group.join()
  void other[Symbol.asyncIterator]()
}

/** Joins, and polls by a consumer that nobody else has; resolves with how many records came. */
async function waiting(group: ConsumerGroup): Promise<number> {
  return (await (await group.join()).poll()).length
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await run()
