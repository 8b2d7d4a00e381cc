/**
 * `EventLog.verify`, `EventLog.repair` and `log.scrub` as users call them, on disk and in memory.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogWarning } from '../../src/client/log-options.ts'
import type { Progress } from '../../src/client/log-reports.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { canBeNobody, NOBODY, nobodyNote } from '../support/nobody.ts'
import { CHECKOUT } from '../support/source-text.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, openLog } from './open-log.ts'

const FILE = 'orders-0/00000000000000000000.log'

async function filled(log: EventLog, count: number = 100): Promise<EventLog> {
  const settings = { segmentBytes: 2048, indexIntervalBytes: 200 }
  const orders = await log.createTopic('orders', { partitions: 2, ...settings })
  for (let n = 0; n < count; n++) orders.partition(n % 2).append({ key: `k${n}`, value: `v${n}` })
  await log.flush()
  return log
}

/** A directory with a closed log of `count` records. */
async function closedLog(count?: number): Promise<string> {
  const directory = temporaryDirectory()
  const log = await filled(await EventLog.open(directory), count)
  await log.close()
  return directory
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

describe('EventLog.verify', () => {
  it('counts what is whole, and shows how far it is', async () => {
    const seen: Progress[] = []
    const report = await EventLog.verify(await closedLog(), {
      onProgress: (progress) => seen.push(progress),
    })
    expect(report).toMatchObject({ sound: true, records: 100, batches: 100, tornBytes: 0 })
    expect(seen.at(-1)?.bytes).toBe(seen.at(-1)?.totalBytes)
    expect(report.bytes).toBe(seen.at(-1)?.totalBytes)
  })

  it('takes the empty checkpoints of a broker for what they are, where a broker was', async () => {
    const directory = await closedLog()
    writeFileSync(join(directory, 'cleaner-offset-checkpoint'), '')
    expect(await EventLog.verify(directory)).toMatchObject({
      damage: [{ file: 'cleaner-offset-checkpoint' }],
    })
    writeFileSync(join(directory, 'replication-offset-checkpoint'), '0\n0\n')
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true })
  })

  it('and repair take in what groups have committed', async () => {
    const directory = temporaryDirectory()
    const log = await filled(await EventLog.open(directory))
    const group = log.consumerGroup('g', { topics: ['orders'] })
    await group.resetOffsets('earliest')
    await group.resetOffsets('latest')
    await log.close()
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, records: 104 })
    const file = '__consumer_offsets-0/00000000000000000000.log'
    flip(join(directory, file), readFileSync(join(directory, file)).length - 1)
    expect(await EventLog.verify(directory)).toMatchObject({ damage: [{ file, firstOffset: 2 }] })
    await EventLog.repair(directory)
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, records: 102 })
    const again = await EventLog.open(directory, { onWarning: () => undefined })
    closeWhenDone(again)
    expect(
      again
        .consumerGroup('g')
        .offsets()
        .map(({ offset }) => offset),
    ).toEqual([0, 0])
  })

  it('names the place of what is damaged', async () => {
    const directory = await closedLog()
    flip(join(directory, FILE), 70)
    const { sound, damage, records } = await EventLog.verify(directory)
    expect({ sound, records }).toEqual({ sound: false, records: 99 })
    const place = { topic: 'orders', partition: 0, file: FILE, position: 0 }
    expect(damage).toMatchObject([{ ...place, firstOffset: 0, lastOffset: 0, reason: 'crc' }])
  })

  it('judges beside a writer what was there at its start', async () => {
    const directory = temporaryDirectory()
    const log = await filled(await EventLog.open(directory))
    closeWhenDone(log)
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, tornBytes: 0 })
    flip(join(directory, FILE), 70)
    expect(await EventLog.verify(directory)).toMatchObject({ sound: false })
  })

  it('calls a torn end no damage', async () => {
    const directory = temporaryDirectory()
    const log = await filled(await EventLog.open(directory))
    closeWhenDone(log)
    const copy = join(temporaryDirectory(), 'copy')
    cpSync(directory, copy, { recursive: true })
    const last = readdirSync(join(copy, 'orders-0')).findLast((name) => name.endsWith('.log')) ?? ''
    const file = join(copy, 'orders-0', last)
    const content = readFileSync(file).findLastIndex((byte) => byte !== 0)
    truncateSync(file, content - 5)
    const report = await EventLog.verify(copy)
    expect(report).toMatchObject({ sound: true, damage: [] })
    expect(report.tornBytes).toBeGreaterThan(0)
  })

  it('refuses what is missing, no directory, no log, or no option', async () => {
    const missing = join(temporaryDirectory(), 'missing')
    await expect(EventLog.verify(missing)).rejects.toMatchObject({
      code: 'IO',
      cause: { code: 'ENOENT' },
    })
    const empty = temporaryDirectory()
    await expect(EventLog.verify(empty)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    writeFileSync(join(empty, 'file'), '')
    const file = join(empty, 'file')
    await expect(EventLog.verify(file)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    const wrong = { onProgress: 'often' } as unknown as { onProgress: () => void } // refused below
    await expect(EventLog.verify(empty, wrong)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  it('ends with ABORTED', async () => {
    const directory = await closedLog()
    await expect(
      EventLog.verify(directory, { signal: AbortSignal.abort('enough') }),
    ).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' })
  })

  it.runIf(canBeNobody)(`needs no permission to write${nobodyNote}`, async () => {
    const directory = await closedLog()
    openToAll(directory)
    const program =
      `import { EventLog } from '${join(CHECKOUT, 'dist/index.js')}'\n` +
      `const { sound, records } = await EventLog.verify('${directory}')\n` +
      `console.log(sound, records, await EventLog.repair('${directory}').catch((e) => e.code))`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      uid: NOBODY,
      cwd: '/',
    })
    expect(String(child.stdout).trim(), String(child.stderr)).toBe('true 100 READ_ONLY')
  })
})

describe('EventLog.repair', () => {
  it('says in a dry run what it would do, and writes nothing', async () => {
    const directory = await closedLog()
    flip(join(directory, FILE), 70)
    const before = readdirSync(directory, { recursive: true })
    const dry = await EventLog.repair(directory, { dryRun: true })
    expect(readdirSync(directory, { recursive: true })).toEqual(before)
    expect(dry).toMatchObject({ kept: 99, removed: [{ file: FILE }], savedTo: directory })
    expect(await EventLog.repair(directory)).toEqual(dry)
    expect(await EventLog.verify(directory)).toMatchObject({ sound: true, records: 99 })
  })

  it('makes what is removed read as a gap of compaction does', async () => {
    const directory = await closedLog()
    flip(join(directory, FILE), 70)
    await EventLog.repair(directory)
    const log = await EventLog.open(directory)
    closeWhenDone(log)
    const partition = log.topic('orders').partition(0)
    expect(partition.get(0)).toBeUndefined()
    expect([...partition.records()]).toHaveLength(49)
    expect(log.recovery.partitions).toEqual([])
  })

  it('leaves a sound log alone', async () => {
    const directory = await closedLog()
    expect(await EventLog.repair(directory)).toEqual({ kept: 100, removed: [], savedTo: null })
    const log = await EventLog.open(directory)
    closeWhenDone(log)
    expect(log.recovery.clean).toBe(true)
  })

  it('is refused beside a writer, a dry run too', async () => {
    const directory = temporaryDirectory()
    closeWhenDone(await filled(await EventLog.open(directory)))
    for (const dryRun of [true, false]) {
      await expect(EventLog.repair(directory, { dryRun })).rejects.toMatchObject({ code: 'LOCKED' })
    }
  })
})

describe('log.scrub', () => {
  it.each(['disk', 'memory'] as const)('verifies a log that is open: %s', async (kind) => {
    const log = await filled(await openLog(kind))
    expect(await log.scrub()).toMatchObject({ sound: true, records: 100, damage: [] })
  })

  it('warns of the damage that it finds', async () => {
    const directory = temporaryDirectory()
    const warnings: LogWarning[] = []
    const onWarning = (warning: LogWarning): void => void warnings.push(warning)
    const log = await filled(await EventLog.open(directory, { onWarning }))
    closeWhenDone(log)
    flip(join(directory, FILE), 70)
    const { damage } = await log.scrub()
    expect(damage).toMatchObject([{ file: FILE, reason: 'crc' }])
    expect(warnings).toMatchObject([{ code: 'DAMAGE', details: { topic: 'orders', partition: 0 } }])
  })

  it('reads no faster than it is told, by the clock of the log', async () => {
    const clock = new FakeClock()
    const log = await filled(await openLog('memory', { clock }), 2_000)
    const rate = 10_000
    const began = clock.monotonicNow()
    const scrub = log.scrub({ maxBytesPerSecond: rate })
    const ended = scrub.then(() => clock.monotonicNow() - began)
    for (let turns = 0; turns < 3_000; turns++) {
      clock.advance(20)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const { bytes } = await scrub
    expect(await ended).toBeGreaterThan((0.8 * bytes * 1000) / rate)
  })

  it('ends with its signal, and with the log', async () => {
    const clock = new FakeClock()
    const log = await filled(await openLog('memory', { clock }))
    const controller = new AbortController()
    const aborted = log.scrub({ maxBytesPerSecond: 1, signal: controller.signal })
    await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    const [closed] = await Promise.allSettled([log.scrub({ maxBytesPerSecond: 1 }), log.close()])
    expect(closed).toMatchObject({ reason: { code: 'CLOSED' } })
    await expect(log.scrub()).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('passes over a topic that is deleted meanwhile', async () => {
    const clock = new FakeClock()
    const log = await filled(await openLog('memory', { clock }))
    const scrub = log.scrub({ maxBytesPerSecond: 100_000 })
    await log.deleteTopic('orders')
    for (let turns = 0; turns < 100; turns++) {
      clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await scrub).toMatchObject({ sound: true })
  })
})

function openToAll(directory: string): void {
  chmodSync(directory, 0o755)
  for (const name of readdirSync(directory, { recursive: true })) {
    chmodSync(join(directory, String(name)), 0o755)
  }
}
