/**
 * Repair, over small logs that are damaged on purpose: what it keeps, what it fills, what is left
 * beside it. Damage of every kind, and stops at any call, are test/damage's business.
 */
import { describe, expect, it } from 'vitest'
import { runProcedure } from '../../src/storage/procedure.ts'
import { changed, flip, repair, specimen, verify } from '../damage/repaired.ts'
import { driverOf } from '../damage/stored-log.ts'
import { openLog, partitionOf, readFromFiles } from './open-log.ts'
import { bytesOf } from './tampering.ts'

const NOTHING = { position: -1, bytes: -1, firstOffset: null, lastOffset: null }
const FIRST = 'orders-0/00000000000000000000.log'
const SECOND = 'orders-0/00000000000000000015.log'

describe('repair', () => {
  it('keeps what is whole, fills what is not, and leaves the removed bytes beside it', async () => {
    const { bootId, stored } = await specimen('closed')
    const damaged = changed(await specimen('closed'), { [FIRST]: flip(120) })
    const driver = driverOf(damaged)
    const findings = await runProcedure(repair(driver, bootId))
    expect(findings.damage).toMatchObject([{ file: FIRST, reason: 'crc' }])
    const [{ position, bytes, firstOffset, lastOffset } = NOTHING] = findings.damage
    const beside = `orders-0/00000000000000000000.${position}.salvaged`
    const kept = bytesOf(driver, beside)
    expect(kept.equals(damaged.get(FIRST)?.subarray(position, position + bytes) ?? kept)).toBe(true)
    const after = verify(driver, bootId)
    expect(after.damage).toEqual([])
    const lost = (lastOffset ?? 0) - (firstOffset ?? 0) + 1
    expect(after.records).toBe(verify(driverOf(stored), bootId).records - lost)
  })

  it('makes a segment that is missing one of an empty batch, which reads as a gap', async () => {
    const closed = await specimen('closed')
    const driver = driverOf(changed(closed, { [SECOND]: () => undefined }))
    const findings = await runProcedure(repair(driver, closed.bootId))
    expect(findings.damage[0]).toMatchObject({ firstOffset: 15, reason: 'missing' })
    expect(bytesOf(driver, SECOND)).toHaveLength(61)
    const { log } = await openLog(driver, { bootId: closed.bootId })
    const partition = partitionOf(log, 'orders')
    const expected = closed.records.get('orders-0') ?? []
    const left = expected.filter(
      ({ offset }) => offset < 15 || offset > (findings.damage[0]?.lastOffset ?? 0),
    )
    expect(readFromFiles(partition)).toMatchObject(
      left.map(({ offset, value }) => ({ offset, value })),
    )
    expect(partition.logEndOffset).toBe(closed.syncedTo.get('orders-0'))
  })

  it('leaves a sound log alone, and a torn tail to the next open', async () => {
    const torn = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 5)
    const lost = await specimen('after a power loss')
    const last = [...lost.stored.keys()].findLast((path) => /^orders-0\/.*log$/.test(path)) ?? ''
    const findings = verify(driverOf(changed(lost, { [last]: torn })), lost.bootId)
    expect(findings.damage).toEqual([])
    expect(findings.tornBytes).toBeGreaterThan(0)
  })

  it('fills up to the end that a checkpoint knows, unless that is beyond any log', async () => {
    const lost = await specimen('after a power loss')
    for (const [end, isPlausible] of [
      [1_000, true],
      [2 ** 51, false],
    ] as const) {
      const line = Buffer.from(`0\n1\norders 0 ${end}\n`)
      const file = 'recovery-point-offset-checkpoint'
      const driver = driverOf(changed(lost, { [file]: () => line }))
      await runProcedure(repair(driver, lost.bootId))
      expect(verify(driver, lost.bootId).damage).toEqual([])
      const { log } = await openLog(driver, { bootId: lost.bootId })
      expect(partitionOf(log, 'orders').logEndOffset === end).toBe(isPlausible)
    }
  })

  it('begins a folder that is missing in the highest epoch there can be, where one has it', async () => {
    const closed = await specimen('closed')
    const folder = [...closed.stored.keys()].filter((path) => path.startsWith('orders-1'))
    const changes = Object.fromEntries(folder.map((path) => [path, () => undefined]))
    const epochs = Buffer.from('0\n1\n2147483647 0\n')
    const driver = driverOf(
      changed(closed, { ...changes, 'clicks-0/leader-epoch-checkpoint': () => epochs }),
    )
    await runProcedure(repair(driver, closed.bootId))
    expect(bytesOf(driver, 'orders-1/leader-epoch-checkpoint').toString()).toContain('2147483647 0')
    const { log } = await openLog(driver, { bootId: closed.bootId })
    expect(partitionOf(log, 'orders', 1).logEndOffset).toBe(closed.syncedTo.get('orders-1'))
  })
})
