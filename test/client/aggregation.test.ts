/**
 * A program of several processes and threads over one log, from beginning to end: who may write
 * writes, whoever else attaches or sends, and all of them end by themselves.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it, onTestFinished } from 'vitest'
import { compileToPlainSource } from '../support/plain-source.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const CHILD = compileToPlainSource(
  fileURLToPath(new URL('./aggregation-child.ts', import.meta.url)),
)
afterAll(() => CHILD.remove())

it('children send, their parent appends, and a worker that is attached finds every error', async () => {
  const child = spawn(process.execPath, [CHILD.path, temporaryDirectory()])
  onTestFinished(() => void child.kill('SIGKILL'))
  const exit = once(child, 'exit')
  const [said, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
  expect(errors).toBe('')
  const alerts = ['host-0', 'host-1'].flatMap((host) =>
    [0, 10, 20, 30, 40].map((number) => `${host} ${number} ERROR`),
  )
  expect(JSON.parse(said)).toEqual({ raised: alerts.toSorted(), code: 0 })
  expect((await exit)[0]).toBe(0)
})
