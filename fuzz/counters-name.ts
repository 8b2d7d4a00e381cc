/**
 * The name of the global byte array that instrumented code counts in. In a file of its own,
 * because the compiler of that code (instrument.ts) and the thread that runs it share it.
 */

/** A property of `globalThis`. */
export const COUNTERS_NAME = '__streambedFuzzCounters'
