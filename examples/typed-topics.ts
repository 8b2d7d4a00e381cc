/**
 * A topic with types: a schema checks what is written and types what is read, and on a compacted
 * topic a null value, a tombstone, deletes its key.
 */
import { EventLog, LogError, defineTopic, serdes } from 'streambed'
import { z } from 'zod'

// A value that modules share: the name, the types and the settings of the topic in one place.
const Customers = defineTopic('customers', {
  key: serdes.string,
  value: z.object({ name: z.string().min(1), vip: z.boolean().default(false) }),
  cleanupPolicy: 'compact',
})

const directory = process.env['STREAMBED_DIR'] ?? './data/typed-topics'
const log = await EventLog.open(directory, { topics: [Customers] })
const customers = log.topic(Customers)

await customers.send({ key: 'c-1', value: { name: 'Ada' } }) // stored with vip: false, the default
await customers.send({ key: 'c-2', value: { name: 'Grace', vip: true } })
await customers.send({ key: 'c-1', value: { name: 'Ada Lovelace', vip: true } })
await customers.send({ key: 'c-2', value: null }) // a tombstone

// What the schema refuses is never appended.
try {
  await customers.send({ key: 'c-3', value: { name: '' } })
} catch (error) {
  if (!LogError.is(error, 'INVALID_RECORD')) throw error
  console.log(`refused: ${error.details.issues?.map(({ path }) => path?.join('.')).join()}`)
}

// The latest value of each key, as compaction would leave it.
const latest = new Map<string, { name: string; vip: boolean }>()
for await (const { key, value } of customers.read()) {
  if (value === null) latest.delete(key)
  else latest.set(key, value)
}
for (const [key, { name, vip }] of latest) console.log(`${key}: ${name}${vip ? ', vip' : ''}`)

await log.close()
