/**
 * Positions that others wrote or that were damaged: what a broker writes is understood, what nobody
 * can read leaves the commit before it.
 */
import { describe, expect, it } from 'vitest'
import { OFFSETS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { appendOffsets, brokerValue } from './broker-offsets.ts'
import { at, openGroups, reopened, shown } from './open-groups.ts'
import { openLog, partitionOf } from './open-log.ts'
import { bytesOf, flip } from './tampering.ts'

describe('what a broker wrote', () => {
  /** The positions that are there after `write`, and what the next open says of them. */
  async function after(write: (log: LogDirectory) => void): Promise<unknown> {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    write(log)
    return await reopened(driver)
  }
  const g = (offset: number): readonly [string, number, Buffer] => ['g', 0, brokerValue(offset)]

  it('counts, in every version and packed as it may be', async () => {
    const positions = await after((log) => {
      const partition = partitionOf(log, OFFSETS_TOPIC)
      appendOffsets(partition, [
        ['v0', 0, brokerValue(1, 0)],
        ['v1', 0, brokerValue(2, 1)],
      ])
      appendOffsets(
        partition,
        [
          ['v2', 0, brokerValue(3, 2)],
          ['v4', 0, brokerValue(4, 4)],
        ],
        'gzip',
      )
    })
    expect(positions).toEqual({
      v0: ['orders-0@1'],
      v1: ['orders-0@2'],
      v2: ['orders-0@3'],
      v4: ['orders-0@4'],
    })
  })

  it('in a transaction counts when that was committed, and not before', async () => {
    const transaction = { producerId: 5 }
    expect(
      await after((log) => {
        const partition = partitionOf(log, OFFSETS_TOPIC)
        appendOffsets(partition, [g(1)])
        appendOffsets(partition, [g(9)], 'none', transaction)
      }),
    ).toEqual({ g: ['orders-0@1'] })
    expect(
      await after((log) => {
        const partition = partitionOf(log, OFFSETS_TOPIC)
        appendOffsets(partition, [g(9), ['h', 0, brokerValue(3)]], 'none', transaction)
        appendOffsets(partition, 'commit', 'none', transaction)
      }),
    ).toEqual({ g: ['orders-0@9'], h: ['orders-0@3'] })
  })

  it('in a transaction that was aborted never counts', async () => {
    expect(
      await after((log) => {
        const partition = partitionOf(log, OFFSETS_TOPIC)
        appendOffsets(partition, [g(1)])
        appendOffsets(partition, [g(9), ['g', 0, null]], 'none', { producerId: 5 })
        appendOffsets(partition, [g(8)], 'none', { producerId: 6 })
        appendOffsets(partition, 'abort', 'none', { producerId: 5 })
        appendOffsets(partition, 'commit', 'none', { producerId: 5 })
      }),
    ).toEqual({ g: ['orders-0@1'] })
  })

  it('in a transaction does not count where a later commit overtook it', async () => {
    expect(
      await after((log) => {
        const partition = partitionOf(log, OFFSETS_TOPIC)
        appendOffsets(partition, [g(5)], 'none', { producerId: 5 })
        appendOffsets(partition, [g(9)])
        appendOffsets(partition, 'commit', 'none', { producerId: 5 })
      }),
    ).toEqual({ g: ['orders-0@9'] })
  })

  it('of other kinds, or what nobody understands, is passed over', async () => {
    const other = Buffer.from('00020001670000', 'hex')
    expect(
      await after((log) => {
        const partition = partitionOf(log, OFFSETS_TOPIC)
        appendOffsets(partition, [g(5)])
        appendOffsets(partition, [other, Buffer.from('ff', 'hex'), Buffer.from('00017fff', 'hex')])
        appendOffsets(partition, [['g', 0, Buffer.from('0009ffff', 'hex')]]) // a later version
        appendOffsets(partition, [['g', 0, Buffer.from('0003ffff', 'hex')]]) // cut
        appendOffsets(partition, [['h', 0, brokerValue(7)]])
      }),
    ).toEqual({ g: ['orders-0@5'], h: ['orders-0@7'] })
  })
})

describe('a group id of a broker', () => {
  it('that is no text, and longer than any as text, is passed over', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const group = Buffer.alloc(0x7fff, 0xff)
    const key = Buffer.concat([Buffer.from('00017fff', 'hex'), group, Buffer.alloc(6)])
    appendOffsets(partitionOf(log, OFFSETS_TOPIC), [key, ['h', 0, brokerValue(3)]])
    expect(await reopened(driver)).toEqual({ h: ['orders-0@3'] })
  })
})

describe('a damaged topic of positions', () => {
  it('opens with the commits before and behind the damage, and says so', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    for (let offset = 1; offset <= 10; offset++) log.offsets.commit('g', [at(offset)])
    log.offsets.commit('h', [at(3)])
    await runProcedure(log.close())
    const left = driver.processKill()
    const file = `${OFFSETS_TOPIC}-0/00000000000000000000.log`
    const { length } = bytesOf(left, file)
    flip(left, file, Math.floor((length / 11) * 9.5))
    const { log: again, report } = await openLog(left)
    expect(shown(again.offsets)).toEqual({ g: ['orders-0@9'], h: ['orders-0@3'] })
    expect(report.partitions).toMatchObject([
      { topic: OFFSETS_TOPIC, damage: [{ file, firstOffset: 9, lastOffset: 9 }] },
    ])
  })
})
