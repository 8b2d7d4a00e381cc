/**
 * A disk that fails, fills up or stops under a run of housekeeping: what it was at is left as it
 * was, said once, and done by a later run; nothing else waits for that.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import type { LogWarning } from '../../src/client/log-options.ts'
import type { Topic } from '../../src/client/topic.ts'
import { nextTurn } from '../../src/log/clock.ts'
import type { DiskAction } from '../../src/testing/disk-faults.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { closeWhenDone } from './open-log.ts'
import { rejection } from './refusal.ts'

const COMPACT = { segmentBytes: 2_048, cleanupPolicy: 'compact', fileDeleteDelayMs: 0 } as const
const KEYS = 4

interface World {
  readonly disk: FaultDisk
  readonly log: EventLog
  readonly warnings: LogWarning[]
}

async function world(): Promise<World> {
  const disk = new FaultDisk()
  const warnings: LogWarning[] = []
  const log = await disk.open({
    housekeepingIntervalMs: null,
    onWarning: (warning) => warnings.push(warning),
  })
  closeWhenDone(log)
  return { disk, log, warnings }
}

/** A compacted topic with rounds of values of each key. */
async function putTopic(log: EventLog, name: string, rounds: number = 12): Promise<Topic> {
  const topic = await log.ensureTopic(name, COMPACT)
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < KEYS; key++) {
      topic.partition(0).append([{ key: `k${key}`, value: `${100 + round}`.padEnd(200, '.') }])
    }
  }
  await log.flush()
  return topic
}

/** The last value of each key, as a reader finds them. */
function latestOf(topic: Topic): readonly string[] {
  const latest = new Map<string, string>()
  for (const { key, value } of topic.partition(0).records()) {
    latest.set(String(key), `${String(key)} ${String(value).slice(0, 3)}`)
  }
  return [...latest.values()].sort()
}

const LATEST = ['k0 111', 'k1 111', 'k2 111', 'k3 111']

function isCompacted(topic: Topic): boolean {
  return topic.partition(0).get(0) === undefined
}

const failures = (warnings: readonly LogWarning[]): readonly unknown[] =>
  warnings.filter(({ code }) => code === 'HOUSEKEEPING_FAILED').map(({ details }) => details)

