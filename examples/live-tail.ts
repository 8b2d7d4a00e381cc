/**
 * Following a topic while somebody else appends to it: a live read waits at the end of the log,
 * wakes when something was appended, and ends when its signal aborts.
 */
import { EventLog, LogError, type Topic } from 'streambed'

const EVENT_COUNT = 5

/** Prints every record from now on, until `signal` aborts. */
async function follow(topic: Topic, signal: AbortSignal): Promise<number> {
  let seen = 0
  try {
    for await (const { offset, value } of topic.read({ from: 'latest', live: true, signal })) {
      console.log(`${offset}: ${value?.toString()}`)
      seen += 1
      if (seen === EVENT_COUNT) stop.abort() // As Ctrl-C does.
    }
  } catch (error) {
    if (!LogError.is(error, 'ABORTED')) throw error
  }
  return seen
}

const stop = new AbortController()
process.once('SIGINT', () => stop.abort())

const log = await EventLog.open(process.env['STREAMBED_DIR'] ?? './data/live-tail')
const topic = await log.ensureTopic('ticks')
const following = follow(topic, stop.signal)
for (let tick = 1; tick <= EVENT_COUNT; tick++) await topic.send({ value: `tick ${tick}` })
console.log(`followed ${await following} records`)
await log.close()
