/**
 * Lets format/ read the one file of the zstd package that it needs on Node.js before 22.15: only
 * storage/ opens files. Nothing is read until a batch with zstd is first written or read.
 */
import { readFileSync } from 'node:fs'
import { allowZstdPackage } from '../format/zstd-wasm.ts'

/** Called when a log is opened, on disk or in memory; calling it again is free. */
export function enableZstdPackage(): void {
  allowZstdPackage(readFileSync)
}
