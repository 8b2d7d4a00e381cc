/**
 * What only a process of its own shows of consumers: what keeps it alive, what a kill leaves, and
 * that a consumer nobody holds any more leaves its group.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { compileToPlainSource } from '../../support/plain-source.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'
import { committedIn, offsetsOf } from './group-log.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('consumer-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

interface Child {
  readonly process: ChildProcess
  /** All that it said, once it has ended. */
  readonly output: Promise<string>
  /** Resolves when it has said `text`. */
  said(text: string): Promise<void>
}

function start(what: string, directory: string): Child {
  const child = spawn(process.execPath, [CHILD.path, what, directory])
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

describe('a process with a consumer', () => {
  it('ends by itself while nothing is asked of the consumer', async () => {
    const child = start('idle', temporaryDirectory())
    expect(await child.output).toBe('idle\n')
  })

  it('is kept alive by a loop that waits, until the log closes', async () => {
    const child = start('waits', temporaryDirectory())
    await child.said('still there')
    child.process.kill('SIGTERM')
    expect(await child.output).toBe('still there\nthe loop has ended\nended\n')
    expect(child.process.exitCode).toBe(0)
  })

  it('is not kept alive by a loop over a log in memory', async () => {
    expect(await start('waits in memory', '').output).toBe('ended\n')
  })

  it('finds what it committed after a kill, and what it did not comes again', async () => {
    const directory = temporaryDirectory()
    const child = start('commits', directory)
    await child.said('committed')
    child.process.kill('SIGKILL')
    await child.output
    const log = await EventLog.open(directory)
    closeWhenDone(log)
    expect(committedIn(log)).toBe(3)
    const consumer = await log.consumerGroup('g', { topics: ['t'] }).join()
    expect(offsetsOf(await consumer.poll())).toEqual([3, 4])
    await consumer.leave()
    await log.close()
    const again = await EventLog.open(directory)
    closeWhenDone(again)
    expect(committedIn(again)).toBe(5)
  })

  it('loses the members whose consumers it has lost, and none that waits', async () => {
    const child = start('forgets', temporaryDirectory())
    expect(await child.output).toBe('0 members\n1 members, 1 records\n')
  })

  it('holds no batches of partitions in which it waits', async () => {
    const child = start('catches up', temporaryDirectory())
    const { bytes } = JSON.parse(await child.output) as { bytes: number } // Ours to shape.
    expect(bytes).toBeLessThan(100 * 65_536)
  })
})
