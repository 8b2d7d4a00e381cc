/**
 * The model of a storage driver: a map from path to the bytes of a file, or to 'directory'. A
 * random history runs over the driver and the model; after each step both give the same answers.
 * An open file holds the model's object, so it outlives its name as the contract says.
 */
import fc from 'fast-check'
import { expect } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import type { StorageDriver, StorageFile } from '../../src/storage/storage-driver.ts'

/** One step of a history. */
export type StorageCommand =
  | { readonly kind: 'open'; readonly path: string; readonly mode: 'create' | 'write' | 'read' }
  | {
      readonly kind: 'write'
      readonly file: number
      readonly position: number
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'resize'; readonly file: number; readonly sizeBytes: number }
  | { readonly kind: 'flush'; readonly file: number }
  | { readonly kind: 'close'; readonly file: number }
  | { readonly kind: 'readAhead'; readonly file: number }
  | {
      readonly kind: 'createDirectory' | 'unlink' | 'removeDirectory' | 'list'
      readonly path: string
    }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }

const path = fc.constantFrom('a', 'b', 'd', 'e', 'd/a', 'd/b', 'd/f', 'e/a', 'd/f/a')
const fileNumber = fc.nat({ max: 5 })
/** Mostly near the start, sometimes around where a chunk of the memory driver ends. */
const position = fc.oneof(
  { weight: 3, arbitrary: fc.nat({ max: 40 }) },
  fc.integer({ min: 65_500, max: 65_570 }),
  fc.nat({ max: 200_000 }),
)

/** Random histories over a few paths, so that they meet often. */
export const storageModelCommands: fc.Arbitrary<readonly StorageCommand[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('open' as const),
        path,
        mode: fc.constantFrom('create' as const, 'write' as const, 'read' as const),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        file: fileNumber,
        position,
        bytes: fc.uint8Array({ maxLength: 60 }),
      }),
    },
    fc.record({ kind: fc.constant('resize' as const), file: fileNumber, sizeBytes: position }),
    fc.record({ kind: fc.constant('flush' as const), file: fileNumber }),
    fc.record({ kind: fc.constant('close' as const), file: fileNumber }),
    fc.record({ kind: fc.constant('readAhead' as const), file: fileNumber }),
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          'createDirectory' as const,
          'unlink' as const,
          'removeDirectory' as const,
          'list' as const,
        ),
        path,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('rename' as const), from: path, to: path }),
    },
  ),
  { maxLength: 40 },
)

interface ModelFile {
  bytes: Buffer
}
type ModelEntry = ModelFile | 'directory'
interface OpenPair {
  readonly file: StorageFile
  readonly model: ModelFile
  readonly writable: boolean
}

/** Runs a history over `driver`, which is empty, and compares after each step. */
export async function runStorageModel(
  driver: StorageDriver,
  commands: readonly StorageCommand[],
): Promise<void> {
  const entries = new Map<string, ModelEntry>()
  const pairs: OpenPair[] = []
  for (const command of commands) {
    await runCommand(driver, entries, pairs, command)
    for (const pair of pairs) expectSame(pair)
  }
  for (const [at, entry] of entries) {
    const status = driver.status(at)
    expect(status?.kind).toBe(entry === 'directory' ? 'directory' : 'file')
    if (entry !== 'directory') expect(status?.sizeBytes).toBe(entry.bytes.byteLength)
  }
}

async function runCommand(
  driver: StorageDriver,
  entries: Map<string, ModelEntry>,
  pairs: OpenPair[],
  command: StorageCommand,
): Promise<void> {
  switch (command.kind) {
    case 'open':
      return openBoth(driver, entries, pairs, command)
    case 'createDirectory': {
      const allowed = !entries.has(command.path) && hasParent(entries, command.path)
      await expectOutcome(allowed, () => driver.createDirectory(command.path))
      if (allowed) entries.set(command.path, 'directory')
      return
    }
    case 'list': {
      if (entries.get(command.path) !== 'directory')
        return expectOutcome(false, () => driver.list(command.path))
      expect(driver.list(command.path)).toEqual(childrenOf(entries, command.path))
      return
    }
    case 'unlink': {
      const entry = entries.get(command.path)
      const allowed = entry !== undefined && entry !== 'directory'
      await expectOutcome(allowed, () => driver.unlink(command.path))
      if (allowed) entries.delete(command.path)
      return
    }
    case 'removeDirectory': {
      const entry = entries.get(command.path)
      await expectOutcome(entry === undefined || entry === 'directory', () =>
        driver.removeDirectory(command.path),
      )
      if (entry === 'directory')
        for (const at of entries.keys()) if (isAtOrBelow(at, command.path)) entries.delete(at)
      return
    }
    case 'rename':
      return renameBoth(driver, entries, command)
    case 'write':
    case 'resize':
    case 'flush':
    case 'close':
    case 'readAhead':
      return runOnFile(pairs, command)
  }
}

