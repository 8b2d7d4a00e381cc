/** Logs with small segments, and what tests of backups look at: trees of files and records. */
import fs from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { EventLog, type EventLogOptions } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

/** Opens a log whose segments are sealed after a few records. */
export async function openSmall(
  directory: string,
  options: EventLogOptions = {},
): Promise<EventLog> {
  const topicDefaults = { segmentBytes: 4_096, indexIntervalBytes: 256 }
  const log = await EventLog.open(directory, {
    housekeepingIntervalMs: null,
    topicDefaults,
    onWarning: () => undefined,
    ...options,
  })
  onTestFinished(() => log.close().catch(() => undefined))
  return log
}

/** A path in a directory of the test's own where nothing is yet. */
export function nowhere(): string {
  return join(temporaryDirectory(), 'copy')
}

/** Appends `count` records of about 100 bytes to a topic, each in a batch of its own. */
export async function fill(log: EventLog, topic: string, count: number): Promise<void> {
  const sent: Promise<unknown>[] = []
  for (let index = 0; index < count; index++) {
    const { partitions } = log.topic(topic)
    const value = `${topic} ${index} ${'.'.repeat(80)}`
    partitions[index % partitions.length]?.append([{ key: `key ${index % 7}`, value }])
    if (index % 50 === 0) sent.push(log.flush())
  }
  await Promise.all(sent)
  await log.flush()
}

/** Everything that a topic holds, by partition: what read_committed readers see. */
export function contentsOf(log: EventLog, topic: string): readonly (readonly string[])[] {
  return log.topic(topic).partitions.map((partition) => {
    const seen: string[] = []
    for (const { offset, keyBytes, valueBytes } of partition.records({
      isolation: 'read_committed',
    })) {
      seen.push(`${offset} ${keyBytes?.toString() ?? ''} ${valueBytes?.toString() ?? ''}`)
    }
    return seen
  })
}

/** What all files below a directory hold, by path. */
export function filesBelow(directory: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const path = join(directory, name)
    if (fs.statSync(path).isFile()) files.set(name, fs.readFileSync(path, 'latin1'))
  }
  return files
}

/** Paths below `directory` that are hard links of files below `other`. */
export function sharedWith(directory: string, other: string): readonly string[] {
  return [...filesBelow(directory).keys()].filter((path) => {
    const [one, two] = [join(directory, path), join(other, path)].map((each) =>
      fs.statSync(each, { throwIfNoEntry: false }),
    )
    return one !== undefined && one.ino === two?.ino && one.dev === two.dev
  })
}
