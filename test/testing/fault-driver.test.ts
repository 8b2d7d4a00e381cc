/**
 * The fault driver: where nothing fails, a durable disk by the contract of every driver; and each
 * fault does what it says, to the call it is meant for.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { errorCodeOf } from '../../src/storage/file-failure.ts'
import type { StorageFile } from '../../src/storage/storage-driver.ts'
import { DiskMachine } from '../../src/testing/disk-machine.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { TestClock } from '../../src/testing/manual-clock.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { storageDriverContract } from '../storage/storage-driver-contract.ts'

storageDriverContract('fault driver', () => new FaultDriver())

const BYTES = Buffer.alloc(1_000, 'x')

function put(file: StorageFile, bytes: Buffer = BYTES, position: number = file.sizeBytes): void {
  file.write(bytes, 0, bytes.length, position)
}

function textOf(driver: FaultDriver, path: string): string {
  const file = driver.openFile(path, 'read')
  const bytes = Buffer.alloc(file.sizeBytes)
  file.read(bytes, 0, bytes.length, 0)
  return bytes.toString()
}

/** A file whose bytes and name are on the disk. */
async function stored(driver: FaultDriver, path: string, bytes: Buffer): Promise<StorageFile> {
  const file = driver.openFile(path, 'create')
  put(file, bytes)
  await file.flush()
  await driver.flushDirectory('')
  return file
}

function failureOf(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

const random = new SeededRandom(1)

describe('a crash', () => {
  it('keeps what was flushed and nothing else, where nothing else is to be kept', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('kept'))
    put(file, Buffer.from(' lost'))
    driver.openFile('b', 'create')
    driver.createDirectory('d')
    driver.rename('a', 'c')
    const left = driver.powerCut(random, 'none')
    expect(left.list('')).toEqual(['a'])
    expect(textOf(left, 'a')).toBe('kept')
  })

  it('may keep names without bytes, so that a rename comes before its data', async () => {
    const driver = new FaultDriver()
    await stored(driver, 'a', Buffer.from('old'))
    put(driver.openFile('a.tmp', 'create'), Buffer.from('new'))
    driver.rename('a.tmp', 'a')
    const left = driver.powerCut(random, 'names')
    expect(left.list('')).toEqual(['a'])
    expect(textOf(left, 'a')).toBe('')
  })

  it('may lose a name whose bytes are flushed, until its directory is', async () => {
    const driver = new FaultDriver()
    const file = driver.openFile('a', 'create')
    put(file)
    await file.flush()
    expect(driver.powerCut(random, 'none').list('')).toEqual([])
  })

  it('keeps both halves of a rename between directories, or none', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const driver = new FaultDriver()
      await stored(driver, 'a', BYTES)
      driver.createDirectory('d')
      await driver.flushDirectory('')
      driver.rename('a', 'd/a')
      const left = driver.powerCut(new SeededRandom(seed), 'some')
      seen.add([...left.list(''), '|', ...left.list('d')].join(' '))
    }
    expect([...seen].sort()).toEqual(['a d |', 'd | a'])
  })

  it('brings back any part of a directory that was being removed', async () => {
    const seen = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      const driver = new FaultDriver()
      driver.createDirectory('d')
      for (const name of ['a', 'b', 'c']) driver.openFile(`d/${name}`, 'create')
      await driver.flushDirectory('d')
      await driver.flushDirectory('')
      await driver.removeDirectory('d')
      const left = driver.powerCut(new SeededRandom(seed), 'some')
      seen.add(left.status('d') === undefined ? -1 : left.list('d').length)
    }
    expect([...seen].toSorted((a, b) => a - b)).toEqual([-1, 0, 1, 2, 3])
  })

  it('ends flushes that are under way without their effect', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('kept'))
    put(file, Buffer.from(' lost'))
    driver.machine.holds = () => true
    const flushed = file.flush()
    const left = driver.powerCut(random, 'none')
    await expect(flushed).rejects.toMatchObject({ code: 'IO', cause: { name: 'PowerGone' } })
    expect(textOf(left, 'a')).toBe('kept')
    expect(failureOf(() => driver.list(''))).toMatchObject({ cause: { name: 'PowerGone' } })
  })

  it('costs what is dirty, not what is there', async () => {
    const driver = new FaultDriver()
    for (let index = 0; index < 300; index++) await stored(driver, `f${index}`, BYTES)
    put(driver.openFile('f7', 'write'))
    driver.powerCut(random)
    expect(driver.lastCrash?.dirtyCount).toBe(1)
  })

  it('has nothing to do for what was removed for good', async () => {
    const driver = new FaultDriver()
    for (let round = 0; round < 50; round++) {
      driver.createDirectory('d')
      const file = driver.openFile('d/a', 'create')
      put(file)
      file.close()
      await driver.flushDirectory('')
      await driver.removeDirectory('d')
      await driver.flushDirectory('')
    }
    driver.powerCut(random)
    expect(driver.lastCrash?.dirtyCount).toBe(0)
  })

  it('leaves the same after the same calls and the same seed, and something else after another', () => {
    const leftBy = (seed: number): string => {
      const driver = new FaultDriver(new DiskMachine(seed))
      for (let index = 0; index < 20; index++) {
        put(driver.openFile(`f${index}`, 'create'), Buffer.alloc(2_000, index + 65))
      }
      const left = driver.powerCut()
      return left
        .list('')
        .map((path) => `${path} ${textOf(left, path)}`)
        .join()
    }
    const all = Array.from({ length: 8 }, (_, seed) => leftBy(seed))
    expect(all).toEqual(Array.from({ length: 8 }, (_, seed) => leftBy(seed)))
    expect(new Set(all).size).toBeGreaterThan(3)
  })
})

