/**
 * Which segments may go: Kafka's rules, one by one, and all of them beside a model that deletes one
 * segment after the other, as Kafka does.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  explainRetention,
  planRetention,
  type GroupProgress,
  type RetainedLog,
  type RetainedSegment,
  type RetentionContext,
} from '../../src/log/retention.ts'

interface TestSegment extends RetainedSegment {
  readonly modifiedMs: number
}

interface Setting {
  readonly retentionMs?: number
  readonly retentionBytes?: number
  readonly retainUntilConsumedMaxBytes?: number
  readonly logStartOffset?: number
}

const NOW_MS = 10_000

/** Segments of ten offsets each, of these sizes and largest timestamps. */
function logOf(
  segments: readonly (readonly [sizeBytes: number, timestamp: number, modifiedMs?: number])[],
  setting: Setting,
): RetainedLog<TestSegment> {
  const { logStartOffset = 0, ...config } = setting
  const list = segments.map(([sizeBytes, largestTimestamp, modifiedMs = NOW_MS], index) => {
    const baseOffset = 10 * index
    const nextOffset = baseOffset + (sizeBytes === 0 ? 0 : 10)
    return {
      baseOffset,
      nextOffset,
      sizeBytes,
      largestTimestamp,
      modifiedMs,
      logPath: `${baseOffset}.log`,
    }
  })
  return {
    logStartOffset,
    logEndOffset: list.at(-1)?.nextOffset ?? 0,
    config: { retentionMs: -1, retentionBytes: -1, retainUntilConsumedMaxBytes: -1, ...config },
    segments: list,
  }
}

function contextOf(
  given: Partial<RetentionContext<TestSegment>> = {},
): RetentionContext<TestSegment> {
  return {
    nowMs: NOW_MS,
    policy: 'delete',
    groups: [],
    trustsClock: true,
    modifiedMs: (segment) => segment.modifiedMs,
    ...given,
  }
}

describe('by time', () => {
  const segments = [
    [1, 100],
    [1, 200],
    [1, 150],
    [1, 900],
  ] as const

  it('a segment goes when its newest record is older than retentionMs, not when it is as old', () => {
    const at = (retentionMs: number): number =>
      planRetention(logOf(segments, { retentionMs }), contextOf()).deletableCount
    expect(at(NOW_MS - 100)).toBe(0)
    expect(at(NOW_MS - 101)).toBe(1)
    expect(at(NOW_MS - 200)).toBe(1)
    expect(at(NOW_MS - 201)).toBe(3)
  })

  it('the active segment goes where all may, behind a new one; not where it holds nothing', () => {
    const all = planRetention(logOf(segments, { retentionMs: 0 }), contextOf())
    expect(all).toMatchObject({ deletableCount: 4, rollsActive: true, newLogStart: 40 })
    const idle = planRetention(logOf([...segments, [0, -1]], { retentionMs: 0 }), contextOf())
    expect(idle).toMatchObject({ deletableCount: 4, rollsActive: false, newLogStart: 40 })
    const empty = planRetention(logOf([[0, -1, 0]], { retentionMs: 0 }), contextOf())
    expect(empty).toMatchObject({ deletableCount: 0, rollsActive: false, newLogStart: 0 })
  })

  it('a time that has not come, and none, is that of the file', () => {
    const log = logOf(
      [
        [1, 99_999_999, 100],
        [1, -1, 100],
        [1, 100],
      ],
      { retentionMs: 5_000 },
    )
    expect(planRetention(log, contextOf()).deletableCount).toBe(3)
    const young = logOf([[1, 99_999_999, 8_000]], { retentionMs: 5_000 })
    expect(planRetention(young, contextOf()).deletableCount).toBe(0)
    expect(explainRetention(young, contextOf())[0]?.deletableAt).toBe(13_001)
    const soon = logOf([[1, 12_000, 8_000]], { retentionMs: 5_000 })
    expect(explainRetention(soon, contextOf())[0]?.deletableAt).toBe(17_001)
  })

  it('nothing goes where the clock is not to be trusted', () => {
    const context = contextOf({ trustsClock: false })
    expect(planRetention(logOf(segments, { retentionMs: 0 }), context).deletableCount).toBe(0)
    const [first] = explainRetention(logOf(segments, { retentionMs: 0 }), context)
    expect(first?.reason).toMatch(/clock jumped/)
  })
})

describe('by size', () => {
  it('segments go while as much as asked for is left', () => {
    const segments = [
      [40, 1],
      [40, 1],
      [40, 1],
      [5, 1],
    ] as const
    const at = (retentionBytes: number): number =>
      planRetention(logOf(segments, { retentionBytes }), contextOf()).deletableCount
    expect([125, 86, 85, 45, 6, 5, 1, 0].map(at)).toEqual([0, 0, 1, 2, 2, 3, 3, 4])
  })
})

