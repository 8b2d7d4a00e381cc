/**
 * A turn of the event loop: what is waited for where something else is to be let in between, or
 * where what was handed over has to arrive.
 */

/** Resolves with the next turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
