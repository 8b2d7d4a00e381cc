/**
 * Attaching to a log that another thread of this process has open: a read-only log of the same
 * directory, that the owner wakes through shared memory and that ends with its owner. Where the
 * owner is found out is log-owner.ts.
 *
 *   I1  once the owner closes, every call here is CLOSED, from the next one on
 *   I2  files are read by positioned reads alone: a thread may be terminated at any moment, and
 *       leaves nothing then (docs/decisions/106)
 */
import { systemClock } from '../log/clock.ts'
import { SignalledWake } from '../log/wake-signal.ts'
import { checkHandle, findOwner, ownerClosed } from './log-owner.ts'
import { openToRead, type OpenedLog } from './log-opening.ts'
import { checkLogOptions } from './log-options.ts'

/** What can be closed: the public handle of a log. */
interface Closable {
  close(): Promise<void>
}

/**
 * Opens the log behind `handle`, makes with `hold` what its user gets, and closes that when the
 * owner closes. On failure nothing stays open.
 *
 * @throws {LogError} INVALID_ARGUMENT for what is no handle, or another process's; CLOSED where the
 *   owner is closed; TIMEOUT where its thread does not answer; IO.
 */
export async function attachLog<L extends Closable>(
  handle: unknown,
  hold: (opened: OpenedLog) => L,
): Promise<L> {
  const checked = checkHandle(handle)
  const memory = await findOwner(checked, systemClock)
  let log: L | undefined
  // What fails to close is not read any more all the same: nothing was written.
  const wake = new SignalledWake(memory, () => void log?.close().catch(() => undefined))
  try {
    const options = checkLogOptions({ readOnly: true, io: 'pread' }, 'disk', 'EventLog.attach')
    const opened = await openToRead(checked.directory, options, wake)
    opened.host.onClosing(() => wake.release())
    log = hold(opened)
    if (!wake.isClosed) return log
    await log.close()
    throw ownerClosed(checked)
  } catch (error) {
    wake.release()
    throw wake.isClosed ? ownerClosed(checked) : error
  }
}