describe('compaction of a partition that fails', () => {
  it.each<[DiskAction, string]>([
    ['readAhead', '.log'],
    ['create', '.log.cleaned'],
    ['write', '.log.cleaned'],
    ['flush', '.log.cleaned'],
    ['create', '.index.cleaned'],
  ])('by %s of a %s leaves it, is said once, and the others go on', async (action, suffix) => {
    const { disk, log, warnings } = await world()
    const topics = [await putTopic(log, 'a'), await putTopic(log, 'b'), await putTopic(log, 'c')]
    const path = new RegExp(`^b-0/.*${suffix.replaceAll('.', '\\.')}$`)
    disk.faults.inject({ fault: 'EIO', action, path, count: Infinity })
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(2)
    await log.runHousekeeping()
    expect(failures(warnings)).toEqual([{ task: 'compaction of b-0' }])
    expect(topics.map(isCompacted)).toEqual([true, false, true])
    expect(topics.map(latestOf)).toEqual([LATEST, LATEST, LATEST])
    expect(disk.files().filter((name) => name.endsWith('.cleaned'))).toEqual([])
    disk.faults.clear()
    expect((await log.runHousekeeping()).cleanedPartitions).toBe(1)
    expect(topics.map(isCompacted)).toEqual([true, true, true])
    expect(topics.map(latestOf)).toEqual([LATEST, LATEST, LATEST])
    expect(failures(warnings)).toHaveLength(1)
  })

  it('is said again where it fails in another way, or after it went well', async () => {
    const { disk, log, warnings } = await world()
    await putTopic(log, 'a')
    const path = /\.log\.cleaned$/
    for (const fault of ['EIO', 'EROFS', 'EROFS'] as const) {
      disk.faults.inject({ fault, action: 'write', path, count: Infinity })
      await log.runHousekeeping()
      disk.faults.clear()
    }
    expect(failures(warnings)).toHaveLength(2)
    await log.runHousekeeping()
    await putTopic(log, 'a')
    disk.faults.inject({ fault: 'EROFS', action: 'write', path, count: Infinity })
    await log.runHousekeeping()
    expect(failures(warnings)).toHaveLength(3)
  })

  it('waits for room on a disk that is full, and appends have it first', async () => {
    const { disk, log, warnings } = await world()
    const topic = await putTopic(log, 'a')
    disk.capacityBytes = disk.usedBytes + 100
    await log.runHousekeeping()
    expect(warnings[0]).toMatchObject({ code: 'HOUSEKEEPING_FAILED', cause: { code: 'NO_SPACE' } })
    expect(disk.files().filter((name) => name.endsWith('.cleaned'))).toEqual([])
    expect(latestOf(topic)).toEqual(LATEST)
    disk.capacityBytes = 2 ** 30
    await log.runHousekeeping()
    expect(isCompacted(topic)).toBe(true)
    await log.close()
    const again = await disk.open()
    closeWhenDone(again)
    expect(latestOf(again.topic('a'))).toEqual(LATEST)
  })

  it('does not read damage again until its partition has changed, unless it is forced', async () => {
    const { disk, log, warnings } = await world()
    const topic = await putTopic(log, 'a')
    disk.flipBit({ path: 'a-0/00000000000000000000.log', position: 100 })
    disk.evict()
    await log.runHousekeeping()
    expect(warnings).toMatchObject([{ code: 'HOUSEKEEPING_FAILED', cause: { code: 'CORRUPT' } }])
    disk.recordCalls(true)
    await log.runHousekeeping()
    expect(disk.calls.filter(({ action }) => action === 'readAhead')).toEqual([])
    await log.runHousekeeping({ force: true })
    expect(disk.calls.filter(({ action }) => action === 'readAhead')).not.toEqual([])
    expect(topic.partition(0).get(KEYS)?.value).toBeDefined()
  })

  it('leaves a partition alone that is read-only since a sync failed', async () => {
    const { disk, log, warnings } = await world()
    const topic = await putTopic(log, 'a')
    disk.faults.inject({ fault: 'drop', action: 'flush', path: /^a-0\/.*\.log$/, count: 1 })
    topic.partition(0).append([{ key: 'k0', value: '999' }])
    await rejection(topic.partition(0).flush())
    await log.runHousekeeping({ force: true })
    expect(warnings.map(({ code }) => code)).toEqual(['PARTITION_READ_ONLY'])
    expect(isCompacted(topic)).toBe(false)
  })
})

describe('retention over a disk that fails', () => {
  it('frees later what could not be removed, and says so once', async () => {
    const { disk, log, warnings } = await world()
    const topic = await log.createTopic('t', { segmentBytes: 1_024, fileDeleteDelayMs: 0 })
    for (let n = 0; n < 5; n++) topic.partition(0).append([{ value: 'x'.repeat(900) }])
    await topic.partition(0).deleteRecords(3)
    disk.faults.inject({ fault: 'EIO', action: 'unlink', path: /\.deleted$/, count: Infinity })
    expect((await log.runHousekeeping()).deletedSegments).toBe(3)
    await log.runHousekeeping()
    expect(failures(warnings)).toEqual([{ task: 'freeing space' }])
    expect(disk.files().some((name) => name.endsWith('.deleted'))).toBe(true)
    disk.faults.clear()
    await log.runHousekeeping()
    expect(disk.files().some((name) => name.endsWith('.deleted'))).toBe(false)
  })
})

describe('a run that a crash ends', () => {
  it('leaves a log that opens with the last value of each key, wherever it was', async () => {
    for (let turns = 0; turns < 60; turns += 3) {
      const { disk, log } = await world()
      await putTopic(log, 'a')
      const run = log.runHousekeeping().catch(() => undefined)
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      await disk.crash()
      void run
      const again = await disk.open({ housekeepingIntervalMs: null })
      expect(latestOf(again.topic('a')), `after ${turns} turns`).toEqual(LATEST)
      await again.runHousekeeping()
      expect(isCompacted(again.topic('a'))).toBe(true)
      expect(latestOf(again.topic('a'))).toEqual(LATEST)
      await again.close()
    }
  })
})
