/**
 * Transactions that a real broker stored, read here: its consumer and we show the same records in
 * both isolation levels, whether it was stopped or killed. What it left open is aborted here, and
 * then it goes on with the directory, transactional producers of the same ids with it. With
 * STREAMBED_WRITE_VECTORS=1 what it stored becomes vectors for tests that run without Java.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { writeStoredLog } from '../support/stored-log.ts'
import {
  committedOffsets,
  OPEN_TRANSACTIONAL_ID,
  SCRIPT_GROUP,
  SCRIPT_POSITIONS,
  SCRIPT_PRODUCERS,
  TRANSACTION_TOPICS,
  transactionScript,
} from './broker-transactions.ts'
import { KafkaBroker } from './kafka-broker.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'
import { recordsToSend } from './sample-records.ts'

const TOPICS = TRANSACTION_TOPICS.map(({ name }) => name)
const ROUNDS = 12
/** They are preallocated, and stay so where the broker is killed. */
const SMALL_INDEXES = ['log.index.size.max.bytes=2048']

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

describe.skipIf(missingKafka !== null).each(['stopped', 'killed'] as const)(
  'transactions of a broker that was %s',
  (end) => {
    let directory: string
    let broker: KafkaBroker
    let uncommitted: ReadTopics
    let committed: ReadTopics
    /** By folder, the transactions that stay open taken as aborted. */
    let visible: Readonly<Record<string, readonly number[]>>

    beforeAll(async () => {
      const home = mkdtempSync(join(root, `${end}-`))
      directory = join(home, 'data')
      broker = new KafkaBroker(kafka, {
        home,
        directory,
        offsetsPartitions: 3,
        transactionsPartitions: 3,
        properties: SMALL_INDEXES,
      })
      await broker.format({ clusterId: 'MkU3OEVBNTcwNTJENDM2Qg', directoryId: null, topics: [] })
      await broker.start()
      await broker.createTopics(TRANSACTION_TOPICS)
      const script = transactionScript(ROUNDS)
      const offsets = await broker.transact(SCRIPT_PRODUCERS, script.steps)
      visible = committedOffsets(script, offsets)
      uncommitted = await readFromBroker(broker, TOPICS)
      committed = await readFromBroker(broker, TOPICS, 'read_committed')
      await (end === 'stopped' ? broker.stop() : broker.kill())
      if (process.env['STREAMBED_WRITE_VECTORS'] === '1') {
        writeStoredLog(`broker-transactions-${end}`, directory, { uncommitted, committed, visible })
      }
    })

    afterAll(async () => {
      await broker.kill()
    })

    it('are there in every way that the script knows', () => {
      expect(Object.keys(visible).toSorted()).toEqual(Object.keys(uncommitted).toSorted())
      for (const [folder, { records, endOffset }] of Object.entries(committed)) {
        const expected = visible[folder]?.filter((offset) => offset < endOffset)
        expect(records.map(({ offset }) => offset)).toEqual(expected)
        expect(records.length).toBeLessThan(uncommitted[folder]?.records.length ?? 0)
      }
      // Some lie behind a transaction that is open.
      expect(committed['ledger-0']?.records.length).toBeLessThan(visible['ledger-0']?.length ?? 0)
    })

    it('are read here as its consumer reads them, those left open as aborted', async () => {
      await using log = await openQuietly(directory)
      const all = readFromLog(log, TOPICS)
      const shown = readFromLog(log, TOPICS, 'read_committed')
      for (const [folder, { records }] of Object.entries(uncommitted)) {
        expect(all[folder]?.records).toEqual(records)
        expect(shown[folder]?.records).toEqual(
          records.filter(({ offset }) => visible[folder]?.includes(offset)),
        )
        // A record of a transaction's marker is all there is behind them.
        expect(shown[folder]?.endOffset).toBe(all[folder]?.endOffset)
        const before = committed[folder]?.records ?? []
        expect(shown[folder]?.records.slice(0, before.length)).toEqual(before)
      }
      await log.close()
      expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
    })

    it('left the positions of its group where they committed them', async () => {
      await using log = await openQuietly(directory)
      const positions = log.consumerGroup(SCRIPT_GROUP).offsets()
      expect(positions).toEqual(
        SCRIPT_POSITIONS.map((one) => expect.objectContaining(one) as unknown),
      )
      await log.close()
    })

    it('are the same for the broker again after that, and it goes on with them', async () => {
      await using log = await openQuietly(directory)
      const all = readFromLog(log, TOPICS)
      const shown = readFromLog(log, TOPICS, 'read_committed')
      await log.close()
      await broker.start()
      expect(await readFromBroker(broker, TOPICS)).toEqual(all)
      expect(await readFromBroker(broker, TOPICS, 'read_committed')).toEqual(shown)
      const records = recordsToSend({ topic: 'ledger' }, 1_000, 1_003)
      const [offset = -1] = await broker.transact(SCRIPT_PRODUCERS, [
        { producer: 'open', action: 'begin' },
        { producer: 'open', action: 'send', records },
        { producer: 'open', action: 'commit' },
        { producer: 'third', action: 'begin' },
        { producer: 'third', action: 'send', records },
        { producer: 'third', action: 'abort' },
      ])
      expect(SCRIPT_PRODUCERS['open']?.['transactional.id']).toBe(OPEN_TRANSACTIONAL_ID)
      const [ledger] = await broker.consume('ledger', { isolation: 'read_committed' })
      expect(ledger?.records.slice(-3).map((record) => record.offset)).toEqual([
        offset,
        offset + 1,
        offset + 2,
      ])
      await broker.stop()
      const again = await openQuietly(directory)
      expect(readFromLog(again, ['ledger'], 'read_committed')['ledger-0']).toEqual(ledger)
      await again.close()
    })
  },
)

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}