describe('by the start of the log', () => {
  it('lets segments go that end where it is or before, whatever the policy, but not the active one', () => {
    const segments = [
      [40, 1],
      [40, 1],
      [40, 1],
    ] as const
    for (const policy of ['delete', 'compact', 'compact,delete'] as const) {
      const at = (logStartOffset: number): number =>
        planRetention(logOf(segments, { logStartOffset }), contextOf({ policy })).deletableCount
      expect([0, 9, 10, 19, 20, 30].map(at)).toEqual([0, 0, 1, 1, 2, 2])
    }
    const adopted = logOf(segments, { logStartOffset: 19, retentionMs: 0, retentionBytes: 0 })
    expect(planRetention(adopted, contextOf({ policy: 'none' })).deletableCount).toBe(1)
  })

  it('overrides groups; age and size do not count for what is compacted only', () => {
    const segments = [
      [40, 1],
      [40, 1],
    ] as const
    const groups = [{ groupId: 'billing', offset: null }]
    const started = logOf(segments, { logStartOffset: 10, retentionMs: 0 })
    expect(planRetention(started, contextOf({ groups })).deletableCount).toBe(1)
    const compacted = logOf(segments, { retentionMs: 0, retentionBytes: 0 })
    expect(planRetention(compacted, contextOf({ policy: 'compact' })).deletableCount).toBe(0)
  })
})

describe('retainUntilConsumed', () => {
  const segments = [
    [40, 1],
    [40, 1],
    [40, 1],
  ] as const
  const old = { retentionMs: 0 }

  it('holds what one of the groups has not consumed', () => {
    const at = (...offsets: (number | null)[]): number => {
      const groups = offsets.map((offset, index) => ({ groupId: `g${index}`, offset }))
      return planRetention(logOf(segments, old), contextOf({ groups })).deletableCount
    }
    expect([at(9), at(10), at(19), at(20), at(30)]).toEqual([0, 1, 1, 2, 3])
    expect([at(30, 10), at(10, 30), at(30, null), at(null)]).toEqual([1, 1, 0, 0])
  })

  it('says for whom, and how much', () => {
    const groups = [
      { groupId: 'billing', offset: 15 },
      { groupId: 'audit', offset: 30 },
    ]
    const context = contextOf({ groups })
    const { held, lost } = planRetention(logOf(segments, old), context)
    expect(held).toEqual({ groups: ['billing'], first: 1, count: 2, bytes: 80 })
    expect(lost).toBe(null)
    const reasons = explainRetention(logOf(segments, old), context)
    expect(reasons.map(({ deletable }) => deletable)).toEqual([true, false, false])
    expect(reasons[1]).toMatchObject({ deletableAt: null })
    expect(reasons[1]?.reason).toMatch(/billing/)
  })

  it('lets go of the oldest where more is held than may be', () => {
    const groups = [{ groupId: 'billing', offset: 3 }]
    const at = (retainUntilConsumedMaxBytes: number): unknown => {
      const log = logOf(segments, { ...old, retainUntilConsumedMaxBytes })
      const { deletableCount, lost, held } = planRetention(log, contextOf({ groups }))
      return [deletableCount, lost?.bytes ?? 0, held?.bytes ?? 0]
    }
    expect([120, 119, 80, 79, 0].map(at)).toEqual([
      [0, 0, 120],
      [1, 40, 80],
      [1, 40, 80],
      [2, 80, 40],
      [3, 120, 0],
    ])
  })
})

// ------------------------------------------------------------------------- beside a model

interface ModelState {
  segments: readonly TestSegment[]
  logStartOffset: number
}

