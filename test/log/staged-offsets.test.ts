/**
 * Positions that a transaction writes: they count from its commit on, never where it is aborted;
 * whoever takes a partition over waits until that is known.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { CommittedOffsets, OffsetCommit } from '../../src/log/committed-offsets.ts'
import { GroupPositions } from '../../src/log/group-positions.ts'
import { OFFSETS_TOPIC } from '../../src/log/internal-topics.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { type IsCommitted, loadOffsets } from '../../src/log/offsets-load.ts'
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { StagedOffsets, TransactionOffsets } from '../../src/log/staged-offsets.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { budget } from '../support/budget.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { nextInTransaction } from './broker-offsets.ts'
import { at, openGroups, reopened, shown } from './open-groups.ts'
import { partitionOf } from './open-log.ts'
import { flip } from './tampering.ts'

const UNKNOWN = new LogError('IO', 'nobody knows', { outcome: 'unknown' })

/** Positions of a group in a transaction, and what it heard of their end. */
class Given implements TransactionOffsets {
  readonly groupId: string
  readonly commits: readonly OffsetCommit[]
  readonly heard: string[] = []
  refusal: LogError | undefined

  constructor(commits: readonly OffsetCommit[], groupId: string = 'billing') {
    this.groupId = groupId
    this.commits = commits
  }

  check(): void {
    if (this.refusal !== undefined) throw this.refusal
  }

  ended(outcome: string): void {
    this.heard.push(outcome)
  }
}

/** Stages as the transaction of that producer. */
function stage(
  { offsets }: LogDirectory,
  producerId: number,
  ...given: readonly TransactionOffsets[]
): StagedOffsets {
  return offsets.stage(given, (log) => nextInTransaction(log, { producerId }))
}

/** Ends the transaction as its coordinator does: markers, then the positions. */
function end(staged: StagedOffsets, producerId: number, outcome: 'commit' | 'abort'): void {
  for (const { log } of staged.logs) {
    log.appendMarker({ producerId, producerEpoch: 0, outcome, coordinatorEpoch: 0 })
  }
  if (outcome === 'commit') staged.apply()
  else staged.drop()
}

function offsetsLog(log: LogDirectory): PartitionLog {
  return partitionOf(log, OFFSETS_TOPIC)
}

async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  const open = Symbol('open')
  const turn = new Promise((resolve) => setImmediate(resolve, open))
  return (await Promise.race([promise, turn])) !== open
}

