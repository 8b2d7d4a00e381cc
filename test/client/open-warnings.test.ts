/** What opening tells of files of the log's own directory that it had to do without. */
import { describe, expect, it } from 'vitest'
import type { LogWarning } from '../../src/index.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'

const CHECKPOINT = 'recovery-point-offset-checkpoint'

describe('opening a log', () => {
  it.each([
    ['the device cannot read', { fault: 'EIO', action: 'read', path: CHECKPOINT }] as const,
    ['is not what was written', null] as const,
  ])('warns of a checkpoint that %s, and has every record', async (_, rule) => {
    const disk = new FaultDisk({ seed: 1 })
    const log = await disk.open()
    const orders = await log.createTopic('orders')
    await orders.send({ value: 'paid' })
    await log.close()
    if (rule !== null) disk.faults.inject(rule)
    else disk.flipBit({ path: CHECKPOINT, position: 0 })
    disk.evict()
    const warnings: LogWarning[] = []
    const again = await disk.open({ onWarning: (warning) => void warnings.push(warning) })
    expect(warnings).toMatchObject([
      { code: 'DAMAGE', details: { topic: '', partition: -1, damage: [{ file: CHECKPOINT }] } },
    ])
    expect(again.topic('orders').partition(0).logEndOffset).toBe(1)
    await again.close()
  })
})
