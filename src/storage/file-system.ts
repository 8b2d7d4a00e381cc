/**
 * What kind of file system a directory lies on, as far as durability depends on it.
 */
import { statfsSync } from 'node:fs'

/** Numbers that Linux gives its file systems (statfs f_type). */
const NAMES: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x9123683e, 'btrfs'],
  [0x58465342, 'xfs'],
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x794c7630, 'overlay'],
  [0x2fc12fc1, 'zfs'],
  [0xf2f52010, 'f2fs'],
  [0x4d44, 'vfat'],
  [0x2011bab0, 'exfat'],
  [0x5346544e, 'ntfs'],
  [0x65735546, 'fuse'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
])
const NETWORK: ReadonlySet<string> = new Set(['nfs', 'cifs', 'smb2', 'smb', '9p', 'ceph', 'lustre'])
const VOLATILE: ReadonlySet<string> = new Set(['tmpfs', 'ramfs'])

/** A file system as the kernel names it. */
export interface FileSystemKind {
  readonly name: string
  /** Another machine may write to it, and locks may not reach it. */
  readonly isNetwork: boolean
  /** Nothing on it survives a power cut. */
  readonly isVolatile: boolean
}

/** The file system that holds `directory`, which exists. */
export function fileSystemOf(directory: string): FileSystemKind {
  const { type } = statfsSync(directory)
  // Numbers are Linux's; elsewhere the same number means something else.
  const name =
    process.platform === 'linux'
      ? (NAMES.get(type >>> 0) ?? `0x${(type >>> 0).toString(16)}`)
      : `${process.platform}:${type}`
  return { name, isNetwork: NETWORK.has(name), isVolatile: VOLATILE.has(name) }
}