describe('positions of a transaction', () => {
  it('count when it is committed, not before, and are there after opening anew', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const given = new Given([at(12), { ...at(3, 1), metadata: 'm' }])
    log.offsets.commit('billing', [at(5)])
    const staged = stage(log, 7, given, new Given([at(1)], 'audit'))
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@5'] })
    expect(given.heard).toEqual([])
    end(staged, 7, 'commit')
    const expected = { audit: ['orders-0@1'], billing: ['orders-0@12', 'orders-1@3'] }
    expect(shown(log.offsets)).toEqual(expected)
    expect(log.offsets.get('billing', 'orders', 1)?.metadata).toBe('m')
    expect(given.heard).toEqual(['committed'])
    expect(await reopened(driver)).toEqual(expected)
  })

  it('never count when it is aborted', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const given = new Given([at(12), at(3, 1)])
    log.offsets.commit('billing', [at(5)])
    end(stage(log, 7, given), 7, 'abort')
    expect(given.heard).toEqual(['aborted'])
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@5'] })
    expect(await reopened(driver)).toEqual({ billing: ['orders-0@5'] })
  })

  it('do not count with the next one where the marker that aborted it is damaged', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    log.offsets.commit('billing', [at(5)])
    end(stage(log, 7, new Given([at(12)])), 7, 'abort')
    const behindMarker = offsetsLog(log).logBytes
    end(stage(log, 7, new Given([at(3, 1)])), 7, 'commit')
    await runProcedure(log.close())
    const left = driver.processKill()
    const [file = ''] = left.list(`${OFFSETS_TOPIC}-0`).filter((name) => name.endsWith('.log'))
    flip(left, `${OFFSETS_TOPIC}-0/${file}`, behindMarker - 1)
    const again = await openGroups(left)
    expect(shown(again.offsets)).toEqual({ billing: ['orders-0@5', 'orders-1@3'] })
  })

  it('are gone after a kill where nothing says that it was committed', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    stage(log, 7, new Given([at(12)]))
    expect(await reopened(driver)).toEqual({})
  })

  it('say where they were written, and which data they are about', async () => {
    const log = await openGroups(new FaultDriver(), new FakeClock(), { partitions: 50 })
    const { logs, sources } = stage(log, 7, new Given([at(12), at(3, 1)]), new Given([at(1)], 'b'))
    expect(logs.map(({ log: { topic }, offset }) => [topic, offset])).toEqual([
      [OFFSETS_TOPIC, 2],
      [OFFSETS_TOPIC, 1],
    ])
    expect(sources.map(({ log: { partition }, offset }) => [partition, offset])).toEqual([
      [0, 12],
      [1, 3],
      [0, 1],
    ])
  })

  it('are in as many batches as they need, numbered on', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver, new FakeClock(), { maxMessageBytes: 400 })
    const commits = Array.from({ length: 20 }, (_, index) => at(index, index % 2))
    const staged = stage(log, 7, new Given(commits))
    expect(staged.logs[0]?.offset).toBe(20)
    expect(offsetsLog(log).nextSequence(7, 0)).toBe(20)
    end(staged, 7, 'commit')
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@18', 'orders-1@19'] })
    expect(await reopened(driver)).toEqual({ billing: ['orders-0@18', 'orders-1@19'] })
  })

  it.each<[string, (given: Given) => Given, string]>([
    [
      'of a partition that was lost',
      (given) => Object.assign(given, { refusal: lost() }),
      'REBALANCED',
    ],
    ['above the end', () => new Given([at(101)]), 'OFFSET_OUT_OF_RANGE'],
    ['in a topic that is not there', () => new Given([at(1, 0, 'none')]), 'TOPIC_NOT_FOUND'],
  ])('%s are refused before anything of theirs is written', async (_, wrong, code) => {
    const log = await openGroups(new FaultDriver())
    const second = wrong(new Given([at(1)], 'second'))
    expect(() => stage(log, 7, new Given([at(12)]), second)).toThrow(
      expect.objectContaining({ code }),
    )
    expect(offsetsLog(log).logEndOffset).toBe(0)
    expect(log.offsets.pendingIn('billing')).toBeUndefined()
  })

  it.each(['ENOSPC', 'EIO'] as const)('that meet %s half way are not pending', async (fault) => {
    const driver = new FaultDriver()
    const log = await openGroups(driver, new FakeClock(), { maxMessageBytes: 400 })
    const commits = Array.from({ length: 20 }, (_, index) => at(index))
    let writeCount = 0
    driver.onCall = ({ action, path }) => {
      if (action !== 'write' || !path.startsWith(OFFSETS_TOPIC)) return undefined
      writeCount += 1
      return writeCount === 2 ? fault : undefined
    }
    expect(() => stage(log, 7, new Given(commits))).toThrow(LogError)
    driver.onCall = undefined
    expect(offsetsLog(log).logEndOffset).toBeGreaterThan(0)
    expect(log.offsets.pendingOf('billing', 'orders', 0)).toBeUndefined()
    log.offsets.commit('billing', [at(2)])
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@2'] })
    expect(await reopened(driver)).toEqual({ billing: ['orders-0@2'] })
  })
})

function lost(): LogError {
  return new LogError('REBALANCED', 'lost', {})
}

