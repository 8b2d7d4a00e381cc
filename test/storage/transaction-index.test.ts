/**
 * The .txnindex of a segment: Kafka's bytes, when its entries are taken for true, and what is left
 * where the disk refuses to write or to cut.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { AbortedTransaction } from '../../src/format/aborted-transaction.ts'
import { emptyContents, type SegmentContents } from '../../src/storage/segment-contents.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { type AbortedWitness, TransactionIndex } from '../../src/storage/transaction-index.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { fromHex } from '../format/vectors.ts'
import { segmentVector } from '../format/segment-files.ts'
import { bytesOf, overwrite } from '../log/tampering.ts'

const BASE = 1_000
const DIRECTORY = 't-0'
const PATH = `${DIRECTORY}/00000000000000001000.txnindex`
const END = 2_000
const NOBODY: AbortedWitness = { abortedCount: null, abortedCrc: 0 }

function entryAt(lastOffset: number, producerId: number = 77): AbortedTransaction {
  return { producerId, firstOffset: lastOffset - 5, lastOffset, lastStableOffset: lastOffset - 3 }
}
const [first, second, third] = [entryAt(1_008), entryAt(1_020, 78), entryAt(1_500)]

function newDriver(): FaultDriver {
  const driver = new FaultDriver()
  driver.createDirectory(DIRECTORY)
  return driver
}

function indexIn(driver: StorageDriver, contents: Partial<SegmentContents> = {}): TransactionIndex {
  const place = { driver, directory: DIRECTORY, path: PATH, baseOffset: BASE }
  return new TransactionIndex(place, { ...emptyContents(BASE), nextOffset: END, ...contents })
}

/** Three entries in their file, and what a clean close knows of them. */
async function written(driver: StorageDriver): Promise<AbortedWitness> {
  const index = indexIn(driver)
  for (const entry of [first, second, third]) index.add(entry)
  await index.flush()
  index.close()
  return index.witness
}

describe('an index of aborted transactions', () => {
  it('writes the file that Kafka writes', () => {
    const driver = newDriver()
    const [name = ''] = Object.keys(segmentVector.files).filter((one) => one.endsWith('.txnindex'))
    indexIn(driver).add({
      producerId: 77,
      firstOffset: 1_003,
      lastOffset: 1_008,
      lastStableOffset: 1_005,
    })
    expect(bytesOf(driver, PATH)).toEqual(fromHex(segmentVector.files[name] ?? ''))
  })

  it('has no file before a transaction is aborted, and looks for none where it knows', () => {
    const driver = newDriver()
    driver.onCall = () => 'EIO'
    const index = indexIn(driver)
    expect([index.entries, index.knownFrom, index.isUnflushed]).toEqual([[], BASE, false])
    expect(index.witness).toEqual({ abortedCount: 0, abortedCrc: 0 })
  })

  it('has none after an open that found nothing aborted', async () => {
    const driver = newDriver()
    const index = indexIn(driver, NOBODY)
    index.truncateTo(BASE)
    index.writeOut()
    await index.flush()
    expect(driver.status(PATH)).toBeUndefined()
    expect(index.witness).toEqual({ abortedCount: 0, abortedCrc: 0 })
  })

  it('is taken for true where a clean close vouches for its bytes', async () => {
    const driver = newDriver()
    const witness = await written(driver)
    const index = indexIn(driver, witness)
    expect([index.entries, index.knownFrom]).toEqual([[first, second, third], BASE])
    expect(index.witness).toEqual(witness)
  })

  it('knows nothing before the end of its segment where nobody vouches for it', async () => {
    const driver = newDriver()
    await written(driver)
    expect(indexIn(driver, NOBODY).knownFrom).toBe(END)
    expect(indexIn(newDriver(), NOBODY).knownFrom).toBe(END)
    expect(indexIn(driver, NOBODY).witness).toEqual(NOBODY)
  })

  const WRONG: readonly (readonly [how: string, change: (driver: FaultDriver) => unknown])[] = [
    ['is missing', (driver) => driver.unlink(PATH)],
    ['has lost its last entry', (driver) => driver.openFile(PATH, 'write').resize(68)],
    ['was torn', (driver) => driver.openFile(PATH, 'write').resize(75)],
    ['is empty', (driver) => driver.openFile(PATH, 'write').resize(0)],
    ['has a flipped bit in a first offset', (driver) => flip(driver, 17, 1)],
    ['has a flipped bit in a producer', (driver) => flip(driver, 34 + 9, 4)],
    ['has a flipped bit in a version', (driver) => flip(driver, 68 + 1, 1)],
    ['has a flipped bit in a marker', (driver) => flip(driver, 25, 0x80)],
    ['has a last marker far behind the end', (driver) => flip(driver, 68 + 23, 0x80)],
  ]

  it.each(WRONG)('is not taken for true where its file %s', async (_, change) => {
    const driver = newDriver()
    const witness = await written(driver)
    await change(driver)
    const index = indexIn(driver, witness)
    expect(index.knownFrom).toBe(END)
    expect(index.witness).toEqual(NOBODY)
    // What is aborted from now on is known, and in the file.
    index.add(entryAt(2_100))
    expect(index.entries.at(-1)).toEqual(entryAt(2_100))
    await index.flush()
    expect(indexIn(driver, NOBODY).entries.at(-1)).toEqual(entryAt(2_100))
  })

  it('can be built anew from an offset on', async () => {
    const driver = newDriver()
    await written(driver)
    const index = indexIn(driver, NOBODY)
    index.truncateTo(1_020)
    index.add(entryAt(1_030))
    expect([index.entries, index.knownFrom]).toEqual([[first, entryAt(1_030)], 1_020])
    expect(index.witness).toEqual(NOBODY)
    index.truncateTo(0)
    expect([index.entries, index.knownFrom]).toEqual([[], BASE])
    expect(index.witness).toEqual({ abortedCount: 0, abortedCrc: 0 })
    expect(bytesOf(driver, PATH)).toHaveLength(0)
  })

  it('takes nothing over from a file that lay in the way of a new segment', async () => {
    const driver = newDriver()
    await written(driver)
    const index = indexIn(driver)
    index.add(entryAt(1_600))
    await index.flush()
    expect(indexIn(driver, index.witness).entries).toEqual([entryAt(1_600)])
    expect(bytesOf(driver, PATH)).toHaveLength(34)
  })

  it('survives a power cut with its name once it was flushed', async () => {
    const driver = newDriver()
    await driver.flushDirectory('')
    const witness = await written(driver)
    const left = driver.powerCut(undefined, 'none')
    expect(indexIn(left, witness).entries).toEqual([first, second, third])
  })
})

