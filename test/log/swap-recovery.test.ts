/**
 * What a stop within a swap of segments left, ours or a broker's, file by file in the order of the
 * renames: which segments the folder has once it is settled.
 */
import { describe, expect, it } from 'vitest'
import { segmentFileName } from '../../src/format/segment-name.ts'
import { completeSwaps, type SettledFolder } from '../../src/log/swap-recovery.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { everyCrash } from '../support/every-crash.ts'
import { at, batchBytes } from './recovered-partition.ts'
import { bytesOf } from './tampering.ts'

type Files = Readonly<Record<string, Buffer>>

const log = (...offsets: readonly number[]): Buffer => Buffer.concat(at(...offsets))
const name = (base: number, rest: string): string =>
  segmentFileName(base, '.log').slice(0, -4) + rest

/** The files of a segment: a log, and indexes that tell whose they are. */
function segment(base: number, bytes: Buffer, whose: string): Files {
  return {
    [name(base, `.log`)]: bytes,
    [name(base, `.index`)]: Buffer.from(`${whose} index`),
    [name(base, `.timeindex`)]: Buffer.from(`${whose} times`),
  }
}

const OLD = [
  ['0', segment(0, log(0, 1, 2), 'old')],
  ['3', segment(3, log(3, 4, 5), 'old')],
  ['6', segment(6, log(6, 7), 'old')],
] as const
const ACTIVE = segment(9, log(9), 'old')
const old = (...which: readonly string[]): Files =>
  Object.fromEntries(
    OLD.filter(([of]) => which.includes(of)).flatMap(([, files]) => Object.entries(files)),
  )
/** As `files`, under other endings. */
function ending(files: Files, what: string): Files {
  return Object.fromEntries(Object.entries(files).map(([key, bytes]) => [key + what, bytes]))
}
const without = (files: Files, part: string): Files =>
  Object.fromEntries(Object.entries(files).filter(([key]) => !key.includes(part)))
const only = (files: Files, part: string): Files =>
  Object.fromEntries(Object.entries(files).filter(([key]) => key.includes(part)))

/** What cleaning made of 0 and 3. */
const NEW = segment(0, log(1, 5), 'new')
const NOTHING_HAPPENED = { ...old('0', '3', '6'), ...ACTIVE }
const DONE = { ...NEW, ...old('6'), ...ACTIVE }

function fill(driver: StorageDriver, files: Files): void {
  driver.createDirectory('t-0')
  for (const [key, bytes] of Object.entries(files)) {
    const file = driver.openFile(`t-0/${key}`, 'create')
    file.write(bytes, 0, bytes.length, 0)
    file.close()
  }
}

function* durably(driver: StorageDriver, files: Files): Procedure<void> {
  fill(driver, files)
  for (const key of Object.keys(files)) {
    const file = driver.openFile(`t-0/${key}`, 'write')
    yield () => file.flush()
    file.close()
  }
  yield () => driver.flushDirectory('t-0')
  yield () => driver.flushDirectory('')
}

/** Every file but those that wait for their removal. */
function filesIn(driver: StorageDriver): Files {
  const names = driver.list('t-0').filter((key) => !key.endsWith('.deleted'))
  return Object.fromEntries(names.map((key) => [key, bytesOf(driver, `t-0/${key}`)]))
}

async function settle(
  files: Files,
  isOwn: boolean,
): Promise<SettledFolder & { readonly files: Files }> {
  const driver = new FaultDriver()
  fill(driver, files)
  const settled = await runProcedure(completeSwaps({ driver, directory: 't-0', isOwn }))
  expect(settled.names).toEqual(driver.list('t-0'))
  return { ...settled, files: filesIn(driver) }
}

