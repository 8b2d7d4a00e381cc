/**
 * What a loss of power may leave of a TraceDisk: everything that was synced, and of each change
 * since then all, nothing or a part. Files and directories reach the disk in any order, a file's
 * bytes in sectors of 512 bytes or pages of 4 KiB in any order, its size apart from its bytes.
 */
import type { SeededRandom } from '../support/seeded-random.ts'
import type {
  DiskImage,
  FileChange,
  NameChange,
  TraceDirectory,
  TraceDisk,
  TraceFile,
} from './trace-disk.ts'

const SECTOR_BYTES = 512
const PAGE_BYTES = 4_096
/** Of many changes alike, so many are tried one by one. */
const MOST_OF_A_KIND = 12

/** One way in which a disk may come back. */
export interface Survival {
  readonly name: string
  readonly image: () => DiskImage
}

/** What is kept of a change that no sync has covered. */
interface Choice {
  readonly keepsName: (change: NameChange) => boolean
  /** Whether the disk has the bytes of a change from `from` to `to`, which lie in one sector. */
  readonly keepsBytes: (change: FileChange, from: number, to: number) => boolean
  /** One of `sizes`: as the disk has it, then after each change, in order. */
  readonly sizeOf: (sizes: readonly number[], file: TraceFile) => number
}

const NO = (): boolean => false
const YES = (): boolean => true
const OLD_SIZE = (sizes: readonly number[]): number => sizes[0] ?? 0
const NEW_SIZE = (sizes: readonly number[]): number => sizes.at(-1) ?? 0

const NOTHING: Choice = { keepsName: NO, keepsBytes: NO, sizeOf: OLD_SIZE }
const ALL: Choice = { keepsName: YES, keepsBytes: YES, sizeOf: NEW_SIZE }

/**
 * The ways that are worth trying each time, the two extremes first; where nothing is unsynced there
 * is one.
 */
export function survivalsOf(disk: TraceDisk): readonly Survival[] {
  const { files, names } = unsyncedOf(disk)
  if (files.length === 0 && names.length === 0) {
    return [{ name: 'nothing unsynced', image: () => imageOf(disk, NOTHING) }]
  }
  const choices: (readonly [name: string, choice: Choice])[] = [
    ['nothing unsynced', NOTHING],
    ['all', ALL],
  ]
  if (files.length > 0 && names.length > 0) {
    choices.push(['bytes without names', { ...ALL, keepsName: NO }])
    choices.push(['names without bytes', { ...NOTHING, keepsName: YES }])
  }
  if (files.length > 0) {
    choices.push(['sizes without bytes', { ...ALL, keepsBytes: NO }])
    choices.push(['bytes without sizes', { ...ALL, sizeOf: OLD_SIZE }])
  }
  for (const [index, file] of files.slice(0, MOST_OF_A_KIND).entries()) {
    const isOther = (change: FileChange): boolean => !file.changes.includes(change)
    const isThis = (change: FileChange): boolean => !isOther(change)
    const oldSize: Choice['sizeOf'] = (sizes, of) => (of === file ? OLD_SIZE : NEW_SIZE)(sizes)
    const newSize: Choice['sizeOf'] = (sizes, of) => (of === file ? NEW_SIZE : OLD_SIZE)(sizes)
    choices.push([`all but file ${index}`, { ...ALL, keepsBytes: isOther, sizeOf: oldSize }])
    choices.push([`file ${index} alone`, { ...ALL, keepsBytes: isThis, sizeOf: newSize }])
  }
  for (const [index, left] of names.slice(-MOST_OF_A_KIND).entries()) {
    choices.push([`all but name ${index}`, { ...ALL, keepsName: (name) => name !== left }])
    choices.push([`name ${index} alone`, { ...NOTHING, keepsName: (name) => name === left }])
    choices.push([`names to ${index}`, { ...ALL, keepsName: (name) => name.at <= left.at }])
  }
  choices.push(...tearsOf(files))
  return choices.map(([name, choice]) => ({ name, image: () => imageOf(disk, choice) }))
}

