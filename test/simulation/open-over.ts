/**
 * Opens an EventLog over any driver, as EventLog.open does over a directory: without the lock,
 * which is the kernel's and has tests between processes of its own.
 */
import { EventLog } from '../../src/client/event-log.ts'
import { LogHost } from '../../src/client/log-host.ts'
import { checkLogOptions, type MemoryLogOptions } from '../../src/client/log-options.ts'
import { warnOfRecovery, warnTo } from '../../src/client/log-warnings.ts'
import { openLogDirectory } from '../../src/log/directory-open.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'

/** The log that `driver` holds; on failure the driver is closed. */
export async function openOver(
  driver: StorageDriver,
  bootId: string,
  options: MemoryLogOptions,
): Promise<EventLog> {
  const checked = checkLogOptions(options, 'disk', 'openOver')
  const warn = warnTo(checked.onWarning)
  const events: { host?: LogHost } = {}
  try {
    const { log: engine, report } = await runProcedure(
      openLogDirectory({
        driver,
        bootId,
        clock: checked.clock,
        randomBytes: checked.randomBytes,
        onPartitionFailed: (partition, error) => events.host?.partitionFailed(partition, error),
        onRolled: () => events.host?.rolled(),
      }),
    )
    const host = new LogHost(engine, checked, {}, warn)
    events.host = host
    warnOfRecovery(warn, report)
    host.start()
    const log: unknown = Reflect.construct(EventLog, [{ host, place: null, report }])
    return log as EventLog // What its constructor made, which is private to its callers.
  } catch (error) {
    driver.close()
    throw error
  }
}
