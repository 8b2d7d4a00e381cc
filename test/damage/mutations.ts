/**
 * Everything that can happen to one file of a stored log, one thing at a time. What a mutation is
 * and how many there are follows from the bytes alone, so a run can be told by its numbers.
 */
import type { StoredLog } from './stored-log.ts'

/** A way in which files go wrong. */
export const MUTATION_KINDS = [
  'a byte flipped',
  'cut short',
  'missing',
  'zeroed',
  'swapped with another',
  'there twice',
  'garbage',
  'longer',
  'a directory',
] as const

/** One of them. */
export type MutationKind = (typeof MUTATION_KINDS)[number]

/** One damage to one file. */
export interface Mutation {
  readonly kind: MutationKind
  /** The file, or the folder. */
  readonly path: string
  readonly what: string
  readonly apply: (stored: Map<string, Buffer | null>) => void
}

const MASKS = [0x01, 0x80, 0x55, 0xff]
const GARBAGE: readonly string[] = [
  '\0\0\0\0\0\0\0\0',
  '{}',
  '{"format":1}',
  '[',
  '0\n1\n',
  '0\n0\n',
  '0\n1\norders 0 99999999\n',
  '0\n1\norders 0 9007199254740991\n',
  '0\n1\nnobody 7 5\n',
  '0\n2\n0 0\n2147483647 1\n',
  '0\n1\n5 9007199254740991\n',
  'version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg',
  '['.repeat(20_000),
  '\u{1f4a5}'.repeat(50),
  'x'.repeat(3000),
]

/** Every mutation of every file of `stored`, in order. */
export function* mutationsOf(stored: StoredLog): Generator<Mutation> {
  const files = [...stored].flatMap(([path, bytes]) => (bytes === null ? [] : [{ path, bytes }]))
  for (const { path, bytes } of files) {
    for (let at = 0; at < bytes.length; at++) yield flipped(path, at, MASKS[at % 4] ?? 1)
    for (let size = 0; size < bytes.length; size++) yield cut(path, size)
    yield { kind: 'missing', path, what: 'no file', apply: (log) => log.delete(path) }
    yield change('zeroed', path, 'all of it', () => Buffer.alloc(bytes.length))
    for (const at of [0, 16, 512]) {
      if (at < bytes.length) yield change('zeroed', path, `from ${at}`, (old) => zeroed(old, at))
    }
    yield* othersOf(files, path)
    yield* copiesOf(stored, path, bytes)
    for (const text of GARBAGE) {
      const what = JSON.stringify(text.slice(0, 30))
      yield change('garbage', path, what, () => Buffer.from(text))
    }
    for (const seed of [1, 2, 3]) {
      yield change('garbage', path, `noise ${seed}`, (old) => noise(old.length, seed))
    }
    yield change('longer', path, 'by zeros', (old) => Buffer.concat([old, Buffer.alloc(100)]))
    yield change('longer', path, 'by noise', (old) => Buffer.concat([old, noise(100, 4)]))
    yield change('longer', path, 'by itself', (old) => Buffer.concat([old, old]))
    yield change('a directory', path, 'in its place', () => null)
  }
  for (const [path, bytes] of stored) {
    // Only our metadata.json tells that there was such a folder.
    if (bytes !== null || !stored.has('metadata.json')) continue
    const apply = (log: Map<string, Buffer | null>): void => {
      for (const name of [...log.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) log.delete(name)
      }
    }
    yield { kind: 'missing', path, what: 'the folder', apply }
  }
}

function change(
  kind: MutationKind,
  path: string,
  what: string,
  to: (old: Buffer) => Buffer | null,
): Mutation {
  const apply = (log: Map<string, Buffer | null>): void => {
    log.set(path, to(log.get(path) ?? Buffer.alloc(0)))
  }
  return { kind, path, what, apply }
}

function flipped(path: string, at: number, mask: number): Mutation {
  return change('a byte flipped', path, `byte ${at} by ${mask}`, (old) => {
    const bytes = Buffer.from(old)
    bytes[at] = (bytes[at] ?? 0) ^ mask
    return bytes
  })
}

function cut(path: string, sizeBytes: number): Mutation {
  return change('cut short', path, `at ${sizeBytes}`, (old) => old.subarray(0, sizeBytes))
}

function zeroed(old: Buffer, at: number): Buffer {
  const bytes = Buffer.from(old)
  return bytes.fill(0, at, Math.min(at + 512, bytes.length))
}

function* othersOf(
  files: readonly { readonly path: string; readonly bytes: Buffer }[],
  path: string,
): Generator<Mutation> {
  for (const other of files) {
    if (other.path <= path || endingOf(other.path) !== endingOf(path)) continue
    // A batch does not say of which partition it is: the same offsets of another one pass for it.
    if (endingOf(path) === '.log' && nameOf(other.path) === nameOf(path)) continue
    const apply = (log: Map<string, Buffer | null>): void => {
      const [mine, its] = [log.get(path) ?? null, log.get(other.path) ?? null]
      log.set(path, its)
      log.set(other.path, mine)
    }
    yield { kind: 'swapped with another', path, what: other.path, apply }
  }
}

function nameOf(path: string): string {
  return path.replace(/^.*\//, '')
}

function endingOf(path: string): string {
  return /\.[a-z]+$/.exec(path)?.[0] ?? nameOf(path)
}

/** A copy beside it: of a segment under the names of other offsets. */
function* copiesOf(stored: StoredLog, path: string, bytes: Buffer): Generator<Mutation> {
  const parsed = /^(.*\/)(\d{20})(\.[a-z]+)$/.exec(path)
  const names: string[] = []
  if (parsed !== null) {
    const [, folder = '', digits = '', ending = ''] = parsed
    for (const distance of [1, 3, 8, 100, 1_000_000]) {
      names.push(`${folder}${String(Number(digits) + distance).padStart(20, '0')}${ending}`)
    }
  }
  names.push(`${path}.tmp`, `${path}.copy`)
  for (const name of names) {
    if (stored.has(name)) continue
    const apply = (log: Map<string, Buffer | null>): void => void log.set(name, bytes)
    yield { kind: 'there twice', path, what: `as ${name.replace(/^.*\//, '')}`, apply }
  }
}

function noise(byteLength: number, seed: number): Buffer {
  const bytes = Buffer.alloc(byteLength)
  let state = seed * 2_654_435_761
  for (let at = 0; at < byteLength; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[at] = state >>> 16
  }
  return bytes
}