/** Kafka's deleteOldSegments, as it is described: one rule after the other, segment by segment. */
function modelOf(log: RetainedLog<TestSegment>, context: RetentionContext<TestSegment>): number {
  const { config, logEndOffset } = log
  const { policy, groups, nowMs } = context
  const all = [...log.segments]
  const state: ModelState = { segments: all, logStartOffset: log.logStartOffset }
  const upperBound = (index: number): number =>
    state.segments[index + 1]?.baseOffset ?? logEndOffset
  const goWhile = (applies: (segment: TestSegment, isLast: boolean) => boolean): void => {
    for (;;) {
      const [segment] = state.segments
      const isLast = state.segments.length === 1
      if (segment === undefined || (isLast && segment.sizeBytes === 0)) return
      if (!applies(segment, isLast)) return
      state.logStartOffset = Math.max(state.logStartOffset, upperBound(0))
      state.segments = state.segments.slice(1)
    }
  }
  goWhile((_, isLast) => !isLast && upperBound(0) <= log.logStartOffset)
  if (policy === 'compact' || policy === 'none') return all.length - state.segments.length
  const started = all.length - state.segments.length
  let excess = sum(state.segments) - config.retentionBytes
  goWhile(({ sizeBytes }) => {
    if (config.retentionBytes < 0 || excess - sizeBytes < 0) return false
    excess -= sizeBytes
    return true
  })
  goWhile((segment) => {
    const { largestTimestamp: time } = segment
    const written = time < 0 || time > nowMs ? segment.modifiedMs : time
    return context.trustsClock && config.retentionMs >= 0 && nowMs - written > config.retentionMs
  })
  const expired = all.length - state.segments.length
  const maxBytes = config.retainUntilConsumedMaxBytes
  for (let count = started; count < expired; count++) {
    const isConsumed = groups.every(
      ({ offset }) => offset !== null && offset >= (all[count]?.nextOffset ?? 0),
    )
    const isTooMuch = maxBytes >= 0 && sum(all.slice(count, expired)) > maxBytes
    if (!isConsumed && !isTooMuch) return count
  }
  return expired
}

function sum(segments: readonly TestSegment[]): number {
  return segments.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
}

const LOGS = fc
  .record({
    segments: fc.array(
      fc.tuple(
        fc.integer({ min: 1, max: 5 }),
        fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 2 * NOW_MS })),
        fc.integer({ min: 0, max: 2 * NOW_MS }),
      ),
      { minLength: 1, maxLength: 8 },
    ),
    isActiveEmpty: fc.boolean(),
    retentionMs: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 2 * NOW_MS })),
    retentionBytes: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 30 })),
    retainUntilConsumedMaxBytes: fc.oneof(fc.constant(-1), fc.integer({ min: 0, max: 30 })),
    logStartOffset: fc.integer({ min: 0, max: 40 }),
  })
  .map(({ segments, isActiveEmpty, ...setting }) => {
    const all = isActiveEmpty ? [...segments, [0, -1, 0] as const] : segments
    const logStartOffset = Math.min(setting.logStartOffset, 10 * segments.length)
    return logOf(all, { ...setting, logStartOffset })
  })

const CONTEXTS = fc
  .record({
    policy: fc.constantFrom('delete', 'delete', 'compact', 'compact,delete', 'none'),
    trustsClock: fc.boolean(),
    offsets: fc.array(fc.option(fc.integer({ min: 0, max: 90 })), { maxLength: 3 }),
  })
  .map(({ policy, trustsClock, offsets }) => {
    const groups: readonly GroupProgress[] = offsets.map((offset, index) => {
      return { groupId: `g${index}`, offset }
    })
    return contextOf({ policy, trustsClock, groups })
  })

describe('a plan', () => {
  it('is what Kafka deletes one by one, but for groups and for times that have not come', () => {
    fc.assert(
      fc.property(LOGS, CONTEXTS, (log, context) => {
        const plan = planRetention(log, context)
        expect(plan.deletableCount).toBe(modelOf(log, context))
      }),
      { numRuns: 2_000 },
    )
  })

  it('and what is said of each segment agree, and a foreseen time is when it may go', () => {
    fc.assert(
      fc.property(LOGS, CONTEXTS, (log, context) => {
        const plan = planRetention(log, context)
        const verdicts = explainRetention(log, context)
        const all = [...log.segments]
        expect(verdicts.map(({ segment }) => segment)).toEqual(all)
        expect(verdicts.filter(({ deletable }) => deletable)).toHaveLength(plan.deletableCount)
        expect(plan.newLogStart).toBeGreaterThanOrEqual(log.logStartOffset)
        expect(plan.rollsActive).toBe(plan.deletableCount === all.length)
        const ends = plan.deletableCount - 1
        const isBehind = all[ends] === undefined || plan.newLogStart >= all[ends].nextOffset
        expect(isBehind).toBe(true)
        for (const [index, { reason, deletableAt }] of verdicts.entries()) {
          expect(reason).not.toBe('')
          if (deletableAt === null || deletableAt <= NOW_MS) continue
          // One whose time comes meanwhile may go before it does, and then later.
          const comes = all.some(({ largestTimestamp: at }) => at > NOW_MS && at < deletableAt)
          if (comes) continue
          const then = { ...context, nowMs: deletableAt, trustsClock: true, groups: [] }
          expect(planRetention(log, then).deletableCount).toBeGreaterThan(index)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