describe('a kill', () => {
  it('keeps all that was written, and every call of the dead process fails', async () => {
    const driver = new FaultDriver()
    const file = driver.openFile('a', 'create')
    put(file, Buffer.from('seen'))
    const left = driver.processKill()
    expect(textOf(left, 'a')).toBe('seen')
    await expect(file.flush()).rejects.toMatchObject({ cause: { name: 'PowerGone' } })
    file.close()
  })
})

describe('a call', () => {
  it.each([
    ['EIO', 'IO'],
    ['ENOSPC', 'NO_SPACE'],
    ['EDQUOT', 'NO_SPACE'],
    ['EINTR', 'IO'],
  ] as const)('of write that meets %s is %s and leaves half of its bytes', (fault, code) => {
    const driver = new FaultDriver()
    const file = driver.openFile('a', 'create')
    driver.machine.faults.inject({ fault, action: 'write' })
    const failure = failureOf(() => put(file))
    expect(LogError.is(failure, code) && errorCodeOf(failure.cause)).toBe(fault)
    expect(file.sizeBytes).toBe(500)
    put(file, BYTES, 0)
    expect(file.sizeBytes).toBe(1_000)
    expect(driver.machine.faults.counts[fault]).toBe(1)
  })

  it('that opens or makes a file meets EMFILE as IO and EROFS as READ_ONLY', () => {
    const driver = new FaultDriver()
    const { faults } = driver.machine
    faults.inject({ fault: 'EMFILE', action: 'create' })
    expect(
      LogError.is(
        failureOf(() => driver.openFile('a', 'create')),
        'IO',
      ),
    ).toBe(true)
    faults.inject({ fault: 'EROFS', action: 'create' })
    expect(
      LogError.is(
        failureOf(() => driver.openFile('a', 'create')),
        'READ_ONLY',
      ),
    ).toBe(true)
    expect(driver.list('')).toEqual([])
  })

  it('is hit by its number, its kind and its path', async () => {
    const driver = new FaultDriver()
    const { faults } = driver.machine
    const [a, b] = [driver.openFile('a.log', 'create'), driver.openFile('b', 'create')]
    faults.inject({ fault: 'EIO', action: 'write', path: /\.log$/, nth: 2, count: 2 })
    const hits = Array.from({ length: 4 }, () => {
      put(b)
      return failureOf(() => put(a)) !== undefined
    })
    expect(hits).toEqual([false, true, true, false])
    faults.inject({ fault: 'EIO', path: 'b' })
    faults.clear()
    put(b)
  })

  it.each(['short', 'interrupted'] as const)(
    'that meets %s goes on and succeeds, in two pieces of which a crash may keep one',
    (fault) => {
      const sizes = new Set<number>()
      for (let seed = 0; seed < 30; seed++) {
        const driver = new FaultDriver(new DiskMachine(seed))
        const file = driver.openFile('a', 'create')
        driver.machine.faults.inject({ fault, action: 'write' })
        put(file)
        expect(textOf(driver, 'a')).toBe(BYTES.toString())
        const left = driver.powerCut(new SeededRandom(seed), 'files')
        if (left.status('a') !== undefined) sizes.add(left.status('a')?.sizeBytes ?? 0)
      }
      expect(sizes.has(0) && sizes.has(1_000)).toBe(true)
      expect(sizes.size).toBeGreaterThan(2)
    },
  )

  it('of flush that drops its pages fails, and what it was for is read until a crash', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('old'))
    put(file, Buffer.from('new'), 0)
    driver.machine.faults.inject({ fault: 'drop', action: 'flush' })
    await expect(file.flush()).rejects.toMatchObject({ code: 'IO' })
    await file.flush() // The second one reports success for what the first one lost.
    const left = driver.processKill()
    expect(textOf(left, 'a')).toBe('new')
    expect(textOf(left.powerCut(random, 'all'), 'a')).toBe('old')
  })

  it('of flush that drops its pages unreadably shows the disk at once', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('old'))
    put(file, Buffer.from('new'), 0)
    driver.machine.faults.inject({ fault: 'dropUnreadable', action: 'flush' })
    await expect(file.flush()).rejects.toMatchObject({ code: 'IO' })
    expect(textOf(driver, 'a')).toBe('old')
  })

  it('of write that is lost is acknowledged, flushed, and not there after a crash', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('old'))
    driver.machine.faults.inject({ fault: 'lost', action: 'write' })
    put(file, Buffer.from('new'), 0)
    await file.flush()
    expect(textOf(driver, 'a')).toBe('new')
    expect(textOf(driver.powerCut(random, 'all'), 'a')).toBe('old')
  })

  it('of write that is misdirected arrives in the place of something else', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.alloc(4_096, 'a'))
    await stored(driver, 'b', Buffer.alloc(4_096, 'b'))
    driver.machine.faults.inject({ fault: 'misdirected', action: 'write' })
    put(file, Buffer.alloc(4_096, 'n'), 0)
    await file.flush()
    expect(textOf(driver, 'a')[0]).toBe('n')
    const left = driver.powerCut(random, 'all')
    const first = [textOf(left, 'a')[0], textOf(left, 'b')[0]]
    expect([
      ['n', 'b'],
      ['a', 'n'],
    ]).toContainEqual(first)
  })

  it('that is skipped succeeds and does nothing', async () => {
    const driver = new FaultDriver()
    const file = await stored(driver, 'a', Buffer.from('old'))
    driver.machine.faults.inject({ fault: 'skip', action: 'flush' })
    put(file, Buffer.from('new'), 0)
    await file.flush()
    expect(textOf(driver.powerCut(random, 'none'), 'a')).toBe('old')
  })

  it('of read that meets rot finds one bit of the file flipped, for good', async () => {
    const driver = new FaultDriver()
    await stored(driver, 'a', BYTES)
    driver.machine.faults.inject({ fault: 'rot', action: 'read' })
    const rotten = Buffer.from(textOf(driver, 'a'), 'latin1')
    const changed = [...rotten].filter((byte, index) => byte !== BYTES[index])
    expect(changed).toHaveLength(1)
    expect(textOf(driver, 'a')).toBe(rotten.toString('latin1'))
  })

  it('that is slow ends when the clock says so', async () => {
    const clock = new TestClock()
    const driver = new FaultDriver(new DiskMachine(0, clock))
    const file = driver.openFile('a', 'create')
    driver.machine.faults.inject({ fault: 'slow', action: 'flush' })
    let hasEnded = false
    const flushed = file.flush().then(() => (hasEnded = true))
    await nextTurn()
    expect(hasEnded).toBe(false)
    await clock.advance(driver.machine.faults.slowMs)
    expect(hasEnded).toBe(true)
    await flushed
  })

  it('that is held ends when the test says so, or fails', async () => {
    const driver = new FaultDriver()
    const file = driver.openFile('a', 'create')
    driver.machine.holds = ({ action }) => action === 'flush' || action === 'readAhead'
    const [flushed, read] = [file.flush(), file.readAhead(0, 1)]
    expect(driver.machine.held.map(({ action }) => action)).toEqual(['flush', 'readAhead'])
    driver.machine.held[0]?.end()
    driver.machine.held[0]?.fail()
    await flushed
    await expect(read).rejects.toThrow('EIO')
    expect(driver.machine.held).toEqual([])
  })

  it('that stops the process leaves half of a write, and nothing works behind it', () => {
    const driver = new FaultDriver()
    const file = driver.openFile('a', 'create')
    driver.machine.faults.inject({ fault: 'stop', action: 'write' })
    expect(failureOf(() => put(file))).toMatchObject({ cause: { name: 'PowerGone' } })
    expect(failureOf(() => driver.status('a'))).toMatchObject({ cause: { name: 'PowerGone' } })
    expect(driver.processKill().status('a')?.sizeBytes).toBe(500)
  })
})
