/**
 * A disk whose flushes of .log files end when the test says so, and whose writes to them fail when
 * it says so.
 */
import type { DiskFault } from '../../src/testing/disk-faults.ts'
import type { HeldCall } from '../../src/testing/disk-machine.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'

/** See the file's header. */
export class HeldDisk {
  readonly driver: FaultDriver = new FaultDriver()
  /** Flushes of .log files wait in `flushes`; else they end by themselves. */
  holds = true
  /** What the next writes to .log files meet. */
  writeFailure: DiskFault | undefined

  constructor() {
    const { driver } = this
    driver.machine.holds = ({ action, path }) =>
      this.holds && action === 'flush' && path.endsWith('.log')
    driver.onCall = ({ action, path }) =>
      action === 'write' && path.endsWith('.log') ? this.writeFailure : undefined
  }

  /** Flushes that have not ended, in the order in which they came. */
  get flushes(): readonly HeldCall[] {
    return this.driver.machine.held
  }

  /** Ends every flush that is held. */
  endFlushes(): void {
    for (const flush of this.flushes) flush.end()
  }
}
