/** A disk of one's own: logs over the lives of their processes, and what faults make of them. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import { LogError } from '../../src/errors/log-error.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { recordsOf } from '../../src/testing/record-expectations.ts'

const LOG_FILE = 't-0/00000000000000000000.log'
/** What the device hides is no promise of the log's; each has its own test elsewhere. */
const HONEST_RATES = { short: 0.2, interrupted: 0.1, EIO: 0.02, ENOSPC: 0.03, drop: 0.02 }

function values(log: EventLog): readonly (string | null)[] {
  return recordsOf(log.topic('t')).map(({ value }) => value)
}

async function accepted(call: Promise<unknown>): Promise<boolean> {
  return await call.then(
    () => true,
    (error: unknown) => {
      if (!LogError.is(error)) throw error
      return false
    },
  )
}

describe('a disk', () => {
  it('has one log open at a time, until it is closed, killed or crashes', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    await expect(disk.open()).rejects.toMatchObject({ code: 'LOCKED' })
    await log.close()
    const second = await disk.open()
    expect(second.recovery.clean).toBe(true)
    await disk.kill()
    const third = await disk.open()
    expect(third.recovery.clean).toBe(false)
    await disk.crash()
    await (await disk.open()).close()
    expect(disk.faults.counts).toMatchObject({ kill: 1, crash: 1 })
  })

  it('keeps over a kill all that was appended', async () => {
    const disk = new FaultDisk()
    const topic = await (await disk.open()).createTopic('t')
    topic.partition(0).append([{ value: 'a' }])
    await disk.kill()
    expect(values(await disk.open())).toEqual(['a'])
  })

  it('shows its files, their bytes and its calls', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    expect(disk.calls).toEqual([])
    disk.recordCalls(true)
    await (await log.createTopic('t', { preallocate: false })).send({ value: 'hello' })
    expect(disk.files()).toContain(LOG_FILE)
    expect(disk.readFile(LOG_FILE)?.includes('hello')).toBe(true)
    expect(disk.readFile('none')).toBeUndefined()
    expect(disk.calls).toContainEqual({ action: 'flush', path: LOG_FILE, fault: undefined })
    expect(disk.usedBytes).toBeGreaterThan(disk.readFile(LOG_FILE)?.length ?? 0)
    disk.recordCalls(false)
    expect(disk.calls).toEqual([])
    await log.close()
  })

  it('holds a sync until the test ends it', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t')
    disk.hold(({ action, path }) => action === 'flush' && path.endsWith('.log'))
    let isAcknowledged = false
    const sent = topic.send({ value: 'x' }).then(() => (isAcknowledged = true))
    while (disk.held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(isAcknowledged).toBe(false)
    disk.hold(null)
    for (const call of disk.held) call.end()
    await sent
    await log.close()
  })

  it('that is full lets a log go on when there is room again', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t', { preallocate: false })
    disk.capacityBytes = disk.usedBytes + 400
    const sent: boolean[] = []
    for (let index = 0; index < 6; index++) {
      sent.push(await accepted(topic.send({ value: 'x'.repeat(100) })))
    }
    expect(sent).toEqual([true, true, false, false, false, false])
    disk.capacityBytes = Infinity
    expect(await accepted(topic.send({ value: 'y' }))).toBe(true)
    expect(topic.partition(0).logEndOffset).toBe(3)
    await log.close()
  })

  it('whose bits flip at rest gives a CORRUPT record, never a wrong one', async () => {
    const disk = new FaultDisk()
    const log = await disk.open()
    const topic = await log.createTopic('t', { preallocate: false })
    for (let index = 0; index < 20; index++) await topic.send({ value: `value ${index}` })
    await log.close()
    expect(disk.flipBit({ path: 'none' })).toBeUndefined()
    expect(disk.flipBit({ path: LOG_FILE, position: 700, bit: 3 })).toMatchObject({ bit: 3 })
    disk.evict()
    const again = await disk.open()
    expect(() => values(again)).toThrow(expect.objectContaining({ code: 'CORRUPT' }))
    expect(disk.faults.counts.rot).toBe(1)
    await again.close()
  })

  it('refuses options that cannot be', () => {
    expect(() => new FaultDisk({ seed: -1 })).toThrow('seed')
    expect(() => new FaultDisk({ capacityBytes: Number.NaN })).toThrow('capacityBytes')
    // @ts-expect-error there is no such option
    expect(() => new FaultDisk({ sede: 1 })).toThrow('seed')
  })
})

describe('a log over a disk that fails by chance', () => {
  it('has after every crash all that was acknowledged, in order, and nothing that was not sent', async () => {
    const property = fc.asyncProperty(fc.nat(), async (seed) => {
      const disk = new FaultDisk({ seed, clock: manualClock() })
      let acknowledged: readonly string[] = []
      let next = 0
      for (let life = 0; life < 4; life++) {
        disk.faults.clear()
        const log = await disk.open({ onWarning: () => undefined, clock: manualClock() })
        const topic = await log.ensureTopic('t', { segmentBytes: 1_024 })
        const found = values(log)
        const known = acknowledged.filter((value) => !found.includes(value))
        expect(known, `seed ${seed}, life ${life}`).toEqual([])
        const numbers = found.map(Number)
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
        expect(numbers.every((number) => number < next)).toBe(true)
        disk.faults.setRates(HONEST_RATES)
        for (let index = 0; index < 12; index++) {
          const value = String(next++)
          if (await accepted(topic.send({ value }))) acknowledged = [...acknowledged, value]
        }
        if (seed % 3 === 0) await disk.kill()
        else await disk.crash()
      }
    })
    await expect(fc.assert(property, { numRuns: 20 })).resolves.toBeUndefined()
  })
})
