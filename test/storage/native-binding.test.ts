/** The native binding: file locks as the kernel gives them, and null where koffi is not there. */
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { nativeBinding } from '../../src/storage/native-binding.ts'

const binding = nativeBinding()
const whyNot = binding === null ? ' (skipped: koffi is not installed or not for this platform)' : ''

describe('nativeBinding', () => {
  let directory = ''
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'streambed-native-'))
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  it('is loaded once', () => {
    expect(nativeBinding()).toBe(binding)
  })

  it('is not even tried in Electron', async () => {
    vi.resetModules()
    vi.stubGlobal('process', { ...process, versions: { ...process.versions, electron: '30.0.0' } })
    const fresh = await import('../../src/storage/native-binding.ts')
    expect(fresh.nativeBinding()).toBeNull()
    vi.unstubAllGlobals()
  })

  it.skipIf(binding === null)(`locks a file for one open of it at a time${whyNot}`, () => {
    const file = join(directory, '.lock')
    const [one, other] = [openSync(file, 'w+'), openSync(file, 'r+')]
    expect(binding?.lockFile(one)).toBe('locked')
    expect(binding?.lockFile(one)).toBe('locked')
    expect(binding?.lockFile(other)).toBe('held')
    expect(binding?.fileLockHolder(other)).toBeNull()
    // A POSIX lock would be gone now: some other descriptor of the file was closed.
    closeSync(openSync(file, 'r'))
    expect(binding?.lockFile(other)).toBe('held')
    closeSync(one)
    expect(binding?.lockFile(other)).toBe('locked')
    closeSync(other)
  })

  it.skipIf(binding === null)(`says so where a descriptor cannot be locked${whyNot}`, () => {
    const descriptor = openSync(directory, 'r')
    expect(binding?.lockFile(descriptor)).toBe('unsupported')
    closeSync(descriptor)
    expect(binding?.lockFile(descriptor)).toBe('unsupported')
  })

  it.skipIf(binding === null)(`allocates zeros behind the end of a file${whyNot}`, () => {
    const descriptor = openSync(join(directory, 'grown'), 'w+')
    writeSync(descriptor, 'abc')
    expect(binding?.allocate(descriptor, 3, 8192)).toBe('done')
    const { size, blocks } = fstatSync(descriptor)
    expect(size).toBe(8195)
    expect(blocks * 512).toBeGreaterThanOrEqual(8195)
    expect(readFileSync(join(directory, 'grown')).subarray(0, 4).toString()).toBe('abc\0')
    closeSync(descriptor)
  })

  it.skipIf(binding === null)(`tells a full disk from one that cannot allocate${whyNot}`, () => {
    const descriptor = openSync(join(directory, 'grown'), 'w+')
    expect(binding?.allocate(descriptor, 0, 2 ** 52)).toBe('full')
    closeSync(descriptor)
    expect(binding?.allocate(descriptor, 0, 1)).toBe('unsupported')
  })
})
