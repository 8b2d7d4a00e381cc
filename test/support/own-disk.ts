/**
 * File systems of a test's own, small ones, mounted for it and gone with it: memory (tmpfs), a disk
 * in a file (ext4), and one laid over a directory (overlay), as in a container. Takes Linux, root,
 * and a machine that lets root mount; where it does not, `canMount` is false.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** What can be mounted. */
export type DiskKind = 'tmpfs' | 'ext4' | 'overlay'

const SMALLEST_BYTES = 4_194_304

/** How to mount, where it matters. */
export interface MountOptions {
  readonly options?: readonly string[]
  /** Of an overlay: where its layers lie. */
  readonly layersIn?: string
}

/** An empty directory on a file system of its own, unmounted when the test has finished. */
export function ownDisk(kind: DiskKind, bytes: number, how: MountOptions = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'streambed-disk-'))
  onTestFinished(() => {
    // Also of a disk that somebody still has a file open on: the kernel forgets it after that.
    spawnSync('umount', ['--lazy', join(home, 'disk')])
    rmSync(home, { recursive: true })
  })
  if (!mount(home, kind, bytes, how)) throw new Error(`${kind} cannot be mounted`)
  return join(home, 'disk')
}

/** Whether `ownDisk` works here for `kind`. */
export function canMount(kind: DiskKind): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const home = mkdtempSync(join(tmpdir(), 'streambed-disk-'))
  try {
    const isMounted = mount(home, kind, SMALLEST_BYTES, {})
    if (isMounted) spawnSync('umount', [join(home, 'disk')])
    return isMounted
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

function mount(home: string, kind: DiskKind, bytes: number, how: MountOptions): boolean {
  const more = (how.options ?? []).map((option) => `,${option}`).join('')
  const disk = join(home, 'disk')
  mkdirSync(disk)
  switch (kind) {
    case 'tmpfs':
      return succeeds('mount', [
        '-t',
        'tmpfs',
        '-o',
        `size=${bytes}${more}`,
        'streambed-test',
        disk,
      ])
    case 'ext4': {
      const image = join(home, 'image')
      writeFileSync(image, '')
      truncateSync(image, bytes)
      return (
        succeeds('mkfs.ext4', ['-q', '-F', '-m', '0', image]) &&
        succeeds('mount', ['-o', `loop${more}`, image, disk])
      )
    }
    case 'overlay': {
      const layers = ['lower', 'upper', 'work'].map((name) => join(how.layersIn ?? home, name))
      for (const layer of layers) mkdirSync(layer)
      const [lower, upper, work] = layers
      const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}${more}`
      return succeeds('mount', ['-t', 'overlay', '-o', options, 'overlay', disk])
    }
  }
}

function succeeds(command: string, words: readonly string[]): boolean {
  return spawnSync(command, words).status === 0
}