describe('who takes a partition over', () => {
  it.each(['commit', 'abort'] as const)('waits for the %s of its position', async (outcome) => {
    const log = await openGroups(new FaultDriver())
    expect(log.offsets.pendingOf('billing', 'orders', 0)).toBeUndefined()
    const staged = stage(log, 7, new Given([at(12)]))
    const pending = log.offsets.pendingOf('billing', 'orders', 0)
    expect(log.offsets.pendingOf('billing', 'orders', 1)).toBeUndefined()
    expect(log.offsets.pendingOf('other', 'orders', 0)).toBeUndefined()
    expect(await isSettled(pending)).toBe(false)
    end(staged, 7, outcome)
    await pending
    expect(log.offsets.pendingOf('billing', 'orders', 0)).toBeUndefined()
    const offset = log.offsets.get('billing', 'orders', 0)?.offset
    expect(offset).toBe(outcome === 'commit' ? 12 : undefined)
  })

  it('waits for every transaction that may move it', async () => {
    const log = await openGroups(new FaultDriver())
    const first = stage(log, 7, new Given([at(12)]))
    const pending = log.offsets.pendingOf('billing', 'orders', 0)
    const second = stage(log, 8, new Given([at(15)]))
    end(first, 7, 'commit')
    expect(await isSettled(pending)).toBe(false)
    end(second, 8, 'abort')
    await pending
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@12'] })
  })

  it('is told where nobody knows, for as long as the log is open', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const given = new Given([at(12)])
    const staged = stage(log, 7, given)
    const early = log.offsets.pendingOf('billing', 'orders', 0)
    staged.unknown(UNKNOWN)
    await expect(early).rejects.toBe(UNKNOWN)
    await expect(log.offsets.pendingOf('billing', 'orders', 0)).rejects.toBe(UNKNOWN)
    await expect(log.offsets.pendingIn('billing')).rejects.toBe(UNKNOWN)
    expect(given.heard).toEqual(['unknown'])
    expect(shown(log.offsets)).toEqual({})
    const { offsets } = await openGroups(driver.processKill())
    expect(offsets.pendingOf('billing', 'orders', 0)).toBeUndefined()
  })
})

describe('while a position is pending', () => {
  it('a plain commit counts at once, and stays whatever the transaction does', async () => {
    for (const outcome of ['commit', 'abort'] as const) {
      const driver = new FaultDriver()
      const log = await openGroups(driver)
      const staged = stage(log, 7, new Given([at(12), at(4, 1)]))
      log.offsets.commit('billing', [at(9)])
      expect(log.offsets.get('billing', 'orders', 0)?.offset).toBe(9)
      end(staged, 7, outcome)
      const expected = ['orders-0@9', ...(outcome === 'commit' ? ['orders-1@4'] : [])]
      expect(shown(log.offsets)).toEqual({ billing: expected })
      expect(await reopened(driver)).toEqual({ billing: expected })
    }
  })

  it('the last transaction that wrote it counts, whichever ends first', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const first = stage(log, 7, new Given([at(12)]))
    const second = stage(log, 8, new Given([at(15)]))
    end(second, 8, 'commit')
    end(first, 7, 'commit')
    expect(shown(log.offsets)).toEqual({ billing: ['orders-0@15'] })
    expect(await reopened(driver)).toEqual({ billing: ['orders-0@15'] })
  })

  it('a group that is removed takes it back too', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    log.offsets.commit('billing', [at(5)])
    const staged = stage(log, 7, new Given([at(12), at(3, 1)]))
    log.offsets.remove('billing')
    log.offsets.commit('billing', [at(1, 0, 'audit')])
    end(staged, 7, 'commit')
    expect(shown(log.offsets)).toEqual({ billing: ['audit-0@1'] })
    expect(await reopened(driver)).toEqual({ billing: ['audit-0@1'] })
  })

  it('a topic that is deleted takes it back, and the others stay', async () => {
    const driver = new FaultDriver()
    const log = await openGroups(driver)
    const staged = stage(log, 7, new Given([at(12), at(3, 0, 'audit')]))
    await runProcedure(log.offsets.forgetTopics(['orders']))
    end(staged, 7, 'commit')
    expect(shown(log.offsets)).toEqual({ billing: ['audit-0@3'] })
    expect(await reopened(driver)).toEqual({ billing: ['audit-0@3'] })
  })

  it('its group does not expire', async () => {
    const clock = new FakeClock()
    const log = await openGroups(new FaultDriver(), clock)
    log.offsets.commit('idle', [at(1)])
    log.offsets.commit('billing', [at(5)])
    const staged = stage(log, 7, new Given([at(12)]))
    clock.advance(10_000)
    expect(log.offsets.expire(5_000, () => false)).toEqual(['idle'])
    end(staged, 7, 'commit')
    clock.advance(4_999)
    expect(log.offsets.expire(5_000, () => false)).toEqual([])
    clock.advance(1)
    expect(log.offsets.expire(5_000, () => false)).toEqual(['billing'])
  })
})

