/**
 * A topic that keeps the last value of each key: what compaction removes, when, and how to see why
 * something is still there. Nothing is deleted or compacted unless a topic's settings ask for it.
 */
import { EventLog, defineTopic, serdes } from 'streambed'

const Prices = defineTopic('prices', {
  key: serdes.string,
  value: serdes.json<{ cents: number }>(),
  cleanupPolicy: 'compact',
  segmentBytes: 16_384, // small, so that there is something to compact; by default 1 GiB
})

const directory = process.env['STREAMBED_DIR'] ?? './data/compaction'
const log = await EventLog.open(directory, { topics: [Prices] })
const prices = log.topic(Prices)
const partition = prices.partition(0)

for (let day = 1; day <= 200; day++) {
  await prices.sendAll(['apple', 'pear', 'plum'].map((key) => ({ key, value: { cents: day } })))
}
await prices.send({ key: 'plum', value: null }) // a tombstone: it deletes its key
console.log(`${count()} records, first at offset ${firstOffset()}`)

// By itself every 5 minutes (housekeepingIntervalMs), and now. It works in slices beside reads and
// writes; the segment that is being written is never touched.
const { cleanedPartitions } = await log.runHousekeeping()
console.log(`${cleanedPartitions} partition compacted`)

// Offsets never change: what was removed is a gap, and the log still ends where it ended.
const isThere = partition.get(0) === undefined ? 'gone' : 'there'
console.log(`offset 0 is ${isThere}, the log ends at ${partition.logEndOffset}`)
const plum = latest('plum') ? 'there' : 'gone'
console.log(`apple costs ${latest('apple')?.cents}, plum is ${plum}`)

// Retention takes whole segments from the front: by age, by size, or by hand.
await prices.alterConfig({ cleanupPolicy: 'compact,delete', retentionMs: 30 * 86_400_000 })
await partition.deleteRecords(partition.logEndOffset)
const { deletedSegments, kept } = await log.runHousekeeping()
console.log(`${deletedSegments > 0 ? 'segments' : 'nothing'} deleted, ${kept.length} held back`)

await log.close()

function count(): number {
  return [...partition.records()].length
}

function firstOffset(): number | undefined {
  for (const { offset } of partition.records()) return offset
  return undefined
}

function latest(wanted: string): { cents: number } | null | undefined {
  let found: { cents: number } | null | undefined
  for (const { key, value } of partition.records()) if (key === wanted) found = value
  return found
}
