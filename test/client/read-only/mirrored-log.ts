/**
 * A log that is written through one handle and read through another one, which was opened
 * read-only: to whoever uses it, one log. So that whatever is expected of reading is expected of a
 * read-only log too, by the same tests. What was appended is published before each read, since a
 * reader elsewhere sees it a turn of the event loop later.
 */
import { vi } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { EventLogOptions, MemoryLogOptions } from '../../../src/client/log-options.ts'
import type { Partition } from '../../../src/client/partition.ts'
import type { Topic } from '../../../src/client/topic.ts'
import { LogDirectory } from '../../../src/log/log-directory.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const READS: ReadonlySet<PropertyKey> = new Set([
  'logStartOffset',
  'highWatermark',
  'lastStableOffset',
  'logEndOffset',
  'durableOffset',
  'records',
  'scan',
  'read',
  'get',
  'offsetForTimestamp',
  'why',
  'table',
  'size',
  'countRecords',
  'config',
  'exportRecords',
  'describe',
  'topics',
])

/** A log on disk, with another handle to read it. */
export async function openMirrored(
  options?: MemoryLogOptions,
  reading?: EventLogOptions,
): Promise<EventLog> {
  const directory = temporaryDirectory()
  const publishing = vi.spyOn(LogDirectory.prototype, 'publishTo')
  const writer = await EventLog.open(directory, options)
  const [publisher] = publishing.mock.calls[0] ?? []
  publishing.mockRestore()
  if (publisher === undefined) throw new Error('a log on disk publishes')
  const { onWarning, clock } = options ?? {}
  const reader = await EventLog.open(directory, { readOnly: true, onWarning, clock, ...reading })
  return mirroredLog(writer, reader, () => publisher.publishAll())
}

function mirroredLog(writer: EventLog, reader: EventLog, publish: () => void): EventLog {
  const topicOf = (written: Topic): Topic => {
    publish()
    return mirroredTopic(written, reader.topic(written.name), publish)
  }
  const own: Readonly<Record<PropertyKey, unknown>> = {
    topic: (name: string) => topicOf(writer.topic(name)),
    createTopic: async (name: string, config?: object) =>
      topicOf(await writer.createTopic(name, config)),
    ensureTopic: async (name: string, config?: object) =>
      topicOf(await writer.ensureTopic(name, config)),
    close: async () => {
      await reader.close()
      await writer.close()
    },
  }
  return mirrored(writer, reader, { own, publish })
}

function mirroredTopic(written: Topic, read: Topic, publish: () => void): Topic {
  const partition = (index: number): Partition =>
    mirrored(written.partition(index), read.partition(index), { own: {}, publish })
  const own = {
    partition,
    get partitions() {
      return read.partitions.map((_, index) => partition(index))
    },
  }
  return mirrored(written, read, { own, publish })
}

/** What of `own` there is first, what reads from `reader`, everything else from `writer`. */
function mirrored<T extends object>(
  writer: T,
  reader: T,
  {
    own,
    publish,
  }: { readonly own: Readonly<Record<PropertyKey, unknown>>; readonly publish: () => void },
): T {
  return new Proxy(writer, {
    get(_, name) {
      if (name in own) return own[name]
      const isRead = READS.has(name)
      const holder = isRead ? reader : writer
      if (isRead) publish()
      const value: unknown = Reflect.get(holder, name, holder)
      if (typeof value !== 'function') return value
      return (...given: readonly unknown[]): unknown => {
        if (isRead) publish()
        return Reflect.apply(value, holder, given)
      }
    },
  })
}