describe('a transaction whose marker could not be written', () => {
  it('moved its positions where it was committed', async () => {
    const log = await openGroups(new FaultDriver())
    log.offsets.commit('billing', [at(5)])
    stage(log, 7, new Given([at(12), at(3, 1)]))
    log.offsets.commit('billing', [at(4, 1)])
    const positions = async (isCommitted: IsCommitted) => {
      const loaded = new GroupPositions()
      await runProcedure(loadOffsets(offsetsLog(log), loaded, isCommitted))
      return loaded.of('billing').map(({ partition, offset }) => [partition, offset])
    }
    const asked: unknown[] = []
    expect(
      await positions((of, ...transaction) => {
        asked.push([of.topic, ...transaction])
        return true
      }),
    ).toEqual([
      [0, 12],
      [1, 4],
    ])
    expect(asked).toContainEqual([OFFSETS_TOPIC, 7, 0])
    expect(await positions(() => false)).toEqual([
      [0, 5],
      [1, 4],
    ])
  })
})

type Step =
  | { readonly kind: 'plain'; readonly commit: OffsetCommit }
  | { readonly kind: 'stage'; readonly producer: number; readonly commit: OffsetCommit }
  | { readonly kind: 'end'; readonly producer: number; readonly outcome: 'commit' | 'abort' }
  | { readonly kind: 'remove' }

const commits: fc.Arbitrary<OffsetCommit> = fc
  .tuple(fc.integer({ min: 0, max: 100 }), fc.constantFrom(0, 1))
  .map(([offset, partition]) => at(offset, partition))
const producers: fc.Arbitrary<number> = fc.constantFrom(7, 8, 9)
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('plain' as const), commit: commits }),
  fc.record({ kind: fc.constant('stage' as const), producer: producers, commit: commits }),
  fc.record({
    kind: fc.constant('end' as const),
    producer: producers,
    outcome: fc.constantFrom('commit' as const, 'abort' as const),
  }),
  fc.record({ kind: fc.constant('remove' as const) }),
)

describe('whatever is committed beside one another', () => {
  it('is read again as it was, at any point', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 40 }), async (history) => {
        const log = await openGroups(new FaultDriver())
        const open = new Map<number, StagedOffsets>()
        for (const step of history) take(log, open, step)
        const loaded = new GroupPositions()
        await runProcedure(loadOffsets(offsetsLog(log), loaded, () => false))
        expect(placesOf(log.offsets)).toEqual(
          loaded.of('billing').map(({ partition, offset }) => [partition, offset]),
        )
        for (const [producer, staged] of open) end(staged, producer, 'commit')
        const again = new GroupPositions()
        await runProcedure(loadOffsets(offsetsLog(log), again, () => false))
        expect(placesOf(log.offsets)).toEqual(
          again.of('billing').map(({ partition, offset }) => [partition, offset]),
        )
      }),
      { numRuns: budget.propertyRuns },
    )
  })
})

function take(log: LogDirectory, open: Map<number, StagedOffsets>, step: Step): void {
  if (step.kind === 'plain') log.offsets.commit('billing', [step.commit])
  else if (step.kind === 'remove') log.offsets.remove('billing')
  else if (step.kind === 'stage') {
    if (!open.has(step.producer)) {
      open.set(step.producer, stage(log, step.producer, new Given([step.commit])))
    }
  } else {
    const staged = open.get(step.producer)
    if (staged !== undefined) end(staged, step.producer, step.outcome)
    open.delete(step.producer)
  }
}

function placesOf(offsets: CommittedOffsets): readonly (readonly number[])[] {
  return offsets.of('billing').map(({ partition, offset }) => [partition, offset])
}
