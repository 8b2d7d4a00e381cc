/**
 * Zeros: what free space of a .log reads as. They are written ahead of batches, and compared with
 * what lies behind them.
 */

/** 64 KiB of them, which nobody changes. */
export const ZEROS: Buffer = Buffer.alloc(65_536)
