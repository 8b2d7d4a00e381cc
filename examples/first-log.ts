/**
 * The program of the README's first screen: open, send, read, and handle what was sent, once.
 */
import { EventLog, defineTopic, serdes } from 'streambed'

const Orders = defineTopic('orders', {
  key: serdes.string,
  value: serdes.json<{ total: number }>(),
  partitions: 4,
})

const log = await EventLog.open('./data/orders', { topics: [Orders] }) // a directory; no server
const orders = log.topic(Orders)

await orders.send({ key: 'o-1', value: { total: 12 } }) // on stable storage when it resolves
await orders.send({ key: 'o-1', value: { total: 15 } }) // a key has one partition: in this order

for await (const { partition, offset, key, value } of orders.read()) {
  console.log(`partition ${partition}, offset ${offset}: ${key} ${value.total}`)
}

log.consumerGroup('billing', { topics: [Orders] }).run(async ({ key, value }) => {
  console.log(`bill ${key}: ${value.total}`)
  if (value.total === 15) void log.close() // as on SIGTERM: lets handlers finish, commits, syncs
})
