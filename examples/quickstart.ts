/**
 * The main job, from real data to a log on disk and back: `npm start`.
 *
 *   1  every row of six data sets is appended, as a keyed JSON event, through a producer
 *   2  the log is read back, and one record is looked up by offset and one by time
 *   3  count and checksum of all that was read are compared with those of the data sets
 *
 * Run it again, and it appends nothing and confirms the checksum. Kill it half-way, and the next
 * run goes on where the log ends: a key always goes to the same partition, and a partition keeps
 * the order in which it was sent to, so each holds a prefix of its events, and its length says
 * which are missing. STREAMBED_DIR names another directory than ./data/quickstart.
 */
import { createHash, type Hash } from 'node:crypto'
import { EventLog, LogError, type Topic, defineTopic, serdes } from 'streambed'
import { type DataEvent, type KeyedEvent, loadEvents } from './data-sets.ts'
import { barChart, count, showProgress } from './terminal.ts'

const Events = defineTopic('events', {
  key: serdes.string,
  value: serdes.json<DataEvent>(),
  partitions: 4,
})
type EventsTopic = Topic<string, DataEvent, 'events'>

/** What a log holds, or should: how many events, and what they are. */
interface Summary {
  readonly count: number
  readonly checksum: string
}

/** Counts and hashes events, each partition's in its order. */
class Summing {
  readonly #hashes: readonly Hash[]
  #count = 0

  constructor(partitionCount: number) {
    this.#hashes = Array.from({ length: partitionCount }, () => createHash('sha256'))
  }

  add(partition: number, key: string, value: DataEvent): void {
    this.#hashes[partition]?.update(`${key}\n${JSON.stringify(value)}\n`)
    this.#count += 1
  }

  end(): Summary {
    const all = createHash('sha256')
    for (const hash of this.#hashes) all.update(hash.digest())
    return { count: this.#count, checksum: all.digest('hex') }
  }
}

/** The events that the log does not hold yet: those beyond the end of their partition. */
function missingEvents(topic: EventsTopic, events: readonly KeyedEvent[]): readonly KeyedEvent[] {
  const places = topic.partitions.map(() => 0)
  return events.filter(({ key }) => {
    const { index, logEndOffset } = topic.partitionFor(key)
    const place = places[index] ?? 0
    places[index] = place + 1
    return place >= logEndOffset
  })
}

/** Appends events through a producer; resolves when all of them are on stable storage. */
async function append(log: EventLog, topic: EventsTopic, events: readonly KeyedEvent[]) {
  const began = performance.now()
  const progress = showProgress('append', events.length)
  const producer = log.producer()
  for (const [index, event] of events.entries()) {
    // False: it was taken, but enough is on its way for now.
    if (!producer.enqueue(topic, event)) await producer.drained()
    progress.at(index + 1)
  }
  await producer.close()
  progress.stop()
  console.log(`appended ${count(events.length)} records, ${rate(events.length, began)}, synced`)
}

/** Reads every record of every partition. */
async function readBack(topic: EventsTopic): Promise<Summary> {
  const total = topic.size().offsets
  const began = performance.now()
  const progress = showProgress('read', total)
  const summing = new Summing(topic.partitions.length)
  let done = 0
  for await (const { partition, key, value } of topic.read()) {
    summing.add(partition, key, value)
    done += 1
    progress.at(done)
  }
  progress.stop()
  console.log(`read     ${count(done)} records, ${rate(done, began)}, parsed and hashed`)
  return summing.end()
}

/** What the log must hold, from the data sets alone: a wrong log cannot confirm itself. */
function summaryOf(topic: EventsTopic, events: readonly KeyedEvent[]): Summary {
  const summing = new Summing(topic.partitions.length)
  for (const { key, value } of events) summing.add(topic.partitionFor(key).index, key, value)
  return summing.end()
}

/** One record by its offset, one by the time of its append. */
function lookUp(log: EventLog, topic: EventsTopic): void {
  const partition = topic.partition(2)
  const middle = Math.floor(partition.logEndOffset / 2)
  console.log(`by offset ${middle}:`, shown(partition.get(middle)?.value))

  const times = log.describe().topics.find(({ name }) => name === topic.name)?.partitions[2]
  const time = ((times?.oldestTimestamp ?? 0) + (times?.newestTimestamp ?? 0)) / 2
  const offset = partition.offsetForTimestamp(Math.floor(time))
  const found = offset === null ? undefined : partition.get(offset)
  console.log(`by time ${new Date(time).toISOString()}: offset ${offset},`, shown(found?.value))
}

function shown(event: DataEvent | undefined): string {
  return event === undefined ? 'none' : `row ${event.row} of ${event.dataSet}`
}

function rate(records: number, began: number): string {
  const seconds = (performance.now() - began) / 1000
  return `${count(records / seconds)} a second`
}

/** Whether the log holds what the data sets do, no more and no less. */
function isConfirmed(found: Summary, expected: Summary): boolean {
  return found.count === expected.count && found.checksum === expected.checksum
}

async function main(): Promise<void> {
  const events = loadEvents()
  const directory = process.env['STREAMBED_DIR'] ?? './data/quickstart'
  await using log = await EventLog.open(directory, { topics: [Events] })
  const topic = log.topic(Events)

  const missing = missingEvents(topic, events)
  const present = events.length - missing.length
  console.log(`${log.directory} holds ${count(present)} of ${count(events.length)} events`)
  if (missing.length > 0) await append(log, topic, missing)
  const found = await readBack(topic)
  console.log(`${count(topic.size().bytes)} bytes on disk`)
  console.log(
    barChart(topic.partitions.map(({ index, logEndOffset }) => [`events-${index}`, logEndOffset])),
  )
  lookUp(log, topic)

  const expected = summaryOf(topic, events)
  console.log(`${count(found.count)} records, checksum sha256 ${found.checksum}`)
  if (!isConfirmed(found, expected)) {
    console.error(`the data sets have ${count(expected.count)}, sha256 ${expected.checksum}`)
    console.error(`${log.directory} holds something else: remove it to begin anew`)
    process.exitCode = 1
  } else if (missing.length > 0) {
    console.log('as in the data sets; run it again, and the log on disk has to confirm it')
  } else {
    console.log('appended nothing: count and checksum confirmed from disk')
  }
}

try {
  await main()
} catch (error) {
  if (!LogError.is(error)) throw error
  console.error(error.message)
  process.exitCode = 1
}
