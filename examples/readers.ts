/**
 * One process writes; another process and a worker thread follow the log live, and have each record
 * as soon as it is there. The other process is this program once more, the worker
 * readers-worker.mjs.
 *
 * STREAMBED_DIR names another directory than ./data/readers.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { EventLog } from 'streambed'

const ORDER_COUNT = 3
const directory = process.env['STREAMBED_DIR'] ?? './data/readers'

/** Opens the log beside its writer, takes no lock, and prints what is appended. */
async function follow(): Promise<void> {
  const log = await EventLog.open(directory, { readOnly: true })
  const stream = log.topic('orders').read({ from: 'latest', live: true })
  process.send?.('follows')
  let seen = 0
  for await (const { value } of stream) {
    process.send?.(`another process: ${value?.toString()}`)
    seen += 1
    if (seen === ORDER_COUNT) break
  }
  await log.close()
  process.disconnect()
}

async function write(): Promise<void> {
  const log = await EventLog.open(directory)
  const orders = await log.ensureTopic('orders')

  const reader = fork(fileURLToPath(import.meta.url), ['follow'])
  const worker = new Worker(new URL('readers-worker.mjs', import.meta.url), {
    workerData: { handle: log.share(), orderCount: ORDER_COUNT },
  })
  await Promise.all([once(reader, 'message'), once(worker, 'message')]) // Both follow.
  const ended = Promise.all([once(reader, 'exit'), once(worker, 'exit')])
  const lines: string[] = []
  for (const one of [reader, worker]) one.on('message', (line) => void lines.push(String(line)))

  for (let number = 1; number <= ORDER_COUNT; number++) {
    await orders.send({ value: `order ${number}` })
  }
  await ended
  for (const line of lines.toSorted()) console.log(line)
  await log.close()
}

await (process.argv[2] === 'follow' ? follow() : write())
