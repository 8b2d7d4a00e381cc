/**
 * Logs for tests that have to hold on disk, in memory and on a simulated disk alike. Each is closed
 * when its test is over, and its directory removed.
 */
import { onTestFinished } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { MemoryLogOptions } from '../../src/client/log-options.ts'
import type { RecordStream } from '../../src/client/record-stream.ts'
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { Topic } from '../../src/client/topic.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openMirrored } from './read-only/mirrored-log.ts'

/** Where a log lives. */
export type LogKind = 'disk' | 'memory' | 'a simulated disk' | 'disk, read through another handle'

/** For `describe.each`. */
export const LOG_KINDS: readonly LogKind[] = ['disk', 'memory', 'a simulated disk']

/** For tests that ask nothing but what reading gives. */
export const READ_KINDS: readonly LogKind[] = [...LOG_KINDS, 'disk, read through another handle']

/** A new log of a kind. */
export async function openLog(kind: LogKind, options?: MemoryLogOptions): Promise<EventLog> {
  const log = await newLog(kind, options)
  closeWhenDone(log)
  return log
}

async function newLog(kind: LogKind, options: MemoryLogOptions | undefined): Promise<EventLog> {
  switch (kind) {
    case 'disk':
      return await EventLog.open(temporaryDirectory(), options)
    case 'memory':
      return EventLog.inMemory(options)
    case 'a simulated disk':
      return await new FaultDisk().open(options)
    case 'disk, read through another handle':
      return await openMirrored(options)
  }
}

/** Closes `log` when the test is over, however it ended. */
export function closeWhenDone(log: EventLog): void {
  onTestFinished(() => log.close().catch(() => {}))
}

/** A topic of bytes, in a log of its own. */
export async function openTopic(kind: LogKind, config?: TopicConfig): Promise<Topic> {
  const log = await openLog(kind)
  return await log.createTopic('t', config)
}

/** What a record says of itself, for comparisons. */
export function textOf(record: { readonly value: Buffer | null }): string {
  return String(record.value)
}

/** Values as text, of whatever gives records. */
export function texts(records: Iterable<{ readonly value: Buffer | null }>): readonly string[] {
  return Array.from(records, textOf)
}

/** Values as text, up to the stream's end. */
export async function textsOf<R extends { readonly value: Buffer | null }>(
  stream: RecordStream<R>,
): Promise<readonly string[]> {
  const all: string[] = []
  for await (const record of stream) all.push(textOf(record))
  return all
}

/** The values v0, v1 … as records. */
export function numbered(count: number, first: number = 0): readonly { readonly value: string }[] {
  return Array.from({ length: count }, (_, index) => ({ value: `v${first + index}` }))
}

/** The texts of `numbered`. */
export function numbers(count: number, first: number = 0): readonly string[] {
  return numbered(count, first).map(({ value }) => value)
}

/** The next record; undefined where the stream has ended. */
export async function nextOf<R>(stream: RecordStream<R>): Promise<R | undefined> {
  const result: IteratorResult<R, unknown> = await stream.next()
  return result.done === true ? undefined : result.value
}
