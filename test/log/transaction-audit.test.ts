/**
 * What verification and repair do about .txnindex and .snapshot files, over the segment that Kafka
 * wrote, in which one transaction was aborted.
 */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../src/storage/procedure.ts'
import { changed, flip, repair, specimen, verify } from '../damage/repaired.ts'
import { driverOf, type StoredLog } from '../damage/stored-log.ts'
import { readAbortedTransaction } from '../../src/format/aborted-transaction.ts'
import { bytesOf } from './tampering.ts'

const INDEX = 'orders-0/00000000000000001000.txnindex'
const SNAPSHOT = 'orders-0/00000000000000001013.snapshot'
const LOG = 'orders-0/00000000000000001000.log'
const STOPS = ["a broker's, closed", "a broker's, killed"] as const

/** Files that verification finds damaged. */
function damagedFiles(stored: StoredLog): readonly string[] {
  return verify(driverOf(stored), 'boot').damage.map(({ file }) => file)
}

describe.each(STOPS)('the transaction files of %s', (stop) => {
  it('are sound as Kafka wrote them', async () => {
    expect(damagedFiles((await specimen(stop)).stored)).toEqual([])
  })

  it('name the aborted transaction in any case, or are found wrong', async () => {
    const broker = await specimen(stop)
    const written = broker.stored.get(INDEX) ?? Buffer.alloc(0)
    const { producerId, lastOffset } = readAbortedTransaction(written, 0)
    for (let at = 0; at < written.length; at++) {
      const stored = changed(broker, { [INDEX]: flip(at) })
      if (damagedFiles(stored).length > 0) {
        expect(damagedFiles(stored), `byte ${at}`).toEqual([INDEX])
        continue
      }
      const entry = readAbortedTransaction(stored.get(INDEX) ?? written, 0)
      expect(entry, `byte ${at}`).toMatchObject({ producerId, lastOffset })
    }
  })

  it.each([
    ['missing', () => undefined],
    ['cut within an entry', (bytes: Buffer) => bytes.subarray(0, 20)],
    ['empty', () => Buffer.alloc(0)],
    ['of another producer', flip(5)],
    ['of another version', flip(0)],
  ])('are made anew as Kafka had them: a .txnindex that is %s', async (_, change) => {
    const broker = await specimen(stop)
    const stored = changed(broker, { [INDEX]: change })
    const driver = driverOf(stored)
    const { damage } = await runProcedure(repair(driver, 'boot'))
    expect(damage.map(({ file }) => file)).toEqual([INDEX])
    expect(bytesOf(driver, INDEX)).toEqual(broker.stored.get(INDEX))
    expect(driver.status(`${INDEX}.salvaged`)?.sizeBytes ?? 0).toBe(stored.get(INDEX)?.length ?? 0)
    expect(verify(driver, 'boot').damage).toEqual([])
  })

  it('lose an entry that nothing in the log bears out, and keep it beside', async () => {
    const broker = await specimen(stop)
    const twice = (bytes: Buffer): Buffer => {
      const entry = Buffer.from(bytes)
      entry.writeBigInt64BE(1_001n, 18) // Of a batch with records.
      entry.writeBigInt64BE(1_000n, 10)
      return Buffer.concat([entry, bytes])
    }
    const driver = driverOf(changed(broker, { [INDEX]: twice }))
    await runProcedure(repair(driver, 'boot'))
    expect(bytesOf(driver, INDEX)).toEqual(broker.stored.get(INDEX))
    expect(verify(driver, 'boot').damage).toEqual([])
  })

  it('keep entries about a marker that was lost, and a damaged log makes none wrong', async () => {
    const broker = await specimen(stop)
    const size = broker.stored.get(LOG)?.length ?? 0
    for (let at = 30; at < size; at += 97) {
      const driver = driverOf(changed(broker, { [LOG]: flip(at) }))
      expect(verify(driver, 'boot').damage.map(({ file }) => file)).not.toContain(INDEX)
      await runProcedure(repair(driver, 'boot'))
      expect(verify(driver, 'boot').damage, `byte ${at}`).toEqual([])
    }
  })

  it('lose entries that are there twice, or of records that the log has lost', async () => {
    const broker = await specimen(stop)
    const written = broker.stored.get(INDEX)
    const twice = driverOf(changed(broker, { [INDEX]: (bytes) => Buffer.concat([bytes, bytes]) }))
    await runProcedure(repair(twice, 'boot'))
    expect(bytesOf(twice, INDEX)).toEqual(written)
    const size = broker.stored.get(LOG)?.length ?? 0
    for (let end = 0; end < size; end += 61) {
      const driver = driverOf(changed(broker, { [LOG]: (bytes) => bytes.subarray(0, end) }))
      await runProcedure(repair(driver, 'boot'))
      expect(verify(driver, 'boot').damage, `cut at ${end}`).toEqual([])
    }
  })

  it('are set aside where a .snapshot is not what was written', async () => {
    const broker = await specimen(stop)
    const size = broker.stored.get(SNAPSHOT)?.length ?? 0
    for (let at = 0; at < size; at += 7) {
      const stored = changed(broker, { [SNAPSHOT]: flip(at) })
      expect(damagedFiles(stored), `byte ${at}`).toEqual([SNAPSHOT])
    }
    const driver = driverOf(changed(broker, { [SNAPSHOT]: flip(100) }))
    await runProcedure(repair(driver, 'boot'))
    expect(driver.status(SNAPSHOT)).toBeUndefined()
    expect(driver.status(`${SNAPSHOT}.salvaged`)?.sizeBytes).toBe(size)
    expect(verify(driver, 'boot').damage).toEqual([])
  })
})
