/**
 * What only several processes show: the lock between them, what keeps one alive and what does not,
 * and how much memory a reader keeps.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { canBeNobody, NOBODY, nobodyNote } from '../support/nobody.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { closeWhenDone, texts } from './open-log.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('log-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

const ANY_NUMBER: unknown = expect.any(Number)

interface Child {
  readonly process: ChildProcess
  /** All that it said, once it has ended by itself or by `signal`. */
  readonly output: Promise<string>
  /** Resolves when it has said `text`. */
  said(text: string): Promise<void>
}

interface ChildOptions {
  readonly uid?: number
}

function start(what: string, directory: string, options: ChildOptions = {}): Child {
  const child = spawn(process.execPath, [CHILD.path, what, directory], options)
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr.pipe(process.stderr)
  return {
    process: child,
    output: once(child, 'close').then(() => output),
    async said(text) {
      while (!output.includes(text)) await once(child.stdout, 'data')
    },
  }
}

describe('a process', () => {
  it('is told which other one has the log', async () => {
    const directory = temporaryDirectory()
    const log = await EventLog.open(directory)
    closeWhenDone(log)
    const said: unknown = JSON.parse(await start('refused', directory).output)
    expect(said).toEqual({
      code: 'LOCKED',
      details: { pid: process.pid, startedAt: ANY_NUMBER, directory },
    })
  })

  it.runIf(canBeNobody)(`is refused a directory it may not write${nobodyNote}`, async () => {
    const closed = join(temporaryDirectory(), 'closed')
    mkdirSync(closed, { mode: 0o555 })
    chmodSync(dirname(closed), 0o755)
    for (const directory of [closed, join(closed, 'log')]) {
      const said = await start('refused', directory, { uid: NOBODY }).output
      expect(JSON.parse(said)).toMatchObject({ code: 'READ_ONLY' })
    }
    expect(readdirSync(closed)).toEqual([])
  })

  it('ends by itself while a log is being compacted, and leaves all of it', async () => {
    const directory = temporaryDirectory()
    const child = start('is looked after', directory)
    expect(await child.output).toBe('idle\nended\n')
    expect(child.process.exitCode).toBe(0)
    const log = await EventLog.open(directory)
    expect(log.topic('t').partition(0).get(19)?.key?.toString()).toBe('k')
    await log.close()
  })

  it('goes on until housekeeping that it waits for is over', async () => {
    const child = start('waits for housekeeping', temporaryDirectory())
    expect(await child.output).toBe('compacted 1\n')
    expect(child.process.exitCode).toBe(0)
  })

  it('ends by itself while an idle log is open, and leaves the log free', async () => {
    const directory = temporaryDirectory()
    const child = start('idle', directory)
    expect(await child.output).toBe('idle\n')
    expect(child.process.exitCode).toBe(0)
    const log = await EventLog.open(directory)
    expect(texts(log.topic('t').partition(0).records())).toEqual(['x'])
    await log.close()
  })

  it('is kept alive by a read that waits, until the log closes', async () => {
    const child = start('waits', temporaryDirectory())
    await child.said('still there')
    child.process.kill('SIGTERM')
    expect(await child.output).toBe('still there\nthe read has ended\nended\n')
    expect(child.process.exitCode).toBe(0)
  })

  it('is not kept alive by a read of a log in memory', async () => {
    const child = start('waits in memory', '')
    expect(await child.output).toBe('ended\n')
  })

  it('is kept alive by a transaction that waits for another, not by one that is open', async () => {
    const directory = temporaryDirectory()
    const child = start('transactions', directory)
    expect(await child.output).toBe('TRANSACTION_ABORTED\nidle\n')
    expect(child.process.exitCode).toBe(0)
    const log = await EventLog.open(directory)
    const committed = log.topic('t').partition(0).records({ isolation: 'read_committed' })
    expect(texts(committed)).toEqual(['x', 'y'])
    await log.close()
  })

  it('does not keep megabytes alive by the small values that it keeps', async () => {
    const child = start('keeps small values', temporaryDirectory())
    // Ours to shape.
    const { kept, bytes } = JSON.parse(await child.output) as { kept: number; bytes: number }
    expect(kept).toBe(500)
    expect(bytes).toBeLessThan(8_000_000)
  })
})
