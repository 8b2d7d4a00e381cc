/**
 * Offsets that a writer has let go, asked for in a log that was opened read-only beside it: whoever
 * names one is told where the log starts now; whoever was reading goes on there.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import type { Partition } from '../../../src/client/partition.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'
import { refusal } from '../refusal.ts'

const COUNT = 40
const START = 30
const FIRST_SEGMENT = 't-0/00000000000000000000.log'

interface Both {
  readonly directory: string
  readonly writer: EventLog
  readonly written: Partition
  readonly read: Partition
}

/** A log of many segments, and a reader of it. */
async function both(): Promise<Both> {
  const directory = join(temporaryDirectory(), 'log')
  const writer = await EventLog.open(directory, { housekeepingIntervalMs: null })
  closeWhenDone(writer)
  const topic = await writer.createTopic('t', { segmentBytes: 4_096, fileDeleteDelayMs: 0 })
  const written = topic.partition(0)
  for (let count = 0; count < COUNT; count++) written.append({ value: 'v'.repeat(600) })
  await writer.flush()
  const reader = await EventLog.open(directory, { readOnly: true })
  closeWhenDone(reader)
  return { directory, writer, written, read: reader.topic('t').partition(0) }
}

/** The writer lets everything below `START` go, files and all. */
async function letGo({ directory, writer, written }: Both): Promise<void> {
  await written.deleteRecords(START)
  await writer.runHousekeeping()
  expect(existsSync(join(directory, FIRST_SEGMENT))).toBe(false)
}

describe('an offset that the writer has let go', () => {
  it('is OFFSET_OUT_OF_RANGE for who names it, with where the log starts now', async () => {
    const log = await both()
    const { read } = log
    expect(read.get(3)?.offset).toBe(3)
    await letGo(log)
    // A lookup of what was shown does not look again; who asks where the log starts does.
    expect(read.logStartOffset).toBe(START)
    const details = { offset: 3, logStartOffset: START, logEndOffset: COUNT }
    for (const call of [() => read.get(3), () => read.records({ from: 3 })]) {
      expect(refusal(call)).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', details })
    }
    const offsets = Array.from(read.records(), ({ offset }) => offset)
    expect(offsets).toEqual(Array.from({ length: COUNT - START }, (_, index) => START + index))
  })

  it('is passed over by who reads there already, and nothing behind it is', async () => {
    const log = await both()
    const { read, written } = log
    const stream = read.read({ from: 0, live: true })
    const seen: number[] = []
    for await (const { offset } of stream) {
      seen.push(offset)
      if (offset === 2) {
        await letGo(log)
        written.append({ value: 'one more' })
      }
      if (offset === COUNT) break
    }
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(new Set(seen).size).toBe(seen.length)
    const kept = seen.filter((offset) => offset >= START)
    expect(kept).toEqual(Array.from({ length: COUNT + 1 - START }, (_, index) => START + index))
  })
})
