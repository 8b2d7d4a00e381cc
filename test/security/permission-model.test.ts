/**
 * Under Node's permission model a log on disk opens, keeps what it acknowledged and says what it
 * goes without; where Node refuses every sync, it is refused at the open and not at the first loss.
 * STREAMBED_NODES names other versions of Node to run with, as in test/stress.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { PermissionRefusal, PermissionReport } from './permission-child.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CHILD = compileToPlainSource(fileURLToPath(new URL('./permission-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

const PER_RUN = 300
const otherNodes = (process.env['STREAMBED_NODES'] ?? '').split(delimiter).filter(Boolean)
const NODES = [process.execPath, ...otherNodes].map((node) => {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  return { node, version, major: Number(/\d+/.exec(version)?.[0]) }
})
const WITH_SYNCS = NODES.filter(({ major }) => major <= 24)
const WITHOUT_SYNCS = NODES.filter(({ major }) => major > 24)
const onLinux = process.platform === 'linux'

describe.each(WITH_SYNCS)('the permission model of Node $version', (runtime) => {
  it('lets a log open, keep its records, and open again, with positioned reads', () => {
    const directory = dataDirectory()
    const first = run(runtime, directory)
    const again = run(runtime, directory)
    expect(first).toMatchObject({ found: 0, clean: true, warnings: [] })
    expect(again).toMatchObject({
      found: PER_RUN,
      ends: ['0', '299'],
      clean: true,
      guarantees: { reads: 'pread', lock: onLinux ? 'kernel' : 'portable' },
      warnings: [],
    })
    expect(JSON.stringify(again)).toMatch(/readsReason":"[^"]*permission model/)
  })

  it.runIf(onLinux)('keeps what was acknowledged when the process is killed', () => {
    const directory = dataDirectory()
    run(runtime, directory, ['--allow-fs-read=/proc/*'], 'kill')
    expect(run(runtime, directory, ['--allow-fs-read=/proc/*'])).toMatchObject({
      found: PER_RUN,
      clean: false,
    })
  })

  it.runIf(onLinux)('says what to do where it hides whether the last writer is dead', async () => {
    const directory = dataDirectory()
    run(runtime, directory, [], 'kill')
    expectRefusal(run(runtime, directory), 'LOCKED', /--allow-fs-read=\/proc/)
    await EventLog.breakLock(directory)
    expect(run(runtime, directory)).toMatchObject({ found: PER_RUN })
  })

  it.runIf(nativeBinding() !== null)('maps and locks as ever where it lets addons in', () => {
    const directory = dataDirectory()
    run(runtime, directory, ['--allow-addons'])
    expect(run(runtime, directory, ['--allow-addons'])).toMatchObject({
      found: PER_RUN,
      guarantees: { reads: 'mmap', lock: 'kernel' },
    })
  })

  it('refuses a directory that it may not write to, and names the permission', () => {
    const directory = dataDirectory()
    const refused = run(runtime, directory, ['--allow-fs-read=/nowhere'], 'close', '/nowhere')
    expectRefusal(refused, 'READ_ONLY', /--allow-fs-write/)
  })
})

describe.runIf(WITHOUT_SYNCS.length > 0).each(WITHOUT_SYNCS)(
  'the permission model of Node $version',
  (runtime) => {
    it('refuses the open: nothing could be made durable', () => {
      expectRefusal(run(runtime, dataDirectory()), 'READ_ONLY', /--allow-addons/)
    })

    it.runIf(onLinux && nativeBinding() !== null)(
      'syncs by the binding where addons are let in',
      () => {
        const directory = dataDirectory()
        const allowed = ['--allow-addons', '--allow-fs-read=/proc/*']
        run(runtime, directory, allowed, 'kill')
        expect(run(runtime, directory, allowed)).toMatchObject({ found: PER_RUN, clean: false })
      },
    )
  },
)

function expectRefusal(
  report: PermissionReport | PermissionRefusal,
  code: string,
  says: RegExp,
): void {
  expect(report).toMatchObject({ code })
  expect(JSON.stringify(report)).toMatch(says)
}

function dataDirectory(): string {
  const directory = join(temporaryDirectory(), 'log')
  mkdirSync(directory)
  return directory
}

function run(
  { node, major }: { readonly node: string; readonly major: number },
  directory: string,
  allowed: readonly string[] = [],
  end: 'close' | 'kill' = 'close',
  writable: string = directory,
): PermissionReport | PermissionRefusal {
  const model = [
    major === 20 ? '--experimental-permission' : '--permission',
    `--allow-fs-read=${ROOT}*`,
    `--allow-fs-read=${writable}*`,
    `--allow-fs-write=${writable}*`,
    '--no-warnings',
  ]
  const options = [...model, ...allowed, CHILD.path, directory, end]
  const child = spawnSync(node, options, { encoding: 'utf8' })
  const isExpectedEnd = child.signal === (end === 'kill' ? 'SIGKILL' : null)
  if (!isExpectedEnd || child.stdout === '') throw new Error(child.stderr + child.stdout)
  // `as`: the child prints one line, and it is one of the two.
  return JSON.parse(child.stdout) as PermissionReport | PermissionRefusal
}