describe('an index of aborted transactions that the disk refuses', () => {
  it.each(['EIO', 'ENOSPC'] as const)('an entry with %s is as it was before', async (fault) => {
    const driver = newDriver()
    const index = indexIn(driver)
    index.add(first)
    driver.onCall = ({ action }) => (action === 'write' ? fault : undefined)
    expect(() => {
      index.add(second)
    }).toThrow(LogError)
    expect(index.entries).toEqual([first])
    driver.onCall = undefined
    index.add(third)
    await index.flush()
    expect(indexIn(driver, index.witness).entries).toEqual([first, third])
    expect(bytesOf(driver, PATH)).toHaveLength(68)
  })

  it('the file itself is as it was before', () => {
    const driver = newDriver()
    const index = indexIn(driver)
    driver.onCall = ({ action }) => (action === 'create' ? 'ENOSPC' : undefined)
    expect(() => {
      index.add(first)
    }).toThrow(LogError)
    driver.onCall = undefined
    index.add(second)
    expect(index.entries).toEqual([second])
  })

  it('to be cut drops what was taken back, and is not done before the file is cut', async () => {
    const driver = newDriver()
    const index = indexIn(driver)
    index.add(first)
    index.add(second)
    await index.flush()
    driver.onCall = ({ action }) => (action === 'resize' ? 'EIO' : undefined)
    index.takeBackLast()
    expect([index.entries, index.isUnflushed]).toEqual([[first], true])
    expect(() => {
      index.writeOut()
    }).toThrow(LogError)
    driver.onCall = undefined
    index.writeOut()
    await index.flush()
    expect([bytesOf(driver, PATH).length, index.isUnflushed]).toEqual([34, false])
  })

  it('its name to be made durable says so, and tries again', async () => {
    const driver = newDriver()
    const index = indexIn(driver)
    index.add(first)
    driver.onCall = ({ action }) => (action === 'flushDirectory' ? 'EIO' : undefined)
    await expect(index.flush()).rejects.toThrow(LogError)
    expect(index.isUnflushed).toBe(true)
    driver.onCall = undefined
    await index.flush()
    expect(index.isUnflushed).toBe(false)
    // Once is enough.
    driver.onCall = ({ action }) => (action === 'flushDirectory' ? 'EIO' : undefined)
    index.add(second)
    await index.flush()
    index.takeBackLast()
    await index.flush()
    expect([bytesOf(driver, PATH).length, index.isUnflushed]).toEqual([34, false])
  })
})

function flip(driver: FaultDriver, position: number, bits: number): void {
  const bytes = Buffer.from(bytesOf(driver, PATH))
  bytes[position] = (bytes[position] ?? 0) ^ bits
  overwrite(driver, PATH, bytes)
}
