/**
 * How the files of a log are read: chosen by the option `io`, as far as this machine can.
 *
 *   'pread'  positioned reads, nothing else
 *   'auto'   small reads through memory mappings where they are frequent, else positioned reads; no
 *            mappings on a network file system, where another machine may cut a file under them
 *   'mmap'   through memory mappings whatever can be; like 'auto', nothing in a worker thread
 *
 * Bytes handed out are copies in every case. Only what no longer changes is mapped: sealed
 * segments, and the whole batches of active ones.
 */
import { hasPermissionModel } from '../storage/device-sync.ts'
import type { FileSystemKind } from '../storage/file-system.ts'
import { MappingPool } from '../storage/mapping-pool.ts'
import type { MappingRefusal } from '../storage/mapping-probe.ts'
import type { CheckedLogOptions } from './log-options.ts'

/** How a log reads, and why. */
export interface ReadMethod {
  readonly kind: 'mmap' | 'pread' | 'memory'
  readonly reason: string
}

/** Of a log in memory. */
export const MEMORY_READS: ReadMethod = { kind: 'memory', reason: 'the log is in memory' }

const REFUSALS: Readonly<Record<MappingRefusal, string>> = {
  'no-binding':
    'the package koffi is not installed, cannot be loaded here, or has no mappings here',
  unsupported: 'this file system or this engine does not map files',
  mismatch: 'mappings of this file system show other bytes than reads of it',
  'worker-thread': 'this is a worker thread, which would leave its mappings behind if terminated',
}

const FORBIDDEN = "Node's permission model lets no addon in, so nothing can be mapped"

/** The mappings that a log may use once they are tried; undefined where it is not to use any. */
export function mappingsFor(
  io: CheckedLogOptions['io'],
  { isNetwork }: FileSystemKind,
): MappingPool | undefined {
  if (io === 'pread' || (io === 'auto' && isNetwork)) return undefined
  return new MappingPool(io === 'auto' ? 'points' : 'everything')
}

/** Tries the mappings on `file`, which holds something and is never cut, and says what is used. */
export function tryMappings(
  io: CheckedLogOptions['io'],
  mappings: MappingPool | undefined,
  file: string,
): ReadMethod {
  if (mappings === undefined) {
    const reason = io === 'pread' ? "io is 'pread'" : 'another machine may change these files'
    return { kind: 'pread', reason }
  }
  const refusal = mappings.enable(file)
  if (refusal !== null) {
    const isForbidden = refusal === 'no-binding' && hasPermissionModel()
    return { kind: 'pread', reason: isForbidden ? FORBIDDEN : REFUSALS[refusal] }
  }
  const reason =
    io === 'auto'
      ? 'frequent small reads of files go through mappings, all others are positioned'
      : "io is 'mmap'"
  return { kind: 'mmap', reason }
}
