/**
 * A worker thread that attaches to a log of its process, for sharing.test.ts. What `workerData`
 * asks for first happens at once; commands come as messages, and what they gave goes back.
 *
 * No timer of the library ever fires here: whatever is seen is seen without a poll.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogHandle } from '../../src/client/group-types.ts'
import type { EventLogOptions } from '../../src/client/log-options.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { systemClock } from '../../src/log/clock.ts'

/** What a worker is started with. */
export interface WorkerTask {
  readonly handle: LogHandle
  /**
   * 'serve': takes commands until it is ended; 'idle': attaches and has nothing left to do;
   * 'read': as 'idle', and a live read of topic t waits.
   */
  readonly what: 'serve' | 'idle' | 'read'
}

/** What a worker is asked; `id` comes back with the answer. */
export type WorkerCommand = { readonly id: number } & (
  | { readonly call: 'read'; readonly topic: string }
  | { readonly call: 'get'; readonly topic: string; readonly offset: number }
  | { readonly call: 'topics' | 'append' | 'send' | 'share' | 'reads' | 'close' | 'join' }
  | { readonly call: 'open'; readonly directory: string; readonly io: 'mmap' | 'auto' }
)

/** What a worker says: of itself, of what it reads, and what came of a command. */
export type WorkerSaid =
  | { readonly event: 'attached' | 'refused'; readonly code?: string }
  | { readonly event: 'record'; readonly topic: string; readonly value: string }
  | { readonly event: 'end'; readonly topic: string; readonly code?: string }
  | { readonly event: 'answer'; readonly id: number; readonly value: unknown }

// `as`: whoever starts this file says what it is started with.
const { handle, what } = workerData as WorkerTask
systemClock.setTimeout = () => undefined

function say(said: WorkerSaid): void {
  parentPort?.postMessage(said)
}

function codeOf(error: unknown): string {
  return LogError.is(error) ? error.code : String(error)
}

async function read(log: EventLog, topic: string): Promise<void> {
  try {
    for await (const record of log.topic(topic).read({ live: true }))
      say({ event: 'record', topic, value: String(record.value) })
    say({ event: 'end', topic })
  } catch (error) {
    say({ event: 'end', topic, code: codeOf(error) })
  }
}

async function readsOf(directory: string, io: EventLogOptions['io']): Promise<unknown> {
  const warnings: string[] = []
  const log = await EventLog.open(directory, {
    readOnly: true,
    io,
    onWarning: ({ code }) => void warnings.push(code),
  })
  const { reads, readsReason } = log.guarantees()
  await log.close()
  return { reads, readsReason, warnings }
}

async function answer(log: EventLog, command: WorkerCommand): Promise<unknown> {
  switch (command.call) {
    case 'read':
      void read(log, command.topic)
      return 'reading'
    case 'get':
      return String(log.topic(command.topic).partition(0).get(command.offset)?.value)
    case 'topics':
      return log.topics().map(({ name }) => name)
    case 'append':
      return log.topic('t').partition(0).append({ value: 'x' })
    case 'send':
      return await log.producer().send({ topic: 't', value: 'x' })
    case 'share':
      return log.share()
    case 'reads':
      return log.guarantees()
    case 'join':
      return await log.consumerGroup('g', { topics: ['t'] }).join()
    case 'open':
      return await readsOf(command.directory, command.io)
    case 'close':
      return await log.close()
  }
}

async function serve(log: EventLog, command: WorkerCommand): Promise<void> {
  const { id } = command
  try {
    say({ event: 'answer', id, value: await answer(log, command) })
  } catch (error) {
    say({ event: 'answer', id, value: codeOf(error) })
  }
}

try {
  const log = await EventLog.attach(handle)
  // `as`: the test sends nothing else.
  if (what === 'serve')
    parentPort?.on('message', (command: unknown) => void serve(log, command as WorkerCommand))
  if (what === 'read') void read(log, 't')
  say({ event: 'attached' })
} catch (error) {
  say({ event: 'refused', code: codeOf(error) })
}
