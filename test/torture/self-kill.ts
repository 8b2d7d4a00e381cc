/**
 * A process that kills itself at its nth call that changes files: at moments that a kill from
 * outside meets once in a million times, such as between a rename and the sync of its directory.
 */
import { constants } from 'node:fs'
import { REPORT_DESCRIPTOR, type KillPhase } from './crash-report.ts'
import { observeFsCalls, type FsCall } from './fs-calls.ts'

/** From now on; 'middle' tears a write and comes before any other call. */
export function killAtCall(calls: number, phase: KillPhase): void {
  let left = calls
  let fatal: FsCall | undefined
  observeFsCalls({
    begins(call) {
      if (!changesFiles(call)) return
      left -= 1
      if (left >= 0) return
      fatal ??= call
      if (phase === 'after') return
      if (phase === 'middle') writeHalf(call)
      die()
    },
    ends(call) {
      if (call === fatal) die()
    },
  })
}

/** Whether the disk is another one after the call: between two others a kill finds the same. */
function changesFiles({ effect, arguments: values }: FsCall): boolean {
  if (effect === 'close' || values[0] === REPORT_DESCRIPTOR) return false
  if (effect !== 'open') return true
  const flags = values[1] ?? 'r'
  return typeof flags === 'number' ? (flags & constants.O_CREAT) !== 0 : flags !== 'r'
}

function writeHalf({ name, arguments: values, make }: FsCall): void {
  if (name !== 'writeSync') return
  const [descriptor, bytes, start, byteLength, position] = values
  if (typeof byteLength === 'number') make(descriptor, bytes, start, byteLength >> 1, position)
}

function die(): void {
  process.kill(process.pid, 'SIGKILL')
}
