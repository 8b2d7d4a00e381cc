/** Mapped windows: what is mapped, and that no view of it can hurt once it is closed. */
import { closeSync, mkdirSync, openSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import { MappedWindow } from '../../src/storage/mapped-window.ts'
import { type NativeBinding, nativeBinding } from '../../src/storage/native-binding.ts'
import { canCountResources, collectGarbage, mappingCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const native = nativeBinding()
const describeMapped = native === null ? describe.skip : describe
const whyNot = native === null ? ' (skipped: koffi is not installed or not for this platform)' : ''

const BLOCK = 65_536

describeMapped(`MappedWindow${whyNot}`, () => {
  it('shows the bytes of its part of the file', () => {
    const { path } = fileOf(3 * BLOCK)
    const window = mapped(path, BLOCK, BLOCK + 10)
    expect(window.position).toBe(BLOCK)
    expect(window.byteLength).toBe(BLOCK + 10)
    expect(window.bytes.equals(contentOf(3 * BLOCK).subarray(BLOCK, 2 * BLOCK + 10))).toBe(true)
    window.willNeed(0, window.byteLength)
  })

  it('still shows them when the file was closed and has lost its name', () => {
    const { path } = fileOf(100)
    const window = mapped(path, 0, 100)
    unlinkSync(path)
    expect(window.bytes.equals(contentOf(100))).toBe(true)
  })

  it('is undefined where the system refuses', () => {
    const { path, directory } = fileOf(100)
    const descriptor = opened(path)
    expect(map(descriptor, 4097, 10)).toBeUndefined()
    mkdirSync(join(directory, 'd'))
    expect(map(opened(join(directory, 'd')), 0, 10)).toBeUndefined()
    closeSync(descriptor)
    expect(map(descriptor, 0, 10)).toBeUndefined()
  })

  it('leaves every view empty when it is closed, whoever kept it', () => {
    const { path } = fileOf(BLOCK)
    const window = mapped(path, 0, BLOCK)
    const { bytes } = window
    const kept = [bytes, bytes.subarray(5, 50), new Uint8Array(bytes.buffer, 100, 10)]
    const view = new DataView(bytes.buffer, 8)
    window.close()
    for (const part of kept) {
      expect(part).toHaveLength(0)
      expect(part[0]).toBeUndefined()
    }
    expect(() => bytes.readInt32BE(0)).toThrow(RangeError)
    expect(() => view.getInt8(0)).toThrow(TypeError)
    expect(bytes.copy(Buffer.alloc(10))).toBe(0)
    expect(window.bytes).toHaveLength(0)
    expect(window.isClosed).toBe(true)
  })

  it('is closed once', () => {
    const { path } = fileOf(BLOCK)
    const window = mapped(path, 0, BLOCK)
    window.close()
    window.close()
    expect(() => window.willNeed(0, 1)).toThrow(InvariantError)
  })

  it.runIf(canCountResources)('unmaps when it is closed', () => {
    const { path, directory } = fileOf(BLOCK)
    const window = mapped(path, 0, BLOCK)
    expect(mappingCount(directory)).toBe(1)
    window.close()
    expect(mappingCount(directory)).toBe(0)
  })

  it.runIf(canCountResources)(
    'is unmapped by the garbage collector where nobody closed it, but not while a view is kept',
    async () => {
      const { path, directory } = fileOf(BLOCK)
      const kept = viewOfForgotten(path)
      await collectGarbage()
      expect(mappingCount(directory)).toBe(1)
      expect(kept.view?.equals(contentOf(BLOCK).subarray(0, 10))).toBe(true)
      kept.view = undefined
      await collectGarbage()
      expect(mappingCount(directory)).toBe(0)
    },
  )

  it('stays mapped, for the garbage collector, where it cannot be detached', () => {
    const { path } = fileOf(BLOCK)
    const unmapped: number[] = []
    const bytes = new ArrayBuffer(10)
    Object.defineProperty(bytes, 'transfer', { value: () => bytes })
    const stubborn: Pick<NativeBinding, 'mapFile' | 'unmap'> = {
      mapFile: () => ({ bytes, address: 4096, byteLength: 10 }),
      unmap: ({ address }) => unmapped.push(address),
    }
    // `as`: a window calls nothing else while it is made and closed.
    const window = MappedWindow.map(stubborn as NativeBinding, opened(path), 0, 10)
    window?.close()
    expect(window?.isClosed).toBe(true)
    expect(unmapped).toEqual([])
  })
})

function contentOf(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength)
  for (let at = 0; at < byteLength; at++) bytes[at] = (at * 31 + (at >>> 8)) & 0xff
  return bytes
}

function fileOf(byteLength: number): { readonly path: string; readonly directory: string } {
  const directory = temporaryDirectory()
  const path = join(directory, 'file')
  writeFileSync(path, contentOf(byteLength))
  return { path, directory }
}

function opened(path: string): number {
  const descriptor = openSync(path, 'r')
  onTestFinished(() => {
    try {
      closeSync(descriptor)
    } catch {} // Closed by the test.
  })
  return descriptor
}

function map(descriptor: number, position: number, byteLength: number): MappedWindow | undefined {
  return native === null ? undefined : MappedWindow.map(native, descriptor, position, byteLength)
}

/** The descriptor is closed at once: a mapping does not need it. */
function mapped(path: string, position: number, byteLength: number): MappedWindow {
  const descriptor = openSync(path, 'r')
  const window = map(descriptor, position, byteLength)
  closeSync(descriptor)
  if (window === undefined) throw new Error('not mapped')
  onTestFinished(() => window.close())
  return window
}

/** In a function of its own, so that nothing but the view is left. */
function viewOfForgotten(path: string): { view: Buffer | undefined } {
  const descriptor = openSync(path, 'r')
  const view = map(descriptor, 0, BLOCK)?.bytes.subarray(0, 10)
  closeSync(descriptor)
  return { view }
}
