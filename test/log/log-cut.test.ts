/**
 * LogCut on its own: what it leaves behind, under which names, in which order, and what of it is
 * there after a loss of power.
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { LogCut, openAnew } from '../../src/log/log-cut.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from '../../src/testing/seeded-random.ts'
import { bytesOf, overwrite, segmentFile } from './tampering.ts'

const MIB = 1_048_576

interface Folder {
  readonly driver: FaultDriver
  readonly cut: LogCut
}

/** A folder with these files, of a few bytes each. */
async function folder(...names: readonly string[]): Promise<Folder> {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  await driver.flushDirectory('')
  for (const name of names) {
    const file = driver.openFile(`t-0/${name}`, 'create')
    const bytes = Buffer.from(name)
    file.write(bytes, 0, bytes.length, 0)
    await file.flush()
    file.close()
  }
  await driver.flushDirectory('t-0')
  return { driver, cut: new LogCut(driver, 't-0') }
}

const nameOf = (baseOffset: number, rest: string): string =>
  `${String(baseOffset).padStart(20, '0')}${rest}`

/** Bytes that tell where they are. */
function contentOf(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength)
  for (let at = 0; at + 4 <= byteLength; at += 4) bytes.writeUInt32LE(at, at)
  return bytes
}

const copying = (bytes: Buffer): { copy: (position: number, byteLength: number) => Buffer } => ({
  copy: (position, byteLength) => Buffer.from(bytes.subarray(position, position + byteLength)),
})

describe('tidying a partition’s folder', () => {
  it('leaves no failure behind that nobody hears of, where it is ended before it waits', async () => {
    const { driver, cut } = await folder(nameOf(0, '.log.deleted'))
    driver.onCall = ({ action }) => (action === 'unlink' ? 'EIO' : undefined)
    const unheard: unknown[] = []
    const listener = (error: unknown): void => void unheard.push(error)
    process.on('unhandledRejection', listener)
    try {
      const tidying = cut.tidy()
      expect(tidying.next().done).toBe(false)
      tidying.return([])
      await nextTurn()
      await nextTurn()
    } finally {
      process.off('unhandledRejection', listener)
    }
    expect(unheard).toEqual([])
  })

  it('removes what a stop in mid-work left, and nothing else', async () => {
    const kept = [
      nameOf(0, '.log'),
      nameOf(0, '.index'),
      nameOf(0, '.timeindex'),
      nameOf(0, '.txnindex'),
      nameOf(7, '.snapshot'),
      nameOf(7, '.0.salvaged'),
      nameOf(1_000, '.log'),
      'leader-epoch-checkpoint',
      'partition.metadata',
    ]
    const removed = [
      nameOf(7, '.index'),
      nameOf(7, '.timeindex'),
      nameOf(7, '.txnindex'),
      nameOf(0, '.log.deleted'),
      'leader-epoch-checkpoint.tmp',
      nameOf(0, '.8.salvaged.tmp'),
    ]
    const { driver, cut } = await folder(...kept, ...removed)
    expect(await runProcedure(cut.tidy())).toEqual([0, 1_000])
    expect(driver.list('t-0')).toEqual([...kept].sort())
  })

  it('names the segments in the order of their offsets', async () => {
    const { cut } = await folder(nameOf(20, '.log'), nameOf(3, '.log'), nameOf(100, '.log'))
    expect(await runProcedure(cut.tidy())).toEqual([3, 20, 100])
  })
})