const swap = ending(NEW, '.swap')
const gone = ending(old('0', '3'), '.deleted')
/** By what was done last; of a merge of two segments into one. */
const STOPS: readonly (readonly [string, Files, Files])[] = [
  [
    'the cleaner was writing',
    { ...NOTHING_HAPPENED, ...ending(NEW, '.cleaned') },
    NOTHING_HAPPENED,
  ],
  [
    'our indexes were renamed',
    {
      ...NOTHING_HAPPENED,
      ...only(ending(NEW, '.cleaned'), '.log'),
      ...without(swap, '.log'),
    },
    NOTHING_HAPPENED,
  ],
  [
    "a broker's .log was renamed",
    {
      ...NOTHING_HAPPENED,
      ...only(swap, '.log'),
      ...without(ending(NEW, '.cleaned'), '.log'),
    },
    NOTHING_HAPPENED,
  ],
  ['all was renamed', { ...NOTHING_HAPPENED, ...swap }, DONE],
  [
    'the first .log was set aside',
    {
      ...without(NOTHING_HAPPENED, name(0, '.log')),
      ...only(gone, name(0, '.log')),
      ...swap,
    },
    DONE,
  ],
  [
    'the first segment was set aside',
    { ...old('3', '6'), ...ACTIVE, ...only(gone, name(0, '')), ...swap },
    DONE,
  ],
  [
    'a power cut lost the first of the names that were set aside',
    { ...old('0', '6'), ...ACTIVE, ...only(gone, name(3, '')), ...swap },
    DONE,
  ],
  ['all old ones were set aside', { ...old('6'), ...ACTIVE, ...gone, ...swap }, DONE],
  ['all old ones were removed', { ...old('6'), ...ACTIVE, ...swap }, DONE],
  [
    'our indexes had their names',
    { ...old('6'), ...ACTIVE, ...gone, ...only(swap, '.log'), ...without(NEW, '.log') },
    DONE,
  ],
  [
    "a broker's .log had its name",
    { ...old('6'), ...ACTIVE, ...gone, ...only(NEW, '.log'), ...without(swap, '.log') },
    DONE,
  ],
]

describe('a swap that was under way', () => {
  it.each(STOPS)('is settled where %s', async (_what, left, right) => {
    for (const isOwn of [true, false]) {
      const settled = await settle(left, isOwn)
      expect(settled.files).toEqual(right)
      expect(settled.flaws).toEqual([])
    }
  })

  it('is settled by whoever opens the folder next, wherever that one was stopped', async () => {
    for (const [what, left, right] of STOPS) {
      for await (const { driver, kind, stoppedAt } of everyCrash(
        (fresh) => durably(fresh, left),
        (broken) => completeSwaps({ driver: broken, directory: 't-0', isOwn: true }),
      )) {
        await runProcedure(completeSwaps({ driver, directory: 't-0', isOwn: true }))
        const found = filesIn(driver)
        const where = `${what}: ${kind}, ${stoppedAt}`
        // An index is a hint: in a crash of a crash it may go, but never be another's.
        for (const [key, bytes] of Object.entries(found)) expect(bytes, where).toEqual(right[key])
        expect(Object.keys(only(found, '.log')), where).toEqual(
          Object.keys(only(right, '.log')).sort(),
        )
      }
    }
  })

  it('leaves what it does not reach: a broker may drop the end of what it replaces', async () => {
    const short = ending(segment(0, log(1), 'new'), '.swap')
    const settled = await settle({ ...NOTHING_HAPPENED, ...short }, false)
    expect(settled.files).toEqual({
      ...segment(0, log(1), 'new'),
      ...old('3', '6'),
      ...ACTIVE,
    })
  })

  it('of one segment that a broker divides is dropped where a part is missing', async () => {
    const whole = { ...segment(0, log(0, 1, 2, 3, 4, 5), 'old'), ...old('6'), ...ACTIVE }
    const [first, second] = [segment(0, log(0, 1, 2), 'new'), segment(3, log(3, 4, 5), 'new')]
    const partly = { ...whole, ...ending(first, '.cleaned'), ...ending(second, '.swap') }
    expect((await settle(partly, false)).files).toEqual(whole)
    const all = { ...whole, ...ending(first, '.swap'), ...ending(second, '.swap') }
    expect((await settle(all, false)).files).toEqual({
      ...first,
      ...second,
      ...old('6'),
      ...ACTIVE,
    })
  })

  it('is completed also where an earlier cleaner left something in front of it', async () => {
    const cleaned = ending(segment(0, log(1), 'newer'), '.cleaned')
    const later = segment(3, log(4, 8), 'new')
    const left = { ...old('0'), ...ACTIVE, ...cleaned, ...ending(later, '.swap') }
    const pending = { ...left, ...ending(old('3', '6'), '.deleted') }
    expect((await settle(pending, true)).files).toEqual({ ...old('0'), ...later, ...ACTIVE })
  })

  it('is nothing to look for in a folder without such files', async () => {
    const driver = new FaultDriver()
    fill(driver, NOTHING_HAPPENED)
    const calls: string[] = []
    driver.onCall = ({ action }) => void calls.push(action)
    await runProcedure(completeSwaps({ driver, directory: 't-0', isOwn: true }))
    expect(calls).toEqual([])
  })
})

