/** What a read-only log stands on: how it reads, how it is woken, and what it says of that. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { checkLogOptions, type LogWarning } from '../../../src/client/log-options.ts'
import { openReadOnly, type ReadOnlyLog } from '../../../src/client/read-only-opening.ts'
import type { WakeSource } from '../../../src/log/follow/wake-source.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

/** A directory with a log that is being written. */
async function written(): Promise<{ readonly directory: string; readonly writer: EventLog }> {
  const directory = temporaryDirectory()
  const writer = await EventLog.open(directory)
  onTestFinished(() => writer.close())
  await writer.createTopic('t')
  return { directory, writer }
}

async function openToRead(
  directory: string,
  options: Parameters<typeof checkLogOptions>[0],
  wake?: WakeSource,
): Promise<ReadOnlyLog> {
  const checked = checkLogOptions({ readOnly: true, ...options }, 'disk', 'test')
  const opened = await openReadOnly(directory, checked, wake)
  onTestFinished(() => opened.log.close())
  return opened
}

describe('files of another process', () => {
  it.each([
    ['auto', 'pread', /another process/],
    ['pread', 'pread', /io is 'pread'/],
  ] as const)('are read with io %s by %s', async (io, kind, reason) => {
    const { directory } = await written()
    const { reads, directory: path } = await openToRead(directory, { io })
    expect(reads.kind).toBe(kind)
    expect(reads.reason).toMatch(reason)
    expect(path).toBe(directory)
  })

  it('are opened to be read, and nothing else', async () => {
    const { directory } = await written()
    const { log } = await openToRead(directory, {})
    expect(() => log.driver.openFile('x', 'create')).toThrow(/x/)
    expect(() => log.driver.createDirectory('x')).toThrow(/x/)
  })
})

describe('who waits for a partition', () => {
  it('is woken by the watch, with a clock that stands still', async () => {
    const { directory, writer } = await written()
    const clock = new FakeClock()
    const { log } = await openToRead(directory, { clock })
    const partition = log.topic('t')?.partitions[0]
    if (partition === undefined) throw new Error('no t-0')
    const woken = new Promise<void>((resolve) => {
      partition.onChange(() => {
        if (partition.highWatermark === 1) resolve()
      })
    })
    clock.advance(0)
    await writer.topic('t').send({ value: 'one' })
    await woken
    expect(partition.highWatermark).toBe(1)
  })

  it('is told by a poll where nothing can be watched, with one warning', async () => {
    const { directory, writer } = await written()
    const clock = new FakeClock()
    const warnings: LogWarning[] = []
    const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' })
    const wake: WakeSource = {
      start: (_onWake, onFailure) => onFailure(cause),
      stop: () => undefined,
    }
    const onWarning = (warning: LogWarning): void => void warnings.push(warning)
    const { log } = await openToRead(directory, { clock, onWarning }, wake)
    const partition = log.topic('t')?.partitions[0]
    let told = 0
    const stop = partition?.onChange(() => (told += 1))
    stop?.()
    partition?.onChange(() => (told += 1))
    await writer.topic('t').send({ value: 'one' })
    clock.advance(10)
    expect(told).toBeGreaterThan(0)
    expect(warnings).toMatchObject([{ code: 'FALLBACK', details: { pollMs: 10 }, cause }])
  })
})
