// The worker thread of readers.ts: attaches to the log that the main thread has open, and says what
// is appended. Plain JavaScript, because Node loads workers without what compiles TypeScript.
import { parentPort, workerData } from 'node:worker_threads'
import { EventLog } from 'streambed'

const { handle, orderCount } = workerData
const log = await EventLog.attach(handle)
const stream = log.topic('orders').read({ from: 'latest', live: true })
parentPort.postMessage('follows')
let seen = 0
for await (const { value } of stream) {
  parentPort.postMessage(`a worker: ${value}`)
  seen += 1
  if (seen === orderCount) break
}
await log.close()
