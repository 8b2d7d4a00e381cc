/**
 * Files and folders of a log that its own user may not read any more, one at a time: what cannot be
 * read is refused and named, nothing is taken for missing, and once the permission is back
 * everything is there.
 */
import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { canBeNobody, NOBODY, nobodyNote } from '../support/nobody.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const CHILD = compileToPlainSource(fileURLToPath(new URL('permissions-child.ts', import.meta.url)))
afterAll(() => CHILD.remove())

describe.skipIf(!canBeNobody)(`a log without a permission${nobodyNote}`, () => {
  it.each(['closed', 'killed'])('that was %s is refused, and whole when it is back', (stop) => {
    const home = temporaryDirectory()
    chownSync(home, NOBODY, NOBODY)
    const child = spawnSync(process.execPath, [CHILD.path, join(home, 'log'), stop], {
      uid: NOBODY,
      gid: NOBODY,
      cwd: '/',
      encoding: 'utf8',
    })
    expect(child.stderr).toBe('')
    const { counts, failures } = JSON.parse(child.stdout) as {
      readonly counts: Readonly<Record<string, number>>
      readonly failures: readonly string[]
    } // The child wrote it.
    process.stdout.write(`without a permission, ${stop}: ${JSON.stringify(counts)}\n`)
    expect(failures).toEqual([])
  })
})
