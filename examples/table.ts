/**
 * A table: the last value of each key of a compacted topic, live, and there again after a restart.
 */
import { EventLog, defineTopic, serdes } from 'streambed'

const Stock = defineTopic('stock', {
  key: serdes.string,
  value: serdes.int32,
  cleanupPolicy: 'compact',
})

const directory = process.env['STREAMBED_DIR'] ?? './data/table'
const log = await EventLog.open(directory, { topics: [Stock] })
const stock = log.topic(Stock)
const table = await stock.table()

const unsubscribe = table.subscribe((item, count) => console.log(`${item}: ${count ?? 'gone'}`))

// What append brings is in the table when it returns: reading and writing back needs no lock.
function take(item: string, count: number): boolean {
  const left = (table.get(item) ?? 0) - count
  if (left < 0) return false
  stock.partitionFor(item).append({ key: item, value: left })
  return true
}

await stock.sendAll([
  { key: 'tea', value: 3 },
  { key: 'milk', value: 1 },
])
console.log(`two teas: ${take('tea', 2)}, two milks: ${take('milk', 2)}`)
await stock.send({ key: 'milk', value: null }) // a tombstone: milk is off the list
unsubscribe()
await log.close()

// The next process loads what this one left.
await using again = await EventLog.open(directory, { topics: [Stock] })
const loaded = await again.topic(Stock).table()
console.log(`after a restart: ${[...loaded].map(([item, count]) => `${item} ${count}`).join(', ')}`)
