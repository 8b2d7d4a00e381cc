/** A watch on a log's directory: what wakes, what does not fail, and that nothing of it stays. */
import fs from 'node:fs'
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ControlFile } from '../../src/storage/control-file.ts'
import { ControlWatch } from '../../src/storage/control-watch.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { systemError } from '../../src/storage/file-failure.ts'
import { canCountResources, descriptorCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { FIRST, stateOf, topicA } from './control-file-states.ts'

/** Watches `directory`; `woken` resolves at the next wake. */
function watching(
  directory: string,
  platform: NodeJS.Platform = process.platform,
): { watch: ControlWatch; woken: () => Promise<void>; failures: unknown[] } {
  const watch = new ControlWatch(directory, platform)
  const failures: unknown[] = []
  let waiting: (() => void)[] = []
  watch.start(
    () => {
      for (const resolve of waiting.splice(0)) resolve()
    },
    (cause) => void failures.push(cause),
  )
  onTestFinished(() => {
    watch.stop()
    waiting = []
  })
  // Also holds the process, which a watch does not.
  const woken = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve))
  return { watch, woken, failures }
}

/** Where nothing fails. */
function unexpected(): void {
  expect.unreachable('the watch failed')
}

/** A watcher that says what the test wants. */
function fakeWatcher(): {
  readonly watcher: fs.FSWatcher
  readonly emitter: EventEmitter
  isClosed: boolean
} {
  const emitter = new EventEmitter()
  const close = (): void => {
    fake.isClosed = true
  }
  // `as`: what a watch uses of an FSWatcher is what an emitter has, and close.
  const watcher = Object.assign(emitter, { close }) as unknown as fs.FSWatcher
  const fake = { watcher, emitter, isClosed: false }
  return fake
}

describe.each(['linux', 'darwin'] as const)('a control watch as on %s', (platform) => {
  it('wakes when the control file is made, written, and replaced', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory)
    const { watch, woken, failures } = watching(directory, platform)
    expect(watch.isWatching).toBe(true)
    const made = woken()
    const control = ControlFile.open(driver, FIRST)
    await made
    const slot = control.slotFor(topicA, 0)
    for (let seed = 0; seed < 3; seed++) {
      const written = woken()
      control.publish(slot, stateOf(seed))
      await written
    }
    fs.writeFileSync(join(directory, 'fresh'), 'not a control file')
    const replaced = woken()
    driver.rename('fresh', 'streambed.control')
    await replaced
    const writtenAgain = woken()
    fs.appendFileSync(join(directory, 'streambed.control'), 'more')
    await writtenAgain
    expect(failures).toEqual([])
    control.close()
    driver.close()
  })

  it('wakes when metadata.json is replaced', async () => {
    const directory = temporaryDirectory()
    const { woken } = watching(directory, platform)
    const changed = woken()
    fs.writeFileSync(join(directory, 'metadata.json.tmp'), '{}')
    fs.renameSync(join(directory, 'metadata.json.tmp'), join(directory, 'metadata.json'))
    await changed
  })
})

describe('a control watch', () => {
  it('wakes when its directory is removed', async () => {
    const directory = join(temporaryDirectory(), 'log')
    fs.mkdirSync(directory)
    const { woken } = watching(directory)
    const removed = woken()
    fs.rmdirSync(directory)
    await removed
  })

  it('fails once where the directory is missing, and may be started again', async () => {
    const directory = join(temporaryDirectory(), 'log')
    const { watch, failures } = watching(directory)
    expect(failures).toMatchObject([{ code: 'ENOENT' }])
    expect(watch.isWatching).toBe(false)
    fs.mkdirSync(directory)
    const woken = new Promise<void>((resolve) => watch.start(resolve, unexpected))
    fs.writeFileSync(join(directory, 'streambed.control'), 'x')
    await woken
  })

  it.each(['ENOSPC', 'EMFILE', 'ERR_FEATURE_UNAVAILABLE_ON_PLATFORM'])(
    'fails once where the system refuses: %s',
    (code) => {
      const cause = systemError(code, 'no more of these')
      vi.spyOn(fs, 'watch').mockImplementation(() => {
        throw cause
      })
      onTestFinished(() => void vi.restoreAllMocks())
      const { watch, failures } = watching('/somewhere')
      expect([failures, watch.isWatching]).toEqual([[cause], false])
    },
  )

  it('fails once where it breaks later, and says nothing any more', () => {
    const fake = fakeWatcher()
    const { emitter } = fake
    vi.spyOn(fs, 'watch').mockReturnValue(fake.watcher)
    onTestFinished(() => void vi.restoreAllMocks())
    const watch = new ControlWatch('/somewhere')
    const told: unknown[] = []
    watch.start(
      () => void told.push('wake'),
      (cause) => void told.push(cause),
    )
    emitter.emit('change', 'change', 'streambed.control')
    emitter.emit('change', 'change', '.lock')
    emitter.emit('change', 'change', null)
    emitter.emit('error', 'first')
    emitter.emit('error', 'second')
    emitter.emit('change', 'change', 'streambed.control')
    expect(told).toEqual(['wake', 'wake', 'first'])
    expect([watch.isWatching, fake.isClosed]).toEqual([false, true])
  })

  it('says nothing after stop, nor to who listened before a second start', () => {
    const fakes = [fakeWatcher(), fakeWatcher()] as const
    vi.spyOn(fs, 'watch')
      .mockReturnValueOnce(fakes[0].watcher)
      .mockReturnValueOnce(fakes[1].watcher)
    onTestFinished(() => void vi.restoreAllMocks())
    const watch = new ControlWatch('/somewhere', 'linux')
    const told: string[] = []
    watch.start(() => void told.push('first'), unexpected)
    watch.start(() => void told.push('second'), unexpected)
    for (const { emitter } of fakes) emitter.emit('change', 'change', 'streambed.control')
    watch.stop()
    watch.stop()
    for (const { emitter } of fakes) emitter.emit('change', 'rename', 'streambed.control')
    expect(told).toEqual(['second'])
    expect(fakes.map(({ isClosed }) => isClosed)).toEqual([true, true])
  })

  it.runIf(canCountResources)('leaves nothing open, however often it was started', () => {
    const directory = temporaryDirectory()
    fs.writeFileSync(join(directory, 'streambed.control'), '')
    const first = new ControlWatch(directory, 'darwin')
    first.start(() => undefined, unexpected) // Its queue stays with the event loop.
    first.stop()
    const before = [descriptorCount(), inotifyWatchCount()]
    for (let round = 0; round < 2000; round++) {
      const watch = new ControlWatch(directory, round % 2 === 0 ? 'linux' : 'darwin')
      watch.start(() => undefined, unexpected)
      if (round % 3 === 0) watch.start(() => undefined, unexpected)
      watch.stop()
    }
    expect([descriptorCount(), inotifyWatchCount()]).toEqual(before)
  })
})

/** Watches in all inotify queues of this process. */
function inotifyWatchCount(): number {
  const found = fs.readdirSync('/proc/self/fdinfo').map((fd) => {
    try {
      return fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').split('inotify wd:').length - 1
    } catch {
      return 0 // The one that this directory was listed through.
    }
  })
  return found.reduce((sum, count) => sum + count, 0)
}
