/** Faults by chance from a seed, and a disk that fills up and empties. */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { StorageFile } from '../../src/storage/storage-driver.ts'
import { DiskMachine } from '../../src/testing/disk-machine.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../support/seeded-random.ts'

const BYTES = Buffer.alloc(1_000, 'x')

function put(file: StorageFile, bytes: Buffer = BYTES, position: number = file.sizeBytes): void {
  file.write(bytes, 0, bytes.length, position)
}

function failureOf(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

describe('rates', () => {
  function history(seed: number): readonly string[] {
    const machine = new DiskMachine(seed)
    machine.calls = []
    machine.faults.setRates({ EIO: 0.05, short: 0.05, ENOSPC: 0.05 })
    const driver = new FaultDriver(machine)
    for (let index = 0; index < 200; index++) {
      failureOf(() => put(driver.openFile(`f${index}`, 'create')))
    }
    return machine.calls.map(({ action, path, fault }) => `${action} ${path} ${fault}`)
  }

  it('give the same faults to the same calls after the same seed', () => {
    expect(history(5)).toEqual(history(5))
    expect(history(5)).not.toEqual(history(6))
  })

  it('hit as many as they say, and are counted', () => {
    const machine = new DiskMachine(1)
    machine.faults.setRates({ short: 0.25 })
    const driver = new FaultDriver(machine)
    const file = driver.openFile('a', 'create')
    for (let index = 0; index < 2_000; index++) put(file, Buffer.from('x'))
    expect(file.sizeBytes).toBe(2_000)
    expect(machine.faults.counts.short).toBeGreaterThan(400)
    expect(machine.faults.counts.short).toBeLessThan(600)
    machine.faults.setRates({})
    expect(machine.faults.areIdle).toBe(true)
  })
})

describe('a disk of limited capacity', () => {
  it('takes what fits, and takes more when files are gone', async () => {
    const driver = new FaultDriver()
    driver.machine.capacityBytes = 2_500
    const [a, b] = [driver.openFile('a', 'create'), driver.openFile('b', 'create')]
    put(a)
    put(b)
    expect(
      LogError.is(
        failureOf(() => put(a)),
        'NO_SPACE',
      ),
    ).toBe(true)
    expect(a.sizeBytes).toBe(1_500)
    expect(
      LogError.is(
        failureOf(() => b.resize(5_000)),
        'NO_SPACE',
      ),
    ).toBe(true)
    expect(b.sizeBytes).toBe(1_000)
    put(a, BYTES, 0) // Over what is there.
    await driver.unlink('b')
    expect(failureOf(() => put(a))).toBeDefined() // It is still open.
    b.close()
    const { tree, faults } = driver.machine
    const left = 2_500 - tree.usedBytes
    put(a, Buffer.alloc(left))
    expect(tree.usedBytes).toBe(2_500)
    expect(faults.counts.full).toBe(3)
  })

  it('has after a crash the room that what was lost had taken', async () => {
    const driver = new FaultDriver()
    driver.machine.capacityBytes = 1_500
    const file = driver.openFile('a', 'create')
    put(file)
    await file.flush()
    await driver.flushDirectory('')
    put(file, Buffer.alloc(500))
    const left = driver.powerCut(new SeededRandom(1), 'none')
    expect(left.machine.tree.usedBytes).toBe(1_000)
  })
})
