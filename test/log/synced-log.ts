/**
 * A log for tests of syncs: which files were synced, in which order, how many at a time, and what
 * happens while one is held.
 */
import type { TopicConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { DiskCall } from '../../src/testing/disk-faults.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { openLog } from './open-log.ts'

/** A log whose syncs are counted, and held while `gate` is there. */
export class SyncedLog {
  readonly driver: FaultDriver = new FaultDriver()
  readonly clock: FakeClock = new FakeClock()
  /** Paths synced, in order. */
  readonly synced: string[] = []
  running = 0
  mostRunning = 0
  gate: Promise<void> | undefined
  /** The next sync of a .log is held. */
  holdAtLog = false
  #open: (() => void) | undefined

  static async open(
    config: TopicConfig,
  ): Promise<{ readonly held: SyncedLog; readonly log: LogDirectory }> {
    const held = new SyncedLog()
    const { log } = await openLog(held.driver, { clock: held.clock })
    await runProcedure(log.createTopic('t', { preallocate: false, ...config }))
    held.driver.onCall = (call) => held.#note(call)
    held.driver.flushWait = async () => {
      held.running += 1
      held.mostRunning = Math.max(held.mostRunning, held.running)
      await held.gate
      held.running -= 1
    }
    return { held, log }
  }

  /** Syncs that begin from now on end with `release`. */
  hold(): void {
    this.gate = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  async release(): Promise<void> {
    this.gate = undefined
    this.#open?.()
    await nextTurn()
  }

  #note({ action, path }: DiskCall): undefined {
    if (action === 'flush' || action === 'flushDirectory') this.synced.push(path)
    if (!this.holdAtLog || action !== 'flush' || !path.endsWith('.log')) return undefined
    this.holdAtLog = false
    this.hold()
    return undefined
  }
}
