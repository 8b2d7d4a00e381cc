/** The sample log as a kill leaves it: written by a process of its own, nothing closed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ExpectedRecords } from './sample-log.ts'

const CHILD = fileURLToPath(new URL('sample-log-child.ts', import.meta.url))

/** Writes the log in `directory`; returns what is in it. */
export async function writeKilledLog(directory: string): Promise<ExpectedRecords> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, directory], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    child.kill('SIGKILL')
    await ended
    return JSON.parse(line) as ExpectedRecords // as the child printed them
  }
  throw new Error('the child ended before it was done')
}
