/**
 * Runs a procedure once per call it makes to the disk, ends it there by a kill or a power cut, and
 * shows what is left: the exhaustive twin of random crashes.
 */
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { SeededRandom } from './seeded-random.ts'

/** How it ends: 'names' keeps every change of a name, and of the bytes only what was synced. */
const ENDS = ['kill', 'none', 'names', 'all', 'some', 'prefix'] as const

/** How many states are left of each call. */
export const STATES_A_CALL: number = ENDS.length

/** What is left after a crash. */
export interface CrashState {
  readonly kind: (typeof ENDS)[number]
  /** The call that the crash came at, for messages; Infinity when the procedure was through. */
  readonly stoppedAt: number
  readonly driver: StorageDriver
}

/**
 * Stops `procedure` at each call, and once at its end, each time on what `prepare` leaves behind;
 * yields what is left each time, in each of the ways.
 */
export async function* everyCrash(
  prepare: (driver: StorageDriver) => Procedure<unknown>,
  procedure: (driver: StorageDriver) => Procedure<unknown>,
): AsyncGenerator<CrashState> {
  for (let stopAt = 0, hasEnded = false; !hasEnded; stopAt++) {
    for (const [index, kind] of ENDS.entries()) {
      const driver = new FaultDriver()
      await runProcedure(prepare(driver))
      let callsLeft = stopAt
      driver.onCall = () => (callsLeft-- > 0 ? undefined : 'stop')
      hasEnded = await runProcedure(procedure(driver)).then(
        () => true,
        (error: unknown) => {
          if (!driver.isDead) throw error
          return false
        },
      )
      const random = new SeededRandom(stopAt * ENDS.length + index)
      const left = kind === 'kill' ? driver.processKill() : driver.powerCut(random, kind)
      const stoppedAt = hasEnded ? Number.POSITIVE_INFINITY : stopAt
      yield { kind, stoppedAt, driver: left }
    }
  }
}