async function runOnFile(
  pairs: OpenPair[],
  command: Extract<StorageCommand, { readonly file: number }>,
): Promise<void> {
  const index = command.file % Math.max(1, pairs.length)
  const pair = pairs[index]
  if (pair === undefined) return
  const { file, model, writable } = pair
  switch (command.kind) {
    case 'flush':
      return file.flush()
    case 'readAhead': {
      const from = model.bytes.byteLength >> 1
      expect(
        (await file.readAhead(from, 1_000)).equals(model.bytes.subarray(from, from + 1_000)),
      ).toBe(true)
      return
    }
    case 'close': {
      file.close()
      pairs.splice(index, 1)
      return
    }
    case 'resize': {
      if (!writable) return
      file.resize(command.sizeBytes)
      model.bytes = resized(model.bytes, command.sizeBytes)
      return
    }
    case 'write': {
      const { bytes } = command
      if (!writable) return
      file.write(bytes, 0, bytes.byteLength, command.position)
      if (bytes.byteLength === 0) return
      model.bytes = resized(
        model.bytes,
        Math.max(command.position + bytes.byteLength, model.bytes.byteLength),
      )
      model.bytes.set(bytes, command.position)
    }
  }
}

async function openBoth(
  driver: StorageDriver,
  entries: Map<string, ModelEntry>,
  pairs: OpenPair[],
  { path: at, mode }: Extract<StorageCommand, { readonly kind: 'open' }>,
): Promise<void> {
  const entry = entries.get(at)
  const allowed =
    mode === 'create'
      ? entry === undefined && hasParent(entries, at)
      : entry !== undefined && entry !== 'directory'
  let opened: StorageFile | undefined
  await expectOutcome(allowed, () => void (opened = driver.openFile(at, mode)))
  if (opened === undefined) return
  const model = entry === undefined || entry === 'directory' ? { bytes: Buffer.alloc(0) } : entry
  entries.set(at, model)
  pairs.push({ file: opened, model, writable: mode !== 'read' })
}

async function renameBoth(
  driver: StorageDriver,
  entries: Map<string, ModelEntry>,
  { from, to }: Extract<StorageCommand, { readonly kind: 'rename' }>,
): Promise<void> {
  const source = entries.get(from)
  const target = entries.get(to)
  const fits =
    target === undefined ||
    from === to ||
    (source === 'directory'
      ? target === 'directory' && childrenOf(entries, to).length === 0
      : target !== 'directory')
  const intoItself = source === 'directory' && from !== to && isAtOrBelow(to, from)
  const allowed = source !== undefined && hasParent(entries, to) && fits && !intoItself
  await expectOutcome(allowed, () => driver.rename(from, to))
  if (!allowed || from === to) return
  for (const [at, entry] of entries) {
    if (!isAtOrBelow(at, from)) continue
    entries.delete(at)
    entries.set(to + at.slice(from.length), entry)
  }
}

async function expectOutcome(allowed: boolean, call: () => unknown): Promise<void> {
  let failure: unknown
  try {
    await call()
  } catch (error) {
    if (!LogError.is(error, 'IO')) throw error
    failure = error
  }
  expect(failure === undefined).toBe(allowed)
}

function expectSame({ file, model }: OpenPair): void {
  expect(file.sizeBytes).toBe(model.bytes.byteLength)
  const target = Buffer.alloc(model.bytes.byteLength + 1)
  expect(file.read(target, 0, target.byteLength, 0)).toBe(model.bytes.byteLength)
  expect(target.subarray(0, model.bytes.byteLength).equals(model.bytes)).toBe(true)
}

function hasParent(entries: ReadonlyMap<string, ModelEntry>, at: string): boolean {
  const slash = at.lastIndexOf('/')
  return slash < 0 || entries.get(at.slice(0, slash)) === 'directory'
}

function childrenOf(entries: ReadonlyMap<string, ModelEntry>, directory: string): string[] {
  return [...entries.keys()]
    .filter((at) => at.startsWith(`${directory}/`) && !at.slice(directory.length + 1).includes('/'))
    .map((at) => at.slice(directory.length + 1))
    .sort()
}

function isAtOrBelow(at: string, directory: string): boolean {
  return at === directory || at.startsWith(`${directory}/`)
}

function resized(bytes: Buffer, sizeBytes: number): Buffer {
  const target = Buffer.alloc(sizeBytes)
  bytes.copy(target)
  return target
}
