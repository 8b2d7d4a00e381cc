/** Leader epochs of one partition: how they start, end, and come back from their file. */
import { describe, expect, it } from 'vitest'
import { LEADER_EPOCH_FILE, LeaderEpochs } from '../../src/log/leader-epochs.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { bytesOf, overwrite } from './tampering.ts'

function folder(): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  return driver
}

/** What the file has, without its version and count. */
function saved(driver: FaultDriver): readonly string[] {
  return bytesOf(driver, `t-0/${LEADER_EPOCH_FILE}`).toString().trim().split('\n').slice(2)
}

describe('leader epochs', () => {
  it('are none where there is no file, or none that can be read', () => {
    const driver = folder()
    expect(LeaderEpochs.load(driver, 't-0')).toMatchObject({ latest: -1, wasUnusable: false })
    overwrite(driver, `t-0/${LEADER_EPOCH_FILE}`, Buffer.from('0\n2\n1 0\n'))
    expect(LeaderEpochs.load(driver, 't-0')).toMatchObject({ latest: -1, wasUnusable: true })
    overwrite(driver, `t-0/${LEADER_EPOCH_FILE}`, Buffer.from('0\n1\n1 0\n'))
    expect(LeaderEpochs.load(driver, 't-0')).toMatchObject({ latest: 1, wasUnusable: false })
  })

  it('ascend, and those without a record are forgotten', async () => {
    const driver = folder()
    const epochs = LeaderEpochs.load(driver, 't-0')
    epochs.assign(0, 0)
    await runProcedure(epochs.save())
    expect(saved(driver)).toEqual(['0 0'])
    epochs.assign(3, 10)
    epochs.assign(3, 99) // Known already: it began where it began.
    expect(epochs.latest).toBe(3)
    await runProcedure(epochs.save())
    expect(saved(driver)).toEqual(['0 0', '3 10'])
    epochs.assign(4, 10)
    expect(epochs.latest).toBe(4)
    await runProcedure(epochs.save())
    expect(saved(driver)).toEqual(['0 0', '4 10'])
    expect(LeaderEpochs.load(driver, 't-0').latest).toBe(4)
  })

  it('are cut with the log: those that start at its new end or behind it', async () => {
    const driver = folder()
    const epochs = LeaderEpochs.load(driver, 't-0')
    for (const [epoch, offset] of [
      [0, 0],
      [1, 5],
      [2, 9],
    ] as const) {
      epochs.assign(epoch, offset)
    }
    epochs.truncateTo(9)
    expect(epochs.latest).toBe(1)
    epochs.truncateTo(6)
    expect(epochs.latest).toBe(1)
    epochs.truncateTo(5)
    expect(epochs.latest).toBe(0)
    await runProcedure(epochs.save())
    expect(saved(driver)).toEqual(['0 0'])
    epochs.truncateTo(0)
    expect(epochs.latest).toBe(-1)
  })

  it('tell in which one a record was written, and where its records end', () => {
    const epochs = LeaderEpochs.load(folder(), 't-0')
    expect([epochs.at(5), epochs.endOf(3, 20)]).toEqual([-1, 20])
    for (const [epoch, offset] of [
      [1, 4],
      [3, 9],
      [4, 12],
    ] as const) {
      epochs.assign(epoch, offset)
    }
    expect([3, 4, 8, 9, 11, 12, 99].map((offset) => epochs.at(offset))).toEqual([
      -1, 1, 1, 3, 3, 4, 4,
    ])
    const endsOf = (logEndOffset: number): readonly number[] =>
      [-1, 0, 1, 2, 3, 4, 5].map((epoch) => epochs.endOf(epoch, logEndOffset))
    expect(endsOf(20)).toEqual([20, 4, 9, 9, 12, 20, 20])
    expect(endsOf(10)).toEqual([10, 4, 9, 9, 10, 10, 10])
  })

  it('are never assigned backwards', () => {
    const epochs = LeaderEpochs.load(folder(), 't-0')
    epochs.assign(4, 0)
    expect(() => epochs.assign(3, 5)).toThrow(expect.objectContaining({ name: 'InvariantError' }))
  })
})