/** Any other way. */
export function randomSurvival(disk: TraceDisk, random: SeededRandom): Survival {
  // Some disks keep most of it, others little.
  const share = random.oneOf(0.2, 0.5, 0.8, 0.95)
  const unitBytes = random.oneOf(SECTOR_BYTES, PAGE_BYTES)
  const chance = (): boolean => random.fraction() < share
  const units = new Map<FileChange, Map<number, boolean>>()
  const choice: Choice = {
    keepsName: chance,
    keepsBytes(change, from) {
      const kept = units.get(change) ?? new Map<number, boolean>()
      units.set(change, kept)
      const unit = Math.floor(from / unitBytes)
      const isKept = kept.get(unit) ?? chance()
      kept.set(unit, isKept)
      return isKept
    },
    sizeOf: (sizes) => sizes[random.below(sizes.length)] ?? 0,
  }
  return { name: `some, ${share} of it`, image: () => imageOf(disk, choice) }
}

/** The newest write, torn at its sectors: its start alone, or its end. */
function tearsOf(files: readonly TraceFile[]): readonly (readonly [string, Choice])[] {
  const changes = files.flatMap((file) => file.changes).filter(({ bytes }) => bytes.length > 0)
  const newest = changes.toSorted((one, other) => one.at - other.at).at(-1)
  if (newest === undefined) return []
  const { position, bytes } = newest
  const tears: (readonly [string, Choice])[] = []
  const first = Math.ceil((position + 1) / SECTOR_BYTES) * SECTOR_BYTES
  for (let at = first; at < position + bytes.length; at += SECTOR_BYTES) {
    if (tears.length >= 2 * MOST_OF_A_KIND) break
    const start: Choice = { ...ALL, keepsBytes: (change, _, to) => change !== newest || to <= at }
    const end: Choice = { ...ALL, keepsBytes: (change, from) => change !== newest || from >= at }
    tears.push([`torn after ${at}`, start], [`torn before ${at}`, end])
  }
  return tears
}

/** What no sync has covered, as far as a name may lead to it. */
function unsyncedOf(disk: TraceDisk): {
  readonly files: readonly TraceFile[]
  readonly names: readonly NameChange[]
} {
  const files = new Set<TraceFile>()
  const directories = new Set<TraceDirectory>([disk.root])
  // Grows while it is walked.
  for (const directory of directories) {
    for (const node of [...directory.disk.values(), ...directory.names.values()]) {
      if (node.kind === 'directory') directories.add(node)
      else if (node.changes.length > 0) files.add(node)
    }
  }
  const names = [...directories].flatMap((directory) => directory.changes)
  return { files: [...files], names: names.toSorted((one, other) => one.at - other.at) }
}

function imageOf(disk: TraceDisk, choice: Choice): DiskImage {
  const image = new Map<string, Buffer | null>()
  const show = (directory: TraceDirectory, prefix: string): void => {
    const names = new Map(directory.disk)
    for (const change of directory.changes) if (choice.keepsName(change)) change.apply(names)
    for (const [name, node] of names) {
      const path = prefix + name
      image.set(path, node.kind === 'directory' ? null : contentsOf(node, choice))
      if (node.kind === 'directory') show(node, `${path}/`)
    }
  }
  show(disk.root, '')
  return image
}

function contentsOf(file: TraceFile, choice: Choice): Buffer {
  const { disk, changes } = file
  if (changes.length === 0) return disk
  const sizes = [disk.length, ...changes.map(({ sizeBytes }) => sizeBytes)]
  const ends = changes.map(({ position, bytes }) => position + bytes.length)
  const bytes = Buffer.alloc(Math.max(...sizes, ...ends))
  disk.copy(bytes)
  for (const change of changes) {
    const end = change.position + change.bytes.length
    for (let from = change.position; from < end;) {
      const to = Math.min(end, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES)
      if (choice.keepsBytes(change, from, to)) {
        bytes.set(change.bytes.subarray(from - change.position, to - change.position), from)
      }
      from = to
    }
  }
  return bytes.subarray(0, choice.sizeOf(sizes, file))
}
