/** The memory driver: the contract, and what only memory promises. */

import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
import { storageDriverContract } from './storage-driver-contract.ts'

storageDriverContract('memory driver', openMemoryDriver)

describe('memory driver', () => {
  it('is volatile', () => {
    const driver = openMemoryDriver()
    expect([driver.kind, driver.volatile]).toEqual(['memory', true])
  })

  it('has removed what unlink and removeDirectory name when they return, before any await', () => {
    const driver = openMemoryDriver()
    driver.createDirectory('d')
    driver.openFile('a', 'create')
    void driver.unlink('a')
    void driver.removeDirectory('d')
    expect(driver.list('')).toEqual([])
  })

  it('preallocated space takes no memory until it is written', () => {
    const driver = openMemoryDriver()
    const file = driver.openFile('a', 'create')
    file.resize(2 ** 40)
    file.write(Buffer.from('x'), 0, 1, 2 ** 31 + 5)
    const target = Buffer.alloc(3)
    expect(file.read(target, 0, 3, 2 ** 31 + 4)).toBe(3)
    expect(target.toString()).toBe('\0x\0')
    expect(file.sizeBytes).toBe(2 ** 40)
  })

  it('takes modifiedMs from the clock it is given', () => {
    let now = 1_000
    const driver = openMemoryDriver({ now: () => now })
    const file = driver.openFile('a', 'create')
    now = 2_000.7
    file.write(Buffer.from('x'), 0, 1, 0)
    expect(driver.status('a')?.modifiedMs).toBe(2_000)
    expect(driver.status('')?.modifiedMs).toBe(1_000)
  })

  it('errors name the file', () => {
    const error = caught(() => openMemoryDriver().openFile('d/a', 'read'))
    expect(LogError.is(error, 'IO') && error.details.file).toBe('d/a')
  })
})

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}
