/**
 * Topics that are made and deleted at the same time, and beside data that takes long to sync: what
 * is counted are calls to a simulated disk that notes them, and holds those that the test wants.
 */
import { describe, expect, it } from 'vitest'
import type { EventLog } from '../../src/client/event-log.ts'
import { defineTopic } from '../../src/client/topic-definition.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { closeWhenDone } from './open-log.ts'
import { rejection } from './refusal.ts'

const COUNT = 300
const CHECKPOINT_INTERVAL_MS = 60_000

const NAMES = Array.from({ length: COUNT }, (_, number) => `topic-${number}`)

async function openOn(disk: FaultDisk, clock: FakeClock = new FakeClock()): Promise<EventLog> {
  const log = await disk.open({ clock })
  closeWhenDone(log)
  disk.recordCalls(true)
  return log
}

/** How often files and directories of these paths were synced since the log was opened. */
function flushesOf(disk: FaultDisk, ...paths: readonly string[]): number {
  return disk.calls.filter(({ action, path }) => /flush/.test(action) && paths.includes(path))
    .length
}

/** Lets everything go on that waits for nothing but turns of the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await nextTurn()
}

describe('topics that are made at the same time', () => {
  it('share one commit of metadata.json', async () => {
    const disk = new FaultDisk()
    const log = await openOn(disk)
    const topics = await Promise.all(NAMES.map((name) => log.createTopic(name)))
    expect(topics.map(({ name }) => name)).toEqual(NAMES)
    expect(flushesOf(disk, 'metadata.json.tmp')).toBe(1)
    await disk.kill()
    expect((await openOn(disk)).topics().map(({ name }) => name)).toEqual(NAMES.toSorted())
  })

  it('share it where a log is opened with them', async () => {
    const disk = new FaultDisk()
    await (await disk.open()).close()
    disk.recordCalls(true)
    const log = await disk.open({ topics: NAMES.map((name) => defineTopic(name, {})) })
    closeWhenDone(log)
    expect(log.topics()).toHaveLength(COUNT)
    expect(flushesOf(disk, 'metadata.json.tmp')).toBe(1)
  })

  it('fail alone where one fails: its name, its case, or that there is one', async () => {
    const log = await openOn(new FaultDisk())
    await log.createTopic('there')
    const results = await Promise.allSettled(
      ['a', 'no name', 'there', 'b', 'A', 'b', 'c'].map((name) => log.createTopic(name)),
    )
    const codes = results.map((result) =>
      result.status === 'fulfilled' ? 'made' : (result.reason as { readonly code: string }).code,
    )
    expect(codes).toEqual([
      'made',
      'INVALID_ARGUMENT',
      'TOPIC_EXISTS',
      'made',
      'INVALID_ARGUMENT',
      'TOPIC_EXISTS',
      'made',
    ])
    expect(log.topics().map(({ name }) => name)).toEqual(['a', 'b', 'c', 'there'])
  })

  it('are made and changed in the order of the calls', async () => {
    const log = await openOn(new FaultDisk())
    const [, , , again] = await Promise.all([
      log.createTopic('t', { retentionMs: 1 }),
      log.createTopic('u'),
      log.deleteTopic('t'),
      log.createTopic('t', { retentionMs: 2 }),
      log.ensureTopic('t', { retentionMs: 3 }),
      log.ensureTopic('u', { partitions: 1 }),
    ])
    expect(log.topics().map(({ name }) => name)).toEqual(['t', 'u'])
    expect(log.topic('t')).toBe(again)
    expect(again.config.retentionMs).toBe(3)
  })
})

describe('topics that are deleted at the same time', () => {
  it('share one commit of metadata.json, and their space is freed once', async () => {
    const disk = new FaultDisk()
    const log = await openOn(disk)
    await Promise.all(NAMES.map((name) => log.createTopic(name)))
    disk.recordCalls(false)
    disk.recordCalls(true)
    const missing = rejection(log.deleteTopic('missing'))
    await Promise.all(NAMES.map((name) => log.deleteTopic(name)))
    expect((await missing).code).toBe('TOPIC_NOT_FOUND')
    expect(log.topics()).toEqual([])
    await settled()
    // Once that they are being deleted, and once that they are gone.
    expect(flushesOf(disk, 'metadata.json.tmp')).toBe(2)
    expect(disk.files().filter((path) => path.startsWith('topic-'))).toEqual([])
  })
})

describe('beside data whose sync takes long', () => {
  it('topics are made and deleted, and records deleted, while a checkpoint waits for it', async () => {
    const disk = new FaultDisk()
    const clock = new FakeClock()
    const log = await openOn(disk, clock)
    const flooded = (await log.createTopic('flooded')).partition(0)
    await log.createTopic('old')
    flooded.append([{ value: 'a' }, { value: 'b' }])
    disk.hold(({ path }) => path.startsWith('flooded-0/'))
    clock.advance(CHECKPOINT_INTERVAL_MS)
    await settled()
    clock.advance(3 * CHECKPOINT_INTERVAL_MS) // Nor do others begin meanwhile.
    await settled()
    expect(disk.held.map(({ path }) => path)).toEqual(['flooded-0/00000000000000000000.log'])
    await log.createTopic('new')
    await log.deleteTopic('old')
    await flooded.deleteRecords(1)
    await log.topic('new').alterConfig({ retentionMs: 5 })
    expect(log.topics().map(({ name }) => name)).toEqual(['flooded', 'new'])
    expect(flooded.logStartOffset).toBe(1)
    expect(disk.held).toHaveLength(1)
    expect(flooded.durableOffset).toBe(0)
    disk.hold(null)
    for (const held of disk.held) held.end()
    await settled()
    expect(String(disk.readFile('recovery-point-offset-checkpoint'))).toContain('flooded 0 2')
  })
})

describe('a log that nothing happens to', () => {
  it('writes its checkpoints once, and not at every interval', async () => {
    const disk = new FaultDisk()
    const clock = new FakeClock()
    const log = await openOn(disk, clock)
    await log.createTopic('t')
    const checkpoints = ['recovery-point-offset-checkpoint', 'log-start-offset-checkpoint']
    const synced = (): number =>
      flushesOf(disk, ...checkpoints.flatMap((path) => [path, `${path}.tmp`]))
    const passInterval = async (): Promise<number> => {
      const before = synced()
      clock.advance(CHECKPOINT_INTERVAL_MS)
      await settled()
      return synced() - before
    }
    expect(await passInterval()).toBeLessThanOrEqual(2)
    for (let interval = 0; interval < 5; interval++) expect(await passInterval()).toBe(0)
    log.topic('t').partition(0).append({ value: 'v' })
    expect(await passInterval()).toBe(1)
    expect(await passInterval()).toBe(0)
  })

  it('writes a checkpoint again whose last write failed, though nothing changed', async () => {
    const disk = new FaultDisk()
    const clock = new FakeClock()
    const log = await openOn(disk, clock)
    const topic = await log.createTopic('t')
    topic.partition(0).append({ value: 'v' })
    disk.faults.inject({ fault: 'EIO', action: 'flush', path: /^recovery-point/ })
    clock.advance(CHECKPOINT_INTERVAL_MS)
    await settled()
    disk.faults.clear()
    const before = flushesOf(disk, 'recovery-point-offset-checkpoint.tmp')
    clock.advance(CHECKPOINT_INTERVAL_MS)
    await settled()
    expect(flushesOf(disk, 'recovery-point-offset-checkpoint.tmp')).toBe(before + 1)
  })
})
