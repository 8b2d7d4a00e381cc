/**
 * Log aggregation as test/contract/programs/07-aggregate.ts has it, in one file: the parent owns
 * the log and appends what its children send, a worker thread attaches and looks for errors. Only
 * the owner writes, so the worker tells it what to raise an alert for.
 *
 *   node aggregation-child.js <directory>
 *
 * Prints the alerts that the log holds in the end.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogHandle } from '../../src/client/group-types.ts'
import { LogError } from '../../src/errors/log-error.ts'

const CHILDREN = 2
const LINES = 50
const ERROR_EVERY = 10
const ALERTS = (CHILDREN * LINES) / ERROR_EVERY

interface Line {
  readonly host: string
  readonly text: string
}

const [, , directory = '', host] = process.argv

if (!isMainThread) await lookForErrors(workerData as LogHandle) // `as`: what the owner gives it
else if (host !== undefined) sendLines(host)
else await aggregate()

function sendLines(name: string): void {
  for (let number = 0; number < LINES; number++) {
    const what = number % ERROR_EVERY === 0 ? 'ERROR' : 'fine'
    process.send?.({ host: name, text: `${name} ${number} ${what}` } satisfies Line)
  }
  process.disconnect()
}

async function aggregate(): Promise<void> {
  const log = await EventLog.open(directory)
  await log.ensureTopic('lines', { partitions: 4 })
  const alerts = await log.ensureTopic('alerts')
  const producer = log.producer({ acks: 1 })
  const worker = new Worker(new URL(import.meta.url), { workerData: log.share() })
  worker.on('message', (text: string) => void producer.enqueue({ topic: 'alerts', value: text }))
  for (let index = 0; index < CHILDREN; index++) {
    fork(fileURLToPath(import.meta.url), [directory, `host-${index}`]).on('message', (line) => {
      const { host: key, text } = line as Line // ours, above
      void producer.enqueue({ topic: 'lines', key, value: text })
    })
  }
  const raised: string[] = []
  for await (const { value } of alerts.read({ live: true })) {
    raised.push(String(value))
    if (raised.length === ALERTS) break
  }
  const ended = once(worker, 'exit').then(([exitCode]) => Number(exitCode))
  await log.close()
  const code = await ended
  process.stdout.write(`${JSON.stringify({ raised: raised.toSorted(), code })}\n`)
}

/** Ends with the owner's log. */
async function lookForErrors(handle: LogHandle): Promise<void> {
  const log = await EventLog.attach(handle)
  await log
    .topic('alerts')
    .send({ value: 'from here' })
    .catch((error: unknown) => {
      if (!LogError.is(error, 'READ_ONLY')) throw error
    })
  for await (const { value } of log.topic('lines').read({ live: true })) {
    if (value?.includes('ERROR') === true) parentPort?.postMessage(String(value))
  }
}
