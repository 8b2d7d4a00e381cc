/**
 * Producers of a real broker (test/interop/transactions.test.ts wrote its directory down): what is
 * known of them here is what its own .snapshot files say, read with them and without them, and its
 * .txnindex files stay as they were.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { decodeProducerSnapshot } from '../../src/format/producer-snapshot.ts'
import type { ProducerSnapshotEntry } from '../../src/format/producer-snapshot.ts'
import { baseOffsetOf, batchSizeBytesOf } from '../../src/format/record-batch.ts'
import { resolveTopicConfig } from '../../src/log/log-config.ts'
import { openPartition } from '../../src/log/partition-open.ts'
import { ProducerStates } from '../../src/log/producer-states.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { unpackStoredLog } from '../support/stored-log.ts'

const FOLDERS = [
  ['ledger', 0],
  ['payments', 0],
  ['payments', 1],
  ['payments', 2],
  ['__consumer_offsets', 2],
  ['__transaction_state', 1],
] as const

interface Known {
  readonly entries: readonly ProducerSnapshotEntry[]
  readonly firstUnstableOffset: number
}

function sorted(entries: readonly ProducerSnapshotEntry[]): readonly ProducerSnapshotEntry[] {
  return [...entries].sort((a, b) => a.producerId - b.producerId)
}

function namesIn(directory: string, suffix: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(suffix))
    .sort()
}

/** Opens one partition of the directory, as far as its producers go. */
async function knownIn(
  directory: string,
  [topic, partition]: readonly [string, number],
  isBrokerClean: boolean,
): Promise<Known> {
  const driver = openDiskDriver(directory)
  const topicId = 'AAAAAAAAAAAAAAAAAAAAAQ'
  const known = {
    topic,
    topicId,
    partition,
    config: resolveTopicConfig({}),
    isGapless: false,
    isOwn: false,
  }
  const opening = openPartition(driver, known, {
    described: undefined,
    isBrokerClean,
    isBrokers: true,
    checkpointedPoint: 0,
    logStartOffset: 0,
    published: undefined,
    durableBefore: 0,
  })
  const { state } = await runProcedure(opening)
  const { producers } = state
  const { firstUnstableOffset } = producers
  const entries = sorted(producers.entries())
  for (const segment of state.segments) {
    segment.writeIndexes()
    segment.close()
  }
  driver.close()
  return { entries, firstUnstableOffset }
}

describe.each(['stopped', 'killed'])('the producers of a broker that was %s', (end) => {
  const name = `broker-transactions-${end}`

  it.each(FOLDERS)('in %s-%i are known with its snapshots, and without', async (...folder) => {
    const { directory } = unpackStoredLog(name)
    const partition = join(directory, folder.join('-'))
    const indexes = namesIn(partition, '.txnindex').map((file) => join(partition, file))
    const before = indexes.map((file) => readFileSync(file))
    const last = namesIn(partition, '.snapshot').at(-1)
    const own = last === undefined ? undefined : readFileSync(join(partition, last))
    const known = await knownIn(directory, folder, end === 'stopped')
    expect(known.entries.length).toBeGreaterThan(folder[0] === '__transaction_state' ? -1 : 0)
    // When it stops, a broker writes one of all there is.
    if (own !== undefined && end === 'stopped') {
      expect(known.entries).toEqual(sorted(decodeProducerSnapshot(own)))
    }
    expect(indexes.map((file) => readFileSync(file))).toEqual(before)
    const bare = unpackStoredLog(name).directory
    for (const file of namesIn(join(bare, folder.join('-')), '.snapshot')) {
      rmSync(join(bare, folder.join('-'), file))
    }
    expect(await knownIn(bare, folder, false)).toEqual(known)
    const rebuilt = indexes.map((file) => readFileSync(file.replace(directory, bare)))
    expect(rebuilt).toEqual(before)
  })

  it('are at each of its snapshots what it says itself', () => {
    const { directory } = unpackStoredLog(name)
    let compared = 0
    for (const folder of FOLDERS.map((one) => join(directory, one.join('-')))) {
      const batches = namesIn(folder, '.log').flatMap((file) => {
        const bytes = readFileSync(join(folder, file))
        const places: { readonly bytes: Buffer; readonly at: number }[] = []
        for (let at = 0; at + 61 <= bytes.length && bytes.readInt32BE(at + 8) > 0;) {
          places.push({ bytes, at })
          at += batchSizeBytesOf(bytes, at)
        }
        return places
      })
      for (const file of namesIn(folder, '.snapshot')) {
        const offset = Number.parseInt(file, 10)
        const states = new ProducerStates({ topic: 't', partition: 0 })
        for (const { bytes, at } of batches) {
          if (baseOffsetOf(bytes, at) < offset) states.replay(bytes, at)
        }
        const own = decodeProducerSnapshot(readFileSync(join(folder, file)))
        expect(sorted(states.entries()), file).toEqual(sorted(own))
        compared += 1
      }
    }
    expect(compared).toBeGreaterThan(15)
  })
})
