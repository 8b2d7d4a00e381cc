/**
 * A directory of the test's own, removed with all it holds when the test has finished. Call it
 * inside a running test; a property that needs a fresh one per run calls it in each.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** The absolute path of a new, empty directory. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'streambed-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
