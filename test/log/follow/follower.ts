/** A log that a test follows: with a clock, wakes and a writer's lock that are moved by hand. */
import { nextTurn } from '../../../src/log/clock.ts'
import { FollowedLog } from '../../../src/log/follow/followed-log.ts'
import type { WakeSource } from '../../../src/log/follow/wake-source.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'

/** Wakes by hand; says whether anybody listens. */
export class HandWake implements WakeSource {
  onWake: (() => void) | undefined
  onFailure: ((cause: unknown) => void) | undefined
  starts = 0

  start(onWake: () => void, onFailure: (cause: unknown) => void): void {
    this.onWake = onWake
    this.onFailure = onFailure
    this.starts += 1
  }

  stop(): void {
    this.onWake = undefined
  }
}

/** A followed log and what it runs on. */
export interface Follower {
  readonly log: FollowedLog
  readonly clock: FakeClock
  readonly hand: HandWake
  readonly fallbacks: unknown[]
  /** Somebody holds the writer's lock. */
  isWriterAlive: boolean
  /** As a watch of the control file does; resolves when the log has looked. */
  wake(): Promise<void>
}

/** Follows what `driver` holds; a machine of one boot unless told. */
export async function follow(
  driver: StorageDriver,
  machine: {
    readonly bootId?: string
    readonly isWriterAlive?: boolean
    readonly clock?: FakeClock
  } = {},
): Promise<Follower> {
  const { bootId = 'boot', isWriterAlive = true, clock = new FakeClock() } = machine
  const hand = new HandWake()
  const fallbacks: unknown[] = []
  const follower = { isWriterAlive, clock, hand, fallbacks }
  const opening = FollowedLog.open({
    driver,
    bootId,
    clock,
    wake: hand,
    hasLiveWriter: () => follower.isWriterAlive,
    onFallback: (cause) => void fallbacks.push(cause),
  })
  return Object.assign(follower, {
    log: await runProcedure(opening),
    async wake(): Promise<void> {
      hand.onWake?.()
      await nextTurn()
    },
  })
}
