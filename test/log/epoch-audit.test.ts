/**
 * Whether the leader epochs of a partition are those of its batches: which of the two is wrong
 * where they differ.
 */
import { describe, expect, it } from 'vitest'
import { EpochAudit } from '../../src/log/epoch-audit.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { overwrite } from './tampering.ts'

const FILE = 't-0/leader-epoch-checkpoint'

/** An epoch of batches that lie in a file: epoch, first offset, next offset, where. */
type Run = readonly [number, number, number, string?]

/** What is found wrong with `runs` by a file of these lines; undefined: there is none. */
function auditOf(
  lines: readonly string[] | string | undefined,
  runs: readonly Run[],
  isRequired: boolean = true,
): { readonly flaws: readonly unknown[]; readonly audit: EpochAudit } {
  const driver = new FaultDriver()
  driver.createDirectory('t-0')
  if (lines !== undefined) {
    const text = typeof lines === 'string' ? lines : `0\n${[lines.length, ...lines].join('\n')}\n`
    overwrite(driver, FILE, Buffer.from(text))
  }
  const audit = new EpochAudit(driver, 't-0', isRequired)
  for (const [leaderEpoch, startOffset, nextOffset, file = '0.log'] of runs) {
    const [position, end] = [startOffset * 100, nextOffset * 100]
    audit.see({ leaderEpoch, startOffset, nextOffset, file, position, end })
  }
  return { flaws: [...audit.finish()], audit }
}

describe('the epochs of a partition', () => {
  it('are those of its batches, epoch by epoch', () => {
    const runs: readonly Run[] = [
      [0, 0, 2],
      [0, 2, 5],
      [3, 5, 6],
      [3, 6, 9, '6.log'],
    ]
    const { flaws, audit } = auditOf(['0 0', '3 5'], runs)
    expect(flaws).toEqual([])
    expect(audit.stored).toEqual([
      { leaderEpoch: 0, startOffset: 0 },
      { leaderEpoch: 3, startOffset: 5 },
    ])
    // Batches that follow each other in a file are one run; in another file its end stays.
    expect(audit.runs).toMatchObject([
      { leaderEpoch: 0, startOffset: 0, nextOffset: 5, end: 500 },
      { leaderEpoch: 3, startOffset: 5, nextOffset: 9, end: 600, file: '0.log' },
    ])
  })

  it('may be more than those that have batches', () => {
    expect(
      auditOf(
        ['0 0', '1 5', '2 7'],
        [
          [0, 0, 5],
          [1, 5, 7],
        ],
      ).flaws,
    ).toEqual([])
  })

  it('are not asked of batches that have none, as older ones', () => {
    const { flaws, audit } = auditOf(['4 0'], [[-1, 0, 9]])
    expect([flaws, audit.runs]).toEqual([[], []])
  })
})

describe('a file of epochs', () => {
  const runs: readonly Run[] = [
    [1, 0, 5],
    [2, 5, 9],
  ]

  it('is missed where there always was one', () => {
    const { flaws, audit } = auditOf(undefined, runs)
    expect(flaws).toEqual([{ file: FILE, position: 0, bytes: 0, reason: 'missing' }])
    expect(audit.stored).toEqual([])
    expect(auditOf(undefined, runs, false).flaws).toEqual([])
  })

  it('is damaged where it cannot be read', () => {
    const { flaws, audit } = auditOf('0\n1\n', runs)
    expect(flaws).toEqual([{ file: FILE, position: 0, bytes: 4, reason: 'it cannot be read' }])
    expect(audit.stored).toEqual([])
  })

  it.each([
    ['another epoch', ['1 0', '3 5']],
    ['an epoch that begins too late', ['1 0', '2 6']],
    ['an epoch that begins too early', ['1 0', '2 4']],
    ['no first epoch', ['2 5']],
  ])('is wrong where it has %s than batches that ascend', (_, lines) => {
    const { flaws, audit } = auditOf(lines, runs)
    expect(flaws).toMatchObject([{ file: FILE, reason: 'its epochs are not those of the batches' }])
    expect(audit.stored).toEqual([])
  })

  it('may have forgotten the first epochs where a broker wrote it', () => {
    expect(auditOf(['2 5'], runs, false).flaws).toEqual([])
  })

  it('may have forgotten epochs between where a broker came back in an older one', () => {
    const ours: readonly Run[] = [
      [0, 0, 100],
      [2, 100, 160],
      [3, 160, 260],
      [4, 260, 320],
    ]
    expect(auditOf(['0 0', '4 260'], ours, false).flaws).toEqual([])
    expect(auditOf(['0 0', '2 260'], ours.slice(0, 3), false).flaws).toEqual([])
    expect(auditOf(['0 0', '4 260'], ours).flaws).toHaveLength(1)
    const wrong = ours.map((run, index): Run => (index === 1 ? [9, 100, 160] : run))
    expect(auditOf(['0 0', '4 260'], wrong, false).flaws).not.toEqual([])
    expect(auditOf(['1 0', '4 260'], ours, false).flaws).not.toEqual([])
  })
})

describe('batches whose epochs do not ascend', () => {
  it('are wrong themselves, where the file says otherwise', () => {
    const { flaws, audit } = auditOf(
      ['1 0', '2 5'],
      [
        [1, 0, 3],
        [9, 3, 4],
        [1, 4, 5],
        [2, 5, 9],
      ],
    )
    expect(flaws).toMatchObject([{ file: '0.log', position: 300, bytes: 100 }])
    expect(audit.stored).toHaveLength(2)
  })
})
