/**
 * Live tails: ways to have each record handed over in the process that appends it. A tail is open
 * when its consumer waits for the first record; it hands over the bytes of values, in order.
 */
import { EventEmitter } from 'node:events'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type * as Package from '../../dist/index.js'
import type { Dataset } from '../runner/dataset.ts'
import { turn } from '../runner/turn.ts'
import { EventStorageLog } from './event-storage.ts'
import { jsonRecords } from './shaped-records.ts'
import { BARE_FILE, StreambedLog, TOPIC } from './streambed.ts'

/** Something that is appended to, and followed. */
export interface LiveTail {
  /** Its consumer gets the record with this number, during this call or after it. */
  append(index: number): void
  close(): void | Promise<void>
}

/** What a tail is opened with. */
export interface TailTerms {
  readonly directory: string
  readonly dataset: Dataset
  /** Called by its consumer. */
  readonly take: (value: Uint8Array) => void
}

/** Opens a tail. */
export type OpenTail = (terms: TailTerms) => LiveTail | Promise<LiveTail>

/** Iteration over a partition, live. */
export function readTail(by: 'append' | 'send'): OpenTail {
  return async ({ directory, dataset, take }) => {
    const open = await StreambedLog.open(directory)
    const stream = open.partition.read({ live: true, from: 'latest' })
    const reading = takeAll(stream, take)
    await turn()
    const close = async (): Promise<void> => {
      await open.close()
      await reading
    }
    if (by === 'send') return { append: sending(open, dataset), close }
    return { append: (index) => void open.partition.append(dataset.at(index)), close }
  }
}

/** A member of a group that iterates. */
export const groupTail: OpenTail = async ({ directory, dataset, take }) => {
  const open = await StreambedLog.open(directory)
  const consumer = await open.log.consumerGroup(TOPIC, { topics: [TOPIC] }).join()
  const reading = takeAll(consumer, take)
  await consumer.ready()
  await turn()
  return {
    append: sending(open, dataset),
    close: async () => {
      await open.close()
      await reading
    },
  }
}

/** A group with a handler. */
export const runTail: OpenTail = async ({ directory, dataset, take }) => {
  const open = await StreambedLog.open(directory)
  const running = open.log.consumerGroup(TOPIC, { topics: [TOPIC] }).run(({ value }) => {
    if (value !== null) take(value)
  })
  await running.ready
  return {
    append: sending(open, dataset),
    close: async () => {
      await running.stop()
      await open.close()
    },
  }
}

/** event-storage, with as many documents in its buffer at most; 0 is its default, no bound. */
export function eventStorageTail(maxWriteBufferDocuments: number): OpenTail {
  return async ({ directory, dataset, take }) => {
    const store = await EventStorageLog.open(directory, { maxWriteBufferDocuments })
    const records = jsonRecords(dataset)
    store.follow(take)
    await turn()
    return {
      append: (index) => store.commitAll([records.at(index)]),
      close: () => store.close(),
    }
  }
}

/** No log at all. */
export const emitterTail: OpenTail = ({ dataset, take }) => {
  const emitter = new EventEmitter().on('record', take)
  return {
    append: (index) => void emitter.emit('record', dataset.at(index).value),
    close: () => undefined,
  }
}

/** No log, but a file that has the bytes before anybody sees them. */
export const writingEmitterTail: OpenTail = ({ directory, dataset, take }) => {
  const descriptor = openSync(join(directory, BARE_FILE), 'w')
  const emitter = new EventEmitter().on('record', take)
  return {
    append: (index) => {
      const { value } = dataset.at(index)
      writeSync(descriptor, value)
      emitter.emit('record', value)
    },
    close: () => closeSync(descriptor),
  }
}

function sending({ log, topic }: StreambedLog, dataset: Dataset): LiveTail['append'] {
  const producer = log.producer({ acks: 1 })
  return (index) => void producer.send(topic, dataset.at(index))
}

async function takeAll(
  records: AsyncIterable<Package.LogRecord>,
  take: (value: Uint8Array) => void,
): Promise<void> {
  for await (const { value } of records) if (value !== null) take(value)
}
