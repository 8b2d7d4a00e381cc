/**
 * Runs a procedure once per call it makes to the disk, ends it there by a kill or a power cut, and
 * shows what is left: the exhaustive twin of random crashes. A run tries a kill at each call and
 * some of the ways in which the power goes, by turns; a night all (STREAMBED_CRASH_ENDS).
 */
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { FaultDriver } from '../../src/testing/fault-driver.ts'
import { budget } from './budget.ts'
import { SeededRandom } from './seeded-random.ts'

/** How it ends: 'names' keeps every change of a name, and of the bytes only what was synced. */
const ENDS = ['kill', 'none', 'names', 'all', 'some', 'prefix'] as const

/** How many states are left of each call. */
export const STATES_A_CALL: number = Math.min(budget.crashEnds, ENDS.length)

type End = (typeof ENDS)[number]

/** What is left after a crash. */
export interface CrashState {
  readonly kind: End
  /** The call that the crash came at, for messages; Infinity when the procedure was through. */
  readonly stoppedAt: number
  readonly driver: StorageDriver
}

/**
 * Stops `procedure` at each call, and once at its end, each time on what `prepare` leaves behind;
 * yields what is left each time, in each of the ways of its turn.
 */
export async function* everyCrash(
  prepare: (driver: StorageDriver) => Procedure<unknown>,
  procedure: (driver: StorageDriver) => Procedure<unknown>,
): AsyncGenerator<CrashState> {
  for (let stopAt = 0, hasEnded = false; !hasEnded; stopAt++) {
    for (const kind of endsOfTurn(ENDS, stopAt)) {
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
      const random = new SeededRandom(stopAt * ENDS.length + ENDS.indexOf(kind))
      const left = kind === 'kill' ? driver.processKill() : driver.powerCut(random, kind)
      const stoppedAt = hasEnded ? Number.POSITIVE_INFINITY : stopAt
      yield { kind, stoppedAt, driver: left }
    }
  }
}

/** The first of the ways, and so many in all that the others come by turns. */
export function endsOfTurn<Way>(
  [first, ...others]: readonly [Way, ...Way[]],
  turn: number,
  most: number = budget.crashEnds,
): readonly Way[] {
  const count = Math.min(most - 1, others.length)
  const begin = others.length === 0 ? 0 : (turn * count) % others.length
  return [first, ...[...others, ...others].slice(begin, begin + count)]
}