describe('salvage', () => {
  it('has every byte of what is cut, on stable storage under its name', async () => {
    const bytes = contentOf(2 * MIB + 500)
    for (const byteLength of [1, 77, MIB, MIB + 1, 2 * MIB + 400]) {
      const { driver, cut } = await folder(nameOf(5, '.log'))
      await runProcedure(cut.salvage(copying(bytes), { baseOffset: 5, position: 100 }, byteLength))
      const left = driver.powerCut(new SeededRandom(byteLength))
      expect(left.list('t-0')).toEqual([nameOf(5, '.100.salvaged'), nameOf(5, '.log')])
      const salvaged = bytesOf(left, `t-0/${nameOf(5, '.100.salvaged')}`)
      expect(salvaged.equals(bytes.subarray(100, 100 + byteLength))).toBe(true)
    }
  })

  it('never takes the place of an earlier one', async () => {
    const { driver, cut } = await folder(nameOf(5, '.100.salvaged'), nameOf(5, '.100.1.salvaged'))
    for (const bytes of ['first', 'second']) {
      const salvage = cut.salvage(copying(Buffer.from(bytes)), { baseOffset: 5, position: 0 }, 5)
      await runProcedure(salvage)
    }
    const again = cut.salvage(copying(contentOf(300)), { baseOffset: 5, position: 100 }, 4)
    await runProcedure(again)
    expect(driver.list('t-0')).toEqual([
      nameOf(5, '.0.1.salvaged'),
      nameOf(5, '.0.salvaged'),
      nameOf(5, '.100.1.salvaged'),
      nameOf(5, '.100.2.salvaged'),
      nameOf(5, '.100.salvaged'),
    ])
    expect(bytesOf(driver, `t-0/${nameOf(5, '.100.salvaged')}`).toString()).toContain('salvaged')
    expect(bytesOf(driver, `t-0/${nameOf(5, '.0.1.salvaged')}`).toString()).toBe('secon')
  })

  it('leaves nothing under its name where it fails, and its file closed', async () => {
    const { driver, cut } = await folder(nameOf(5, '.log'))
    driver.machine.faults.inject({ fault: 'EIO', action: 'flush', path: /salvaged/ })
    const salvage = cut.salvage(copying(contentOf(9)), { baseOffset: 5, position: 0 }, 9)
    const open = driver.files.size
    await expect(runProcedure(salvage)).rejects.toMatchObject({ code: 'IO' })
    expect(driver.files.size).toBe(open)
    expect(driver.list('t-0')).toEqual([nameOf(5, '.0.salvaged.tmp'), nameOf(5, '.log')])
    const next = cut.salvage(copying(contentOf(9)), { baseOffset: 5, position: 0 }, 4)
    await runProcedure(next)
    expect(bytesOf(driver, `t-0/${nameOf(5, '.0.salvaged')}`)).toHaveLength(4)
    expect(driver.list('t-0')).not.toContain(nameOf(5, '.0.salvaged.tmp'))
  })
})

describe('setting segments aside', () => {
  const names = [4, 8].flatMap((base) =>
    ['.log', '.index', '.timeindex', '.txnindex'].map((suffix) => nameOf(base, suffix)),
  )

  it('keeps their bytes, on stable storage, and no index of theirs', async () => {
    const { driver, cut } = await folder(...names, nameOf(0, '.log'))
    const cutBytes = await runProcedure(cut.setAside([4, 8]))
    expect(cutBytes).toBe(2 * nameOf(0, '.log').length)
    const left = driver.powerCut(new SeededRandom(1))
    expect(left.list('t-0')).toEqual([
      nameOf(0, '.log'),
      nameOf(4, '.0.salvaged'),
      nameOf(8, '.0.salvaged'),
    ])
    expect(bytesOf(left, `t-0/${nameOf(8, '.0.salvaged')}`).toString()).toBe(nameOf(8, '.log'))
  })

  it('removes those that hold nothing', async () => {
    const { driver, cut } = await folder(...names)
    overwrite(driver, segmentFile(8), Buffer.alloc(0))
    expect(await runProcedure(cut.setAside([4, 8]))).toBe(nameOf(4, '.log').length)
    expect(driver.list('t-0')).toEqual([nameOf(4, '.0.salvaged')])
  })

  it('begins with the last, so that a stop in between leaves no hole', async () => {
    const { driver, cut } = await folder(...names)
    driver.machine.faults.inject({ fault: 'EIO', action: 'unlink', path: /4\.index$/ })
    await expect(runProcedure(cut.setAside([4, 8]))).rejects.toMatchObject({ code: 'IO' })
    expect(driver.list('t-0')).toContain(nameOf(8, '.0.salvaged'))
    const second = await folder(...names)
    second.driver.machine.faults.inject({ fault: 'EIO', action: 'unlink', path: /8\.index$/ })
    await expect(runProcedure(second.cut.setAside([4, 8]))).rejects.toMatchObject({ code: 'IO' })
    expect(second.driver.list('t-0')).toContain(nameOf(4, '.log'))
  })
})

describe('removing snapshots', () => {
  it('takes those of more of the log than there is', async () => {
    const names = [nameOf(5, '.snapshot'), nameOf(6, '.snapshot'), nameOf(7, '.snapshot')]
    const others = [nameOf(9, '.log'), 'leader-epoch-checkpoint']
    const { driver, cut } = await folder(...names, ...others)
    await runProcedure(cut.removeSnapshots(6))
    expect(driver.list('t-0')).toEqual([names[0], names[1], ...others])
  })
})

describe('a file made anew', () => {
  it('is empty, whether it was there or not', async () => {
    const { driver } = await folder('here')
    for (const name of ['here', 'there']) {
      const file = openAnew(driver, `t-0/${name}`)
      expect(file.sizeBytes).toBe(0)
      file.write(Buffer.from('new'), 0, 3, 0)
      file.close()
      expect(bytesOf(driver, `t-0/${name}`).toString()).toBe('new')
    }
  })
})