describe('a .swap that is not what was written', () => {
  /** With so many of the old segments set aside, and what is left of their endings. */
  const states: readonly Files[] = [
    NOTHING_HAPPENED,
    { ...old('3', '6'), ...ACTIVE, ...only(gone, name(0, '')) },
    { ...old('0', '6'), ...ACTIVE, ...only(gone, name(3, '')) },
    { ...old('6'), ...ACTIVE, ...gone },
  ]

  async function expectUndone(state: Files, bad: Buffer, what: string): Promise<void> {
    const left = { ...state, ...swap, [name(0, '.log.swap')]: bad }
    const settled = await settle(left, true)
    const salvaged = name(0, '.log.swap.salvaged')
    expect(settled.files, what).toEqual({ ...NOTHING_HAPPENED, [salvaged]: bad })
    expect(settled.flaws, what).toMatchObject([
      { file: `t-0/${name(0, '.log.swap')}`, bytes: bad.length },
    ])
    expect((await settle(settled.files, true)).flaws, what).toEqual([])
  }

  it('takes no place: with any byte changed the old segments are there', async () => {
    const good = log(1, 5)
    for (const state of states) {
      for (let byte = 0; byte < good.length; byte += 7) {
        const inEpoch = byte % batchBytes >= 12 && byte % batchBytes < 16
        if (inEpoch) continue // Of a leader epoch no CRC tells.
        const bad = Buffer.from(good)
        bad[byte] = (bad[byte] ?? 0) ^ 0x10
        await expectUndone(state, bad, `byte ${byte}`)
      }
    }
  })

  it('takes no place where it was cut short, between two batches as well', async () => {
    for (const state of states) {
      for (const length of [0, 1, batchBytes - 1, batchBytes, batchBytes + 1, 2 * batchBytes - 1]) {
        await expectUndone(state, log(1, 5).subarray(0, length), `${length} bytes`)
      }
    }
  })

  it('is settled by whoever opens the folder next, wherever that one was stopped', async () => {
    const bad = log(1)
    for (const state of states) {
      for await (const { driver, kind, stoppedAt } of everyCrash(
        (fresh) => durably(fresh, { ...state, ...swap, [name(0, '.log.swap')]: bad }),
        (broken) => completeSwaps({ driver: broken, directory: 't-0', isOwn: true }),
      )) {
        await runProcedure(completeSwaps({ driver, directory: 't-0', isOwn: true }))
        const found = filesIn(driver)
        const where = `${kind}, ${stoppedAt}`
        expect(without(found, '.salvaged'), where).toEqual(NOTHING_HAPPENED)
        expect(only(found, '.salvaged'), where).toEqual({ [name(0, '.log.swap.salvaged')]: bad })
      }
    }
  })

  it('takes back what was the log last, where more of those names wait', async () => {
    // 0 and 3 became 0 before; then that and 6 were to become 0.
    const once = segment(0, log(1, 5), 'once')
    const pending = {
      ...ending(old('0', '3'), '.deleted'),
      ...ending(once, '.1.deleted'),
      ...ending(old('6'), '.deleted'),
    }
    const bad = { [name(0, '.log.swap')]: log(1) }
    const settled = await settle({ ...ACTIVE, ...pending, ...bad }, true)
    expect(without(settled.files, '.salvaged')).toEqual({ ...once, ...old('6'), ...ACTIVE })
  })

  it('is all there is where no old segment is left: recovery says what of it is', async () => {
    const bad = log(1)
    const settled = await settle({ ...old('6'), ...ACTIVE, [name(0, '.log.swap')]: bad }, true)
    expect(settled.files).toEqual({ [name(0, '.log')]: bad, ...old('6'), ...ACTIVE })
    expect(settled.flaws).toEqual([])
  })
})
