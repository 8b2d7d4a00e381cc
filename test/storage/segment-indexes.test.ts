/** The two indexes of a segment, where one is in the middle of what the other ends. */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { SegmentIndexes } from '../../src/storage/segment-indexes.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'

describe('indexes that are closed while they are flushed', () => {
  it('touch no file that has their name by then, and leave none open', async () => {
    const driver = new FaultDriver()
    driver.createDirectory('t-0')
    const place = { driver, directory: 't-0', baseOffset: 0 }
    const indexes = SegmentIndexes.create(place)
    indexes.add({ offset: 0, position: 1 }, { timestamp: 5, offset: 0 })
    indexes.writeOut()
    driver.machine.holds = ({ action, path }) => action === 'flush' && path.startsWith('t-0/')
    const flushed = indexes.flush()
    await nextTurn()
    expect(driver.machine.held.map(({ path }) => path)).toEqual(['t-0/00000000000000000000.index'])
    indexes.close()
    driver.rename('t-0', 't-0.aside')
    driver.createDirectory('t-0')
    const others = SegmentIndexes.create(place)
    const touched: string[] = []
    driver.onCall = ({ action, path }) => {
      if (action !== 'list') touched.push(`${action} ${path}`)
      return undefined
    }
    for (const call of driver.machine.held) call.end()
    await flushed
    expect(touched).toEqual([])
    driver.onCall = undefined
    others.close()
    expect(driver.files.size).toBe(0)
  })
})

describe('indexes of a sealed segment', () => {
  it.each(['EIO', undefined] as const)(
    'stay in memory until a sync of them is over, which may fail: %s',
    async (fault) => {
      const driver = new FaultDriver()
      driver.createDirectory('t-0')
      const indexes = SegmentIndexes.create({ driver, directory: 't-0', baseOffset: 0 })
      indexes.add({ offset: 0, position: 1 }, { timestamp: 5, offset: 0 })
      indexes.writeOut()
      await indexes.flush()
      indexes.add({ offset: 1, position: 2 }, { timestamp: -1, offset: -1 })
      indexes.writeOut()
      indexes.becomeFinal()
      let isUnloaded = false
      driver.flushWait = async () => {
        isUnloaded = indexes.unload() // As when others need the memory.
      }
      driver.onCall = ({ action }) => (action === 'flush' ? fault : undefined)
      const [flushed] = await Promise.allSettled([indexes.flush()])
      expect([flushed?.status, isUnloaded, indexes.isUnflushed]).toEqual(
        fault === undefined ? ['fulfilled', false, false] : ['rejected', false, true],
      )
      indexes.close()
    },
  )
})
