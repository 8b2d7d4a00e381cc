/**
 * Three workers share the orders of a topic. One of them dies in the middle of an order: nobody
 * loses it, the others take over its partitions and begin that order again. A table of the group's
 * lag is shown on the way.
 *
 * Kill the program half-way and start it again: it goes on behind the last order that was done, and
 * may do the last few of each worker again. STREAMBED_DIR names another directory than
 * ./data/order-workers.
 */
import { setTimeout } from 'node:timers/promises'
import { EventLog, type TopicPartition, defineTopic, serdes } from 'streambed'

const ORDER_COUNT = 60
/** Worker 2 dies when it begins so many. */
const FATAL_ORDER = 5

const Orders = defineTopic('orders', {
  key: serdes.string,
  value: serdes.json<{ number: number; total: number }>(),
  partitions: 6,
})

const log = await EventLog.open(process.env['STREAMBED_DIR'] ?? './data/order-workers', {
  topics: [Orders],
})
const orders = log.topic(Orders)
const workers = log.consumerGroup('workers', { topics: [Orders] })

/** Handles orders until the worker leaves, or dies. */
async function work(name: string, done: (place: string) => void): Promise<void> {
  const worker = await workers.join({
    onAssigned: (partitions) => console.log(`${name} gets ${shown(partitions)}`),
  })
  let begun = 0
  for await (const { partition, offset, value } of worker) {
    begun += 1
    if (name === 'worker 2' && begun === FATAL_ORDER) {
      throw new Error(`${name} died over order ${value.number}`)
    }
    await setTimeout(2) // What there is to do.
    done(`${partition}:${offset}`)
  }
}

/** Partition by partition: where it ends, how far the group is, and what is left. */
function showLag(when: string): void {
  const { total, partitions } = workers.lag()
  console.log(`${when}: ${total} orders to go`)
  console.table(
    partitions.map(({ partition, lag }) => {
      const end = orders.partition(partition).logEndOffset
      return { partition, end, committed: end - lag, lag }
    }),
  )
}

function shown(partitions: readonly TopicPartition[]): string {
  return `partitions ${partitions.map(({ partition }) => partition).join(', ')}`
}

if (orders.size().offsets === 0) {
  await orders.sendAll(
    Array.from({ length: ORDER_COUNT }, (_, index) => ({
      key: `customer ${index % 17}`,
      value: { number: index + 1, total: 10 + index },
    })),
  )
}
showLag('before')

const left = new Set<string>()
for (const { partition, lag } of workers.lag().partitions) {
  const end = orders.partition(partition).logEndOffset
  for (let offset = end - lag; offset < end; offset += 1) left.add(`${partition}:${offset}`)
}
if (left.size > 0) {
  await new Promise<void>((finish) => {
    const done = (place: string): void => {
      if (left.delete(place) && left.size === 0) finish()
    }
    for (const name of ['worker 1', 'worker 2', 'worker 3']) {
      work(name, done).catch((error: unknown) => {
        console.log(error instanceof Error ? error.message : error)
        showLag('after that')
      })
    }
  })
}
await log.close() // Workers leave; what they finished is committed.

const reopened = await EventLog.open(log.directory ?? '')
console.log(`done: ${reopened.consumerGroup('workers').lag().total} orders to go`)
await reopened.close()
