/**
 * The tests that run for each mutant: those of the scope (scopes.mjs), in one thread.
 */
import { chosenScope } from './scopes.mjs'

export default {
  test: {
    include: chosenScope(process.env).tests,
    setupFiles: ['test/support/property-runs.ts'],
    testTimeout: 60_000,
  },
}
