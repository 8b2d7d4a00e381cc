/**
 * Random histories of a compacted partition, compacted again and again as time passes, stopped and
 * opened anew, against a list of all that was appended (compaction-model.ts).
 */
import { expect } from 'vitest'
import { type Codec, isCodecAvailable } from '../../../src/format/compression.ts'
import { cleanableOf } from '../../../src/log/cleaner/cleanable.ts'
import type { CleanSettings } from '../../../src/log/cleaner/cleaner.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { driverOf, storedIn } from '../../damage/stored-log.ts'
import { verify } from '../../damage/repaired.ts'
import { SeededRandom } from '../../support/seeded-random.ts'
import { openLog, partitionOf } from '../open-log.ts'
import {
  append,
  compact,
  compactedLog,
  type CompactedLog,
  end,
  type KeyedRecord,
  recordsIn,
  type SeenRecord,
} from './compacting.ts'
import { CompactionModel } from './compaction-model.ts'

const CODECS: readonly Codec[] = (
  ['none', 'none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
).filter((codec) => isCodecAvailable(codec, 'compress'))
const PRODUCERS = 3

/** One history. */
export class CompactionHistory {
  readonly #random: SeededRandom
  readonly #model = new CompactionModel()
  readonly #open = new Set<number>()
  readonly #deleteRetentionMs: number
  #at: CompactedLog
  #firstDirtyOffset = 0
  #counter = 0

  /** Of a log whose settings the seed chooses too. */
  static async begin(seed: number): Promise<CompactionHistory> {
    const random = new SeededRandom(seed)
    const deleteRetentionMs = random.oneOf(0, 1_000, 100_000)
    const at = await compactedLog({
      deleteRetentionMs,
      segmentBytes: random.oneOf(1_024, 1_024, 3_000, 20_000),
      indexIntervalBytes: random.oneOf(0, 200, 4_096),
      messageTimestampType: random.oneOf('CreateTime', 'CreateTime', 'LogAppendTime'),
      compressionType: random.oneOf('producer', 'producer', 'none', 'gzip'),
      preallocate: random.oneOf(true, false),
    })
    return new CompactionHistory(random, at, deleteRetentionMs)
  }

  private constructor(random: SeededRandom, at: CompactedLog, deleteRetentionMs: number) {
    this.#random = random
    this.#at = at
    this.#deleteRetentionMs = deleteRetentionMs
  }

  /** Takes `steps` steps, then compacts until nothing changes any more. */
  async run(steps: number): Promise<void> {
    for (let step = 0; step < steps; step++) {
      const choice = this.#random.below(100)
      if (choice < 55) this.#append()
      else if (choice < 67) this.#end()
      else if (choice < 75) this.#at.clock.advance(this.#random.oneOf(1, 500, 1_000, 200_000))
      else if (choice < 90) await this.#compact()
      else if (choice < 93) await this.#moveStart()
      else if (choice < 97) await this.#reopen(this.#random.oneOf('close', 'kill', 'power'))
      else await this.#crash()
      this.#check()
    }
    await this.#converges()
  }

  #append(): void {
    const random = this.#random
    const { partition, clock } = this.#at
    const records: KeyedRecord[] = []
    const count = 1 + random.below(random.oneOf(1, 4, 12))
    for (let index = 0; index < count; index++) {
      const key = random.below(12) === 0 ? null : `k${random.below(random.oneOf(4, 40))}`
      const isTombstone = random.below(5) === 0
      const value = isTombstone ? null : `${this.#counter++}${'.'.repeat(random.below(90))}`
      const timestamp = random.oneOf(clock.now(), clock.now() - random.below(100_000), -1)
      const headers = random.below(6) === 0 ? ['h', random.oneOf(null, 'x')] : []
      records.push({ key, value, timestamp, headers })
    }
    const producerId = random.oneOf(-1, 100 + random.below(PRODUCERS))
    const isOpen = this.#open.has(producerId)
    const transactional = producerId >= 0 && (isOpen || random.below(2) === 0)
    const codec = random.oneOf(CODECS[0] ?? 'none', ...CODECS)
    const options = { codec, producerId, transactional }
    const { baseOffset, timestamp: appendTime } = append(partition, records, options)
    if (transactional) this.#open.add(producerId)
    const isAppendTime = partition.config.messageTimestampType === 'LogAppendTime'
    const seen = records.map(({ key, value, timestamp = -1, headers = [] }, index): SeenRecord => {
      const time = isAppendTime ? appendTime : timestamp
      return { offset: baseOffset + index, timestamp: time, key, value, headers }
    })
    this.#model.appended(seen, producerId, transactional)
  }

  #end(): void {
    const random = this.#random
    const [...open] = this.#open
    const producerId = open[random.below(open.length)]
    if (producerId === undefined) return
    const outcome = random.oneOf('commit', 'abort')
    end(this.#at.partition, producerId, outcome)
    this.#open.delete(producerId)
    this.#model.ended(producerId, outcome)
  }

  async #compact(given: Partial<CleanSettings> = {}): Promise<boolean> {
    const random = this.#random
    const { partition, clock } = this.#at
    await partition.makeDurable(partition.logEndOffset)
    const nowMs = clock.now()
    let steps = random.oneOf(Infinity, Infinity, Infinity, random.below(30))
    const settings = {
      firstDirtyOffset: this.#firstDirtyOffset,
      force: random.oneOf(true, false),
      bufferBytes: random.oneOf(0, 600, 1_500, 1 << 20),
      isStopped: () => --steps < 0,
      ...given,
    }
    const [endBefore, producersBefore] = [partition.logEndOffset, producersOf(this.#at)]
    const context = { firstDirtyOffset: this.#firstDirtyOffset, nowMs }
    const { firstUncleanableOffset } = cleanableOf(partition, context)
    const deleteRetentionMs = this.#deleteRetentionMs
    const pass = { nowMs, deleteRetentionMs, endOffset: firstUncleanableOffset }
    // However it ends. Of several passes the later ones see what the first has set.
    for (let passes = 0; passes < 2; passes++) this.#model.passed({ ...pass, isComplete: false })
    const result = await compact(this.#at, settings)
    const hasRun = result.stats.passes > 0
    if (result.isComplete && hasRun) this.#model.passed({ ...pass, isComplete: true })
    this.#firstDirtyOffset = result.firstDirtyOffset
    mustEqual(partition.logEndOffset, endBefore)
    mustEqual(producersOf(this.#at), producersBefore)
    return result.stats.newSegments > 0
  }

  async #moveStart(): Promise<void> {
    const { log, partition } = this.#at
    const { logStartOffset, lastStableOffset } = partition
    const offset = logStartOffset + this.#random.below(lastStableOffset - logStartOffset + 1)
    await runProcedure(log.deleteRecordsBefore(partition, offset))
    this.#model.logStartOffset = offset
  }

  /** Ends the process, or the power, at any call of a compaction. */
  async #crash(): Promise<void> {
    const driver = this.#at.driver as FaultDriver // compactedLog made it
    const { partition } = this.#at
    await partition.makeDurable(partition.logEndOffset)
    const before = producersOf(this.#at)
    let calls = this.#random.below(80)
    driver.onCall = () => (calls-- > 0 ? undefined : 'stop')
    await this.#compact({ isStopped: () => false }).catch((error: unknown) => {
      if (!driver.isDead) throw error
    })
    driver.onCall = undefined
    await this.#reopen(this.#random.oneOf('kill', 'power'), before)
  }

  /** Closes the log, or ends its process, or the power; a coordinator ends what was open. */
  async #reopen(
    how: 'close' | 'kill' | 'power',
    before: readonly unknown[] = producersOf(this.#at),
  ): Promise<void> {
    const { log, partition, clock } = this.#at
    const driver = this.#at.driver as FaultDriver // compactedLog made it
    if (how === 'power' && !driver.isDead) await partition.makeDurable(partition.logEndOffset)
    if (how === 'close') for (const id of this.#open) this.#endOpen(id)
    const { logStartOffset } = partition
    // Opening aborts what nobody decided.
    const logEndOffset = partition.logEndOffset + this.#open.size
    for (const id of this.#open) this.#model.ended(id, 'abort')
    this.#open.clear()
    if (how === 'close') await runProcedure(log.close())
    else if (!driver.isDead && this.#random.below(2) === 0) await runProcedure(log.checkpoint())
    const fresh = how === 'power' ? driver.powerCut() : driver.processKill()
    const { log: opened, report } = await openLog(fresh, { clock })
    mustEqual(
      report.partitions.flatMap(({ damage }) => damage),
      [],
    )
    this.#at = { driver: fresh, clock, log: opened, partition: partitionOf(opened, 't') }
    const { partition: reopened } = this.#at
    mustEqual([reopened.logStartOffset, reopened.logEndOffset], [logStartOffset, logEndOffset])
    mustEqual(producersOf(this.#at), before)
    if (how === 'close') mustEqual(verify(driverOf(storedIn(fresh)), 'boot').damage, [])
  }

  #endOpen(producerId: number): void {
    end(this.#at.partition, producerId, 'abort')
    this.#open.delete(producerId)
    this.#model.ended(producerId, 'abort')
  }

  #check(): void {
    const { partition } = this.#at
    const committed = recordsIn(partition, true)
    const isBelow = ({ offset }: SeenRecord): boolean => offset < partition.lastStableOffset
    mustEqual(this.#model.findings(committed, true, isBelow), [])
    mustEqual(
      this.#model.findings(recordsIn(partition), false, () => true),
      [],
    )
  }

  /** Passes at the same time come to an end at which nothing changes any more. */
  async #converges(): Promise<void> {
    const settings = { force: true, bufferBytes: 1 << 20, isStopped: () => false }
    let passes = 0
    while (await this.#compact(settings)) {
      this.#check()
      passes += 1
      mustEqual(passes < 12, true)
    }
  }
}

/** What is known of producers' batches, in the order of their ids. */
function producersOf({ partition }: CompactedLog): readonly unknown[] {
  return partition.producers
    .entries()
    .map((entry) => {
      const { producerId, producerEpoch, lastSequence, lastOffset, offsetDelta } = entry
      return { producerId, producerEpoch, lastSequence, lastOffset, offsetDelta }
    })
    .toSorted((a, b) => a.producerId - b.producerId)
}

function mustEqual(actual: unknown, expected: unknown): void {
  expect(actual).toEqual(expected)
}
