/** Boot identity: what can be proved about a process, and that nothing else is claimed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  bootId,
  isSameBoot,
  ownIdentity,
  parseProcessStat,
  processIsAlive,
  processStart,
} from '../../src/storage/boot-identity.ts'

const onLinux = process.platform === 'linux'

/** A stat line with a command name that looks like the end of one. */
function statLine(state: string, threads: number): string {
  return `42 (a) b (c) ${state} 1 42 42 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 ${threads} 0 165021 1 2 3`
}

describe('parseProcessStat', () => {
  it('counts fields from the last parenthesis of the command name', () => {
    expect(parseProcessStat(statLine('S', 11))).toEqual({ hasEnded: false, start: '165021' })
  })

  it('takes a zombie for ended only when it was the last thread', () => {
    expect(parseProcessStat(statLine('Z', 1))?.hasEnded).toBe(true)
    expect(parseProcessStat(statLine('Z', 2))?.hasEnded).toBe(false)
  })

  it.each(['', '42', '42 (node)', '42 (node) S 1 2 3'])('refuses %j', (text) => {
    expect(parseProcessStat(text)).toBeNull()
  })
})

describe('processIsAlive', () => {
  const own = ownIdentity()

  it.runIf(onLinux)('proves that this process lives', () => {
    expect(processIsAlive(own)).toBe('alive')
    expect(bootId()).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim())
  })

  it('takes a process for dead once it has ended, and its pid for free', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'])
    await once(child, 'spawn')
    const pid = child.pid ?? 0
    const identity = { ...own, pid, processStart: processStart(pid) }
    if (onLinux) expect(processIsAlive(identity)).toBe('alive')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(processIsAlive(identity)).toBe('dead')
  })

  it.runIf(onLinux)('takes a process for dead that has ended and is not waited for', async () => {
    // Never comes back to its event loop, where it would learn that its child has ended.
    const parent = spawn(
      process.execPath,
      [
        '-e',
        `
      const { pid } = require('node:child_process').spawn('true')
      require('node:fs').writeSync(1, String(pid))
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
    `,
      ],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    )
    const [line] = (await once(parent.stdout, 'data')) as [Buffer] // `data` of a stream of bytes
    const pid = Number(line.toString())
    while (!/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(processIsAlive({ ...own, pid, processStart: '1' })).toBe('dead')
    parent.kill('SIGKILL')
  })

  it.runIf(onLinux)('takes another process that was given the pid for another one', () => {
    expect(processIsAlive({ ...own, processStart: '1' })).toBe('dead')
  })

  it.runIf(onLinux)('takes every process of another boot for dead', () => {
    expect(processIsAlive({ ...own, bootId: 'another' })).toBe('dead')
  })

  it('knows nothing of another pid namespace, unknown boot or unknown start', () => {
    expect(processIsAlive({ ...own, pidNamespace: 'pid:[1]' })).toBe('unknown')
    expect(processIsAlive({ ...own, bootId: null }, { ...own, bootId: 'one' })).toBe('unknown')
    expect(processIsAlive({ ...own, processStart: null })).toBe('unknown')
    const elsewhere = { ...own, bootId: null, host: 'elsewhere' }
    expect(processIsAlive(elsewhere, { ...own, bootId: null })).toBe('unknown')
  })

  it.each([0, -1, 1.5, Number.NaN, 2 ** 60])('never asks about pid %d', (pid) => {
    expect(processIsAlive({ ...own, pid })).toBe('dead')
  })
})

describe('isSameBoot', () => {
  it('goes by the boot id, and by the host only where there is none', () => {
    expect(isSameBoot({ bootId: 'a', host: 'x' }, { bootId: 'a', host: 'y' })).toBe(true)
    expect(isSameBoot({ bootId: 'a', host: 'x' }, { bootId: 'b', host: 'x' })).toBe(false)
    expect(isSameBoot({ bootId: null, host: 'x' }, { bootId: null, host: 'x' })).toBe(true)
    expect(isSameBoot({ bootId: null, host: 'x' }, { bootId: null, host: 'y' })).toBe(false)
    expect(isSameBoot({ bootId: null, host: 'x' }, { bootId: 'a', host: 'x' })).toBe(false)
  })
})
