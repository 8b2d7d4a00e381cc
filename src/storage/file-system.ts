/**
 * What kind of file system a directory lies on, as far as durability depends on it.
 *
 * On Linux statfs names it by a number, and /proc/self/mountinfo tells what that leaves open: what
 * is behind FUSE, and mounts whose syncs do nothing. Elsewhere, and where /proc is not shown, only
 * what statfs says is known, and nothing is assumed.
 */
import { readFileSync, statfsSync, statSync } from 'node:fs'

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
  [0xca451a4e, 'bcachefs'],
  [0x3434, 'nilfs'],
  [0xf15f, 'ecryptfs'],
  [0x6969, 'nfs'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x01021997, '9p'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
  [0x5346414f, 'afs'],
  [0x73757245, 'coda'],
  [0x7461636f, 'ocfs2'],
  [0x01161970, 'gfs2'],
  [0x786f4256, 'vboxsf'],
])
/** Other machines may write there as well. */
const NETWORK: ReadonlySet<string> = new Set([
  ...['nfs', 'cifs', 'smb2', 'smb', '9p', 'ceph', 'lustre', 'afs', 'coda', 'ocfs2', 'gfs2'],
  ...['vboxsf', 'virtiofs'],
  ...['sshfs', 's3fs', 'rclone', 'gcsfuse', 'goofys', 'glusterfs', 'davfs'].map(
    (name) => `fuse.${name}`,
  ),
])
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
  if (process.platform !== 'linux') return ofName(`${process.platform}:${type}`)
  const name = NAMES.get(type >>> 0) ?? `0x${(type >>> 0).toString(16)}`
  const mount = mountOf(directory)
  if (mount === undefined) return ofName(name)
  const isVolatile = mount.options.some((option) => SYNCS_NOTHING.has(option)) || isOnMemory(mount)
  return ofName(name === 'fuse' ? mount.type : name, isVolatile)
}

/** Options under which a sync that succeeds says nothing about stable storage. */
const SYNCS_NOTHING: ReadonlySet<string> = new Set([
  'volatile',
  'fsync=volatile',
  'nobarrier',
  'barrier=0',
])
const UPPER = 'upperdir='

/** A line of mountinfo. */
interface Mount {
  readonly type: string
  readonly options: readonly string[]
}

function ofName(name: string, isVolatile: boolean = false): FileSystemKind {
  return { name, isNetwork: NETWORK.has(name), isVolatile: isVolatile || VOLATILE.has(name) }
}

/** What is written on an overlay is written to its upper directory, which may be in memory. */
function isOnMemory({ type, options }: Mount): boolean {
  const upper = options.find((option) => option.startsWith(UPPER))?.slice(UPPER.length)
  if (type !== 'overlay' || upper === undefined) return false
  try {
    return VOLATILE.has(NAMES.get(statfsSync(upper).type >>> 0) ?? '')
  } catch {
    return false // Not to be seen from here, as in a container.
  }
}

/** The mount with the directory's device; undefined where that is not shown. */
function mountOf(directory: string): Mount | undefined {
  try {
    const device = deviceOf(directory)
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    // <id> <parent> <device> <root> <mount point> <options> [<tag>]... - <type> <source> <options>
    const line = lines.findLast((one) => one.split(' ', 3)[2] === device)
    if (line === undefined) return undefined
    const [before = '', after = ''] = line.split(' - ')
    const [type = '', , superOptions = ''] = after.split(' ')
    const options = `${before.split(' ')[5] ?? ''},${superOptions}`.split(',')
    return { type, options }
  } catch {
    return undefined
  }
}

/** As mountinfo writes it; numbers are packed as in glibc's `major` and `minor`. */
function deviceOf(directory: string): string {
  const { dev } = statSync(directory, { bigint: true })
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn)
  return `${major}:${minor & 0xffff_ffffn}`
}
