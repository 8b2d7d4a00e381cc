/**
 * Running a child as a user without rights, to see what a directory without permission does: root
 * itself may write anywhere. Needs to be root, and a checkout that this user can read.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The user that owns nothing. */
export const NOBODY = 65_534

const LOOK = "require('node:fs').readFileSync(process.argv[1])"

/** Whether a child can be started as nobody. */
export const canBeNobody: boolean = process.getuid?.() === 0 && canRead()

/** For the name of a test that needs it. */
export const nobodyNote: string = canBeNobody
  ? ''
  : ' (skipped: not root, or nobody cannot read this checkout)'

function canRead(): boolean {
  const own = fileURLToPath(import.meta.url)
  return spawnSync(process.execPath, ['-e', LOOK, own], { uid: NOBODY, cwd: '/' }).status === 0
}
