/**
 * A process that kills itself at its nth call that changes files: at moments that a kill from
 * outside meets once in a million times, such as between a rename and the sync of its directory.
 * Takes the place of functions of node:fs, so it is for processes that do nothing else.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const REPORT_DESCRIPTOR = 3

/** From now on; writes are torn in the middle. */
export function killAtCall(calls: number): void {
  let left = calls
  const count = (last: () => void = () => undefined): void => {
    left -= 1
    if (left >= 0) return
    last()
    process.kill(process.pid, 'SIGKILL')
  }
  const before = <A extends readonly unknown[], R>(
    call: (...args: A) => R,
  ): ((...args: A) => R) => {
    return (...args) => {
      count()
      return call(...args)
    }
  }
  const { writeSync } = fs
  const tearing = (
    fd: number,
    bytes: NodeJS.ArrayBufferView,
    start: number,
    length: number,
    at: number | null,
  ): number => {
    if (fd !== REPORT_DESCRIPTOR) count(() => writeSync(fd, bytes, start, length >> 1, at))
    return writeSync(fd, bytes, start, length, at)
  }
  const { promises } = fs
  Object.assign(fs, {
    writeSync: tearing,
    openSync: before(fs.openSync),
    ftruncateSync: before(fs.ftruncateSync),
    renameSync: before(fs.renameSync),
    mkdirSync: before(fs.mkdirSync),
    unlinkSync: before(fs.unlinkSync),
    linkSync: before(fs.linkSync),
    writeFileSync: before(fs.writeFileSync),
    fsyncSync: before(fs.fsyncSync),
    // The overloads of these are not asked for: what comes is passed on.
    fdatasync: before(fs.fdatasync as (...args: unknown[]) => void),
  })
  Object.assign(promises, {
    open: before(promises.open),
    unlink: before(promises.unlink),
    rm: before(promises.rm),
  })
  syncBuiltinESMExports()
}
