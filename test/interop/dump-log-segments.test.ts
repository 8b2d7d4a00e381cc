/**
 * Kafka's own tool reads what was written here: DumpLogSegments lists every batch and record of the
 * .log files, and checks the indexes against them. One log was closed, one recovered from a kill.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { parseDump, type DumpedFile } from './dump-output.ts'
import type { KafkaDriver, PlainRecord } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { writeKilledLog } from './killed-log.ts'
import { CODECS, appendSamples, folderOf, writeSampleLog } from './sample-log.ts'
import type { ExpectedRecords } from './sample-log.ts'

const PRINT_ALL = ['--deep-iteration', '--print-data-log']
const AS_HEX = ['--key-decoder-class', 'HexDecoder', '--value-decoder-class', 'HexDecoder']

let kafka: KafkaDriver
let root: string

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
  if (missingKafka === null) kafka = startDriver()
})

afterAll(async () => {
  if (missingKafka === null) await kafka.close()
  rmSync(root, { recursive: true, force: true })
})

const ORIGINS = [
  ['that was closed', 'closed', writeAndClose],
  ['that was recovered after a kill', 'recovered', writeKilledAndRecover],
  ['that is a backup of an open one', 'backup', writeAndBackUp],
] as const

describe.skipIf(missingKafka !== null).each(ORIGINS)('a log %s', (_, name, write) => {
  let directory: string
  let expected: ExpectedRecords

  beforeAll(async () => {
    directory = join(root, name)
    expected = await write(directory)
  })

  it("has every record in Kafka's dump, in the batches and codecs it was written in", async () => {
    for (const [folder, records] of Object.entries(expected)) {
      const files = await dump(filesIn(join(directory, folder), '.log'), [...PRINT_ALL, ...AS_HEX])
      expect(complaintsOf(files)).toEqual([])
      expect(files.flatMap((file) => file.records)).toEqual(records.map(asDumped))
      const batches = files.flatMap((file) => file.batches)
      expect(batches.filter((batch) => !batch.isValid)).toEqual([])
      expect(nextOffsets(batches)).toEqual(batches.map((batch) => batch.baseOffset))
      expect(codecsOf(batches)).toEqual(records.length === 0 ? [] : [...codecsIn(folder)].sort())
      if (records.length > 0) expect(files.length).toBeGreaterThan(2)
    }
  })

  it('has indexes that name batches of the log, with the timestamps they have', async () => {
    for (const [folder, records] of Object.entries(expected)) {
      const offsetIndexes = await dump(filesIn(join(directory, folder), '.index'), [])
      const timeIndexes = await dump(filesIn(join(directory, folder), '.timeindex'), [])
      expect(complaintsOf([...offsetIndexes, ...timeIndexes])).toEqual([])
      if (records.length === 0) continue
      // Only the last segment may be too short for entries.
      expect(offsetIndexes.slice(0, -1).filter((file) => file.entries.length < 3)).toEqual([])
      expect(timeIndexes.filter((file) => file.entries.length === 0)).toEqual([])
    }
  })

  it('has indexes that pass the check of a broker that starts', async () => {
    const folders = Object.keys(expected).map((folder) => join(directory, folder))
    const indexes = folders.flatMap((folder) => [
      ...filesIn(folder, '.index'),
      ...filesIn(folder, '.timeindex'),
    ])
    const checked = await dump(indexes, ['--index-sanity-check'])
    expect(complaintsOf(checked)).toEqual([])
    expect(checked.filter((file) => !file.passedSanityCheck && !file.isEmptyIndex)).toEqual([])
    expect(complaintsOf(await dump(indexes, ['--verify-index-only']))).toEqual([])
  })
})

async function writeAndClose(directory: string): Promise<ExpectedRecords> {
  const log = await EventLog.open(directory)
  const expected = await writeSampleLog(log)
  await log.close()
  return expected
}

/** Copied while it is open, and never opened itself. */
async function writeAndBackUp(directory: string): Promise<ExpectedRecords> {
  const log = await EventLog.open(`${directory}-of`)
  const expected = await writeSampleLog(log)
  await log.backup(directory)
  await log.close()
  return expected
}

/** Killed with all of it unsynced, opened again, written to some more, closed. */
async function writeKilledAndRecover(directory: string): Promise<ExpectedRecords> {
  const expected = await writeKilledLog(directory)
  const log = await EventLog.open(directory)
  expect(log.recovery.clean).toBe(false)
  for (const partition of log.topics().flatMap((topic) => topic.partitions)) {
    if (partition.logEndOffset === 0) continue
    const folder = folderOf(partition)
    expected[folder]?.push(...appendSamples(partition, codecsIn(folder), 20))
  }
  await log.close()
  return expected
}

async function dump(
  paths: readonly string[],
  options: readonly string[],
): Promise<readonly DumpedFile[]> {
  const files = parseDump(await kafka.dump(['--files', paths.join(','), ...options]))
  expect(files.map((file) => file.path)).toEqual(paths)
  return files
}

function filesIn(folder: string, suffix: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(suffix))
  return names.sort().map((name) => join(folder, name))
}

function complaintsOf(files: readonly DumpedFile[]): readonly string[] {
  return files.flatMap((file) => file.complaints.map((line) => `${file.path}: ${line}`))
}

function asDumped(record: PlainRecord): unknown {
  const { headers, ...rest } = record
  const bytesOf = (hex: string | null): number => (hex === null ? -1 : hex.length / 2)
  return {
    ...rest,
    keyBytes: bytesOf(rest.key),
    valueBytes: bytesOf(rest.value),
    headerNames: headers.map(([name]) => name),
  }
}

/** Where each batch has to start, the one before it given. */
function nextOffsets(batches: DumpedFile['batches']): readonly number[] {
  return batches.map((_, at) => (batches[at - 1]?.lastOffset ?? -1) + 1)
}

function codecsOf(batches: DumpedFile['batches']): readonly string[] {
  return [...new Set(batches.map((batch) => batch.codec))].sort()
}

/** What the batches of a folder are compressed with, besides those of all codecs. */
function codecsIn(folder: string): typeof CODECS {
  const own = CODECS.filter((codec) => folder.startsWith(`codec.${codec}-`))
  return own.length > 0 ? own : CODECS
}
