/**
 * One partition without a producer: appending, appending only where nobody else did, and the ways
 * to read. All of it is synchronous but `flush`.
 */
import { EventLog, LogError } from 'streambed'

const log = await EventLog.open(process.env['STREAMBED_DIR'] ?? './data/append-and-read')
const readings = await log.ensureTopic('readings')
const partition = readings.partition(0)

// One batch. It survives a kill of the process when `append` returns, a power cut after `flush`.
const { baseOffset, lastOffset } = partition.append([
  { key: 'kitchen', value: '21.5', timestamp: Date.parse('2026-01-05T07:00:00Z') },
  { key: 'cellar', value: '12.0', timestamp: Date.parse('2026-01-05T07:00:30Z') },
  { key: 'kitchen', value: '21.9', timestamp: Date.parse('2026-01-05T07:01:00Z') },
])
const durableOffset = await partition.flush()
console.log(`appended ${baseOffset} to ${lastOffset}, durable below ${durableOffset}`)

// Only if the log still ends where we last saw it: optimistic concurrency.
const expectOffset = partition.logEndOffset
partition.append({ key: 'cellar', value: '12.1' }, { expectOffset })
try {
  partition.append({ key: 'cellar', value: '12.2' }, { expectOffset })
} catch (error) {
  if (!LogError.is(error, 'OFFSET_CONFLICT')) throw error
  console.log(`refused: ${error.code}`)
}

// One record, by its offset or by its time.
console.log(`by offset: ${partition.get(baseOffset + 1)?.value?.toString()}`)
const offset = partition.offsetForTimestamp(new Date('2026-01-05T07:00:15Z'))
console.log(`first from 07:00:15 on: ${offset}`)

// A range, as objects whose key and value are decoded when they are asked for.
for (const record of partition.records({ from: { last: 2 } })) {
  console.log(`${record.offset} ${record.key?.toString()}: ${record.value?.toString()}`)
}

// All of it, without an object a record: the cursor is the same in every visit.
let valueBytes = 0
const visited = partition.scan((cursor) => {
  valueBytes += cursor.valueLength
})
console.log(`scanned ${visited} records, ${valueBytes} bytes of values`)

await log.close()
