/**
 * A verification that goes on while segments are cleaned and replaced: of the log that this process
 * has open, and of another one's. Nothing that is whole is called damaged, at any pace of the two.
 */
import { describe, expect, it } from 'vitest'
import { openPartitions } from '../../src/log/open-partitions.ts'
import { DirectoryVerification, type VerifyFindings } from '../../src/log/verify-directory.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { clean, type CompactedLog, writeSegments } from './compacted-partition.ts'
import { segmentFile } from './tampering.ts'

/** A verification lets others have their turn within each segment. */
const LARGE_BYTES = 150_000
const keeps = (offset: number): boolean => offset % 3 === 1

function verification(
  driver: FaultDriver,
  { log }: CompactedLog,
  isScrub: boolean,
): DirectoryVerification {
  return new DirectoryVerification({
    driver,
    bootId: 'boot',
    isLive: true,
    newTopicId: () => 'AAAAAAAAAAAAAAAAAAAAAQ',
    ...(isScrub ? { openPartitions: () => openPartitions(log) } : {}),
  })
}

/** Cleans after `first` steps of a verification, with `each` steps of it to one of the cleaner. */
async function verifyBeside(
  isScrub: boolean,
  first: number,
  each: number,
): Promise<VerifyFindings> {
  const driver = new FaultDriver()
  const held = await runProcedure(writeSegments(driver, 7, {}, LARGE_BYTES))
  const verified = verification(driver, held, isScrub)
  let goesOn = true
  const step = (steps: number): void => {
    for (let done = 0; goesOn && done < steps; done++) goesOn = verified.step(1)
  }
  step(first)
  for (const [from, to] of [
    [1, 3],
    [2, 4],
    [0, 3],
  ] as const) {
    const cleaning = clean(driver, held, [from, to], keeps)
    for (let turn = cleaning.next(); turn.done !== true; turn = cleaning.next()) {
      await turn.value()
      step(each)
    }
  }
  step(Infinity)
  const { findings } = verified
  if (findings === undefined) throw new Error('no findings')
  return findings
}

describe.each([
  ['of a log that is open here', true],
  ['beside another process', false],
] as const)('a verification %s', (_what, isScrub) => {
  it('calls no segment damaged that is replaced meanwhile', async () => {
    for (const each of [0, 1, 3]) {
      for (let first = 0; first < 12; first++) {
        const { damage } = await verifyBeside(isScrub, first, each)
        expect(damage, `${first} steps, then ${each} at a time`).toEqual([])
      }
    }
  })
})

describe('a scrub', () => {
  it('finds that a segment of the log is not there', async () => {
    const driver = new FaultDriver()
    const held = await runProcedure(writeSegments(driver, 4))
    await driver.unlink(segmentFile(3))
    const verified = verification(driver, held, true)
    while (verified.step(1 << 20));
    expect(verified.findings?.damage).toMatchObject([
      { file: segmentFile(3), firstOffset: 3, lastOffset: 5, reason: 'missing' },
    ])
  })
})
