/**
 * WakeSource: what says that the writer of a followed log has published something: a watch on the
 * control file, or memory that threads share. A watch may miss some; a poll (follow-schedule.ts)
 * finds what it missed.
 */

/** See the file's header. */
export interface WakeSource {
  /** Misses nothing, what came just before `start` included: no poll is needed behind it. */
  readonly isComplete?: boolean
  /**
   * Calls `onWake` from now on, at least once behind every publication that it notices. Where it
   * cannot, or no longer can, it calls `onFailure`, once.
   */
  start(onWake: () => void, onFailure: (cause: unknown) => void): void
  /** Calls nothing any more; `start` may be called again. */
  stop(): void
}
