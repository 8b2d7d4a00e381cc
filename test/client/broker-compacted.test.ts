/**
 * Logs that a real broker compacted (test/interop/compaction.test.ts writes them down), read and
 * compacted on here without Java: one whose broker was stopped, and one whose broker was killed
 * while it cleaned.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { COMPRESSION_CODECS, isCodecAvailable } from '../../src/format/compression.ts'
import { EventLog, type Isolation, type LogRecord } from '../../src/index.ts'
import { enableZstdPackage } from '../../src/storage/zstd-package.ts'
import { unpackStoredLog } from '../support/stored-log.ts'

type Consumed = Readonly<
  Record<string, { readonly records: readonly { readonly offset: number }[] }>
>
/** Latest values by topic and key, in hex. */
type Latest = Readonly<Record<string, Readonly<Record<string, string>>>>

const TOPICS = ['keyed', 'packed', 'ledger', 'forgotten', 'settled']
enableZstdPackage() // As the first log that is opened does.
/** The producers of the broker compressed with each of them. */
const lacksCodec = !COMPRESSION_CODECS.every((codec) => isCodecAvailable(codec, 'decompress'))

describe.skipIf(lacksCodec)('a log that a broker compacted', () => {
  it('has here what its consumer read, and keeps it when it is compacted on', async () => {
    const { directory, facts } = unpackStoredLog('broker-compacted')
    // As the test that wrote them has it.
    const { uncommitted, committed } = facts as { uncommitted: Consumed; committed: Consumed }
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    await using log = await openQuietly(directory)
    for (const topic of TOPICS) {
      const offsetsOf = (read: Consumed): readonly number[] | undefined =>
        read[`${topic}-0`]?.records.map(({ offset }) => offset)
      expect(offsetsIn(log, topic, 'read_uncommitted')).toEqual(offsetsOf(uncommitted))
      expect(offsetsIn(log, topic, 'read_committed')).toEqual(offsetsOf(committed))
    }
    const before = latestIn(log)
    await compactAll(log)
    expect(latestIn(log)).toEqual(before)
    await log.close()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
  })

  it('has the latest of each key where the broker was killed while it cleaned', async () => {
    const { directory, facts } = unpackStoredLog('broker-compacting-killed')
    const latest = facts as Latest // As the test that wrote them has it.
    const left = TOPICS.flatMap((topic) => readdirSync(join(directory, `${topic}-0`)))
    expect(left.filter((name) => name.endsWith('.cleaned')).length).toBeGreaterThan(0)
    expect(await EventLog.verify(directory)).toMatchObject({ damage: [] })
    await using log = await openQuietly(directory)
    expect(log.recovery.partitions.flatMap(({ damage }) => damage)).toEqual([])
    expect(latestIn(log)).toEqual(latest)
    await compactAll(log)
    expect(latestIn(log)).toEqual(latest)
    await log.close()
    const folders = TOPICS.flatMap((topic) => readdirSync(join(directory, `${topic}-0`)))
    expect(folders.filter((name) => /\.(cleaned|swap|deleted)$/.test(name))).toEqual([])
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
  })
})

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined, housekeepingIntervalMs: null })
}

/** A broker's topics are left alone until somebody says what may happen to them. */
async function compactAll(log: EventLog): Promise<void> {
  const before = latestIn(log)
  await log.runHousekeeping({ force: true })
  expect(latestIn(log)).toEqual(before)
  for (const topic of TOPICS) await log.topic(topic).alterConfig({ cleanupPolicy: 'compact' })
  await log.runHousekeeping({ force: true })
}

function offsetsIn(log: EventLog, topic: string, isolation: Isolation): readonly number[] {
  return Array.from(log.topic(topic).partition(0).records({ isolation }), ({ offset }) => offset)
}

function latestIn(log: EventLog): Latest {
  const latest = TOPICS.map((topic) => {
    const records = log.topic(topic).partition(0).records({ isolation: 'read_committed' })
    return [topic, latestOf(records)] as const
  })
  return Object.fromEntries(latest)
}

function latestOf(records: Iterable<LogRecord>): Readonly<Record<string, string>> {
  const values = new Map<string, string>()
  for (const { key, value } of records) {
    const name = Buffer.from(String(key)).toString('hex')
    if (value === null) values.delete(name)
    else values.set(name, Buffer.from(String(value)).toString('hex'))
  }
  return Object.fromEntries(values)
}
