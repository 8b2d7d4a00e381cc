/**
 * How long does it take to let go of almost all of 10,000 segments, and how long does that hold the
 * event loop at a stretch? 1,000 segments in a quick run. Either their files are set aside, as
 * retention does at once, or removed as well, for which it otherwise waits a minute.
 *
 * Nobody else has anything like it; the limit is removing as many files by hand.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HousekeptLog, segmentsStore } from './contestants/streambed-housekeeping.ts'
import { mustEqual } from './runner/dataset.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
import { strained } from './runner/strain.ts'

const FULL_SEGMENTS = 10_000
const QUICK_SEGMENTS = 1_000
const KEPT_BYTES = 1_000
const MINUTE_MS = 60_000

/** The question. */
export const retentionTime: Question = {
  name: 'retention-time',
  asks: 'lets go of old segments, by retentionBytes',
  answer: 'time',
  cases: ({ quick }) => {
    const segmentCount = quick ? QUICK_SEGMENTS : FULL_SEGMENTS
    return [{ name: `${segmentCount} segments`, contestants: contestantsOf(segmentCount) }]
  },
}

function contestantsOf(segmentCount: number): readonly Contestant[] {
  const store = segmentsStore(segmentCount)
  return [
    { name: 'set aside', role: 'ours', store, measure: (from) => expired(from, MINUTE_MS) },
    { name: 'removed', role: 'ours', store, measure: (from) => expired(from, 0) },
    { name: 'files removed by hand', role: 'limit', store, measure: removedByHand },
  ]
}

async function expired(store: string, fileDeleteDelayMs: number): Promise<Measurement> {
  const copy = await HousekeptLog.openCopy(store)
  await copy.keepBytes(KEPT_BYTES, fileDeleteDelayMs)
  const { logEndOffset } = copy.partition
  const measurement = await strained(1, 0, () => copy.log.runHousekeeping())
  mustEqual(Math.ceil((logEndOffset - copy.partition.logStartOffset) / 10), 1, 'tens of segments')
  await copy.close()
  return measurement
}

async function removedByHand(store: string): Promise<Measurement> {
  const directory = mkdtempSync(join(dirname(store), 'copy-'))
  cpSync(store, directory, { recursive: true })
  const folder = join(directory, 'bench-0')
  const names = readdirSync(folder)
  const measurement = await strained(1, 0, async () => {
    for (const name of names) unlinkSync(join(folder, name))
  })
  rmSync(directory, { recursive: true, force: true })
  return measurement
}
