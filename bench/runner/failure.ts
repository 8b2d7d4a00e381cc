/**
 * Why something failed, in one line that can be kept with the results: without the paths of the
 * machine that it failed on.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CHECKOUT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const MAX_LENGTH = 300

/** One line about an error; `directory` is where it was measured. */
export function reasonOf(error: unknown, directory: string): string {
  const line = lineOf(error)
    .replaceAll(directory, '<directory>')
    .replaceAll(CHECKOUT, '.')
    .replaceAll('file://', '')
    .trim()
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line
}

/** What a process printed before it ended says more than that it did. */
function lineOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message } = error
  if ('killed' in error && error.killed === true) return 'did not end in time'
  const printed = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr : ''
  const lines = printed.split('\n').filter((line) => line.trim() !== '')
  const named = lines.find((line) => /^\s*(?:\w+ )?\[?\w*Error\b/.test(line))
  if (named !== undefined) return named
  if ('signal' in error && typeof error.signal === 'string') return `ended by ${error.signal}`
  return lines[0] ?? message.split('\n')[0] ?? ''
}
