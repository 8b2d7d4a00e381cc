/**
 * Whether a file system can be read through mappings here: tried once, on a file that is there.
 *
 * A mapping is made, compared with what a positioned read gives, detached and removed again. Some
 * network and user-space file systems refuse shared mappings or show old bytes; some engines accept
 * no memory from outside. Any doubt is a refusal, and a refusal is final for the log.
 *
 * Nor does a worker thread map: one that is terminated runs nothing any more, and what it had
 * mapped stays, with the space of files that were deleted since, until the process ends.
 */
import fs from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { MappedWindow } from './mapped-window.ts'
import type { NativeBinding } from './native-binding.ts'

/** Why a log does not map. */
export type MappingRefusal =
  /** No koffi: not installed, not allowed to load, or not for this platform. */
  | 'no-binding'
  /** This kernel, file system or engine. */
  | 'unsupported'
  /** The mapping shows other bytes than a read. */
  | 'mismatch'
  /** Nobody unmaps what a terminated worker leaves. */
  | 'worker-thread'

/** Bytes compared: one page, where the file is that long. */
const PROBE_BYTES = 4096

/** Tries to map `file`, which holds something; null where that works. */
export function probeMapping(native: NativeBinding | null, file: string): MappingRefusal | null {
  if (native === null) return 'no-binding'
  if (!isMainThread) return 'worker-thread'
  let descriptor: number | undefined
  try {
    descriptor = fs.openSync(file, 'r')
    return compare(native, descriptor)
  } catch {
    return 'unsupported'
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor)
  }
}

function compare(native: NativeBinding, descriptor: number): MappingRefusal | null {
  const read = Buffer.alloc(PROBE_BYTES)
  const byteLength = fs.readSync(descriptor, read, 0, PROBE_BYTES, 0)
  if (byteLength === 0) return 'unsupported'
  const window = MappedWindow.map(native, descriptor, 0, byteLength)
  if (window === undefined) return 'unsupported'
  const isSame = window.bytes.equals(read.subarray(0, byteLength))
  const view = window.bytes
  window.close()
  if (view.byteLength > 0) return 'unsupported' // It cannot be detached, so never safely unmapped.
  return isSame ? null : 'mismatch'
}
