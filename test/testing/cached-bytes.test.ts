/**
 * What a crash may leave of one file, against a model that keeps every version: after each write,
 * the bytes as they were, and which of the versions is on the disk.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CachedBytes, PAGE_BYTES } from '../../src/testing/cached-bytes.ts'
import type { Survival, TearBytes } from '../../src/testing/survival.ts'
import { SeededRandom } from '../support/seeded-random.ts'

type Step =
  | { readonly kind: 'write'; readonly position: number; readonly byteLength: number }
  | { readonly kind: 'append'; readonly byteLength: number }
  | { readonly kind: 'resize'; readonly sizeBytes: number }
  | { readonly kind: 'flush' }
  | { readonly kind: 'late flush'; readonly steps: number }

const steps = fc.array(
  fc.oneof<fc.Arbitrary<Step>[]>(
    fc.record({
      kind: fc.constant('write' as const),
      position: fc.nat(12_000),
      byteLength: fc.integer({ min: 1, max: 3_000 }),
    }),
    fc.record({
      kind: fc.constant('append' as const),
      byteLength: fc.integer({ min: 1, max: 900 }),
    }),
    fc.record({ kind: fc.constant('resize' as const), sizeBytes: fc.nat(14_000) }),
    fc.record({ kind: fc.constant('flush' as const) }),
    fc.record({ kind: fc.constant('late flush' as const), steps: fc.nat(3) }),
  ),
  { maxLength: 24 },
)

/** A file with every version it had since the one on the disk, which is the first. */
class FileModel {
  readonly file: CachedBytes = new CachedBytes()
  versions: Buffer[] = [Buffer.alloc(0)]
  #change = 0
  #pending: { readonly last: number; readonly version: Buffer; left: number }[] = []

  get now(): Buffer {
    return this.versions.at(-1) ?? Buffer.alloc(0)
  }

  run(all: readonly Step[]): void {
    for (const step of all) this.#step(step)
  }

  #step(step: Step): void {
    switch (step.kind) {
      case 'write':
        this.#write(step.position, step.byteLength)
        break
      case 'append':
        this.#write(this.now.length, step.byteLength)
        break
      case 'resize': {
        const next = Buffer.alloc(step.sizeBytes)
        this.now.copy(next)
        this.file.resize(++this.#change, step.sizeBytes)
        this.versions.push(next)
        break
      }
      case 'flush':
        this.file.endFlush(this.#change)
        this.versions = [this.now]
        this.#pending = []
        break
      case 'late flush':
        this.#pending.push({ last: this.#change, version: this.now, left: step.steps })
    }
    for (const flush of this.#pending) flush.left -= 1
    for (const { last, version, left } of this.#pending) {
      if (left >= 0) continue
      this.file.endFlush(last)
      // A later one may have covered it.
      this.versions = this.versions.slice(Math.max(0, this.versions.indexOf(version)))
    }
    this.#pending = this.#pending.filter(({ left }) => left >= 0)
  }

  #write(position: number, byteLength: number): void {
    const change = ++this.#change
    const bytes = Buffer.alloc(byteLength, 1 + (change % 255))
    const next = Buffer.alloc(Math.max(this.now.length, position + byteLength))
    this.now.copy(next)
    bytes.copy(next, position)
    this.file.write(change, bytes, 0, byteLength, position, 'arrives')
    this.versions.push(next)
  }
}

function contentOf(file: CachedBytes): Buffer {
  const bytes = Buffer.alloc(file.sizeBytes)
  file.read(bytes, 0, bytes.length, 0)
  return bytes
}

function crash(file: CachedBytes, survival: Survival, tearBytes: TearBytes, seed: number): Buffer {
  const random = new SeededRandom(seed)
  file.crash({ survival, tearBytes, random, lastKept: random.below(30) })
  return contentOf(file)
}

/** The granules of `left`, each of which some version has there. */
function isMadeOf(left: Buffer, versions: readonly Buffer[], granuleBytes: number): boolean {
  for (let start = 0; start < left.length; start += granuleBytes) {
    const end = Math.min(start + granuleBytes, left.length)
    const granule = left.subarray(start, end)
    const isKnown = versions.some((version) => sized(version, end).subarray(start).equals(granule))
    if (!isKnown) return false
  }
  return versions.some(({ length }) => length === left.length)
}

const seed = fc.nat()
const tear = fc.constantFrom<TearBytes>(512, 4096)

describe('a file in the page cache', () => {
  it('is read as it was written, whatever of it is on the disk', () => {
    fc.assert(
      fc.property(steps, (all) => {
        const model = new FileModel()
        model.run(all)
        expect(contentOf(model.file).equals(model.now)).toBe(true)
      }),
    )
  })

  it('is after a crash that keeps nothing as the last flush left it, and all of it after one that keeps all', () => {
    fc.assert(
      fc.property(steps, tear, (all, tearBytes) => {
        const [none, every] = [new FileModel(), new FileModel()]
        for (const model of [none, every]) model.run(all)
        expect(crash(none.file, 'none', tearBytes, 0).equals(none.versions[0] ?? none.now)).toBe(
          true,
        )
        expect(crash(every.file, 'all', tearBytes, 0).equals(every.now)).toBe(true)
      }),
    )
  })

  it.each(['prefix', 'files'] as const)(
    'is after a crash that keeps a prefix (%s) one of its versions, with a part of the next',
    (survival) => {
      fc.assert(
        fc.property(steps, tear, seed, (all, tearBytes, chance) => {
          const model = new FileModel()
          model.run(all)
          const left = crash(model.file, survival, tearBytes, chance)
          const isVersion = model.versions.some((version, index) => {
            const next = model.versions[index + 1] ?? version
            return left.equals(version) || isMadeOf(left, [version, next], tearBytes)
          })
          expect(isVersion).toBe(true)
        }),
      )
    },
  )

  it('is after a crash that keeps some granules made of what was there before and after', () => {
    fc.assert(
      fc.property(steps, tear, seed, (all, tearBytes, chance) => {
        const model = new FileModel()
        model.run(all)
        const [disk = model.now] = model.versions
        const left = crash(model.file, 'some', tearBytes, chance)
        const both = [disk, model.now].map((version) => sized(version, left.length))
        expect(isMadeOf(left, both, tearBytes)).toBe(true)
        expect(model.versions.map(({ length }) => length)).toContain(left.length)
      }),
    )
  })

  it('needs no more notes than what is dirty, however often it is written over', () => {
    const { file } = new FileModel()
    const bytes = Buffer.alloc(64, 1)
    file.write(1, bytes, 0, 64, 0, 'arrives')
    file.endFlush(1)
    for (let change = 2; change < 20_000; change++) {
      file.write(change, Buffer.alloc(64, change), 0, 64, (change % 4) * 64, 'arrives')
    }
    const left = crash(file, 'none', 512, 0)
    expect(left.equals(bytes)).toBe(true)
  })

  it('that only grows keeps its end where a crash keeps nothing, after any number of appends', () => {
    const { file } = new FileModel()
    for (let change = 1; change < 20_000; change++) {
      file.write(change, Buffer.alloc(10, 7), 0, 10, file.sizeBytes, 'arrives')
      if (change === 100) file.endFlush(change)
    }
    expect(crash(file, 'none', 512, 0)).toEqual(Buffer.alloc(1_000, 7))
  })
})

describe('a failed flush', () => {
  const OLD = Buffer.alloc(PAGE_BYTES * 2, 1)
  const NEW = Buffer.alloc(100, 2)

  function dropped(readable: boolean): CachedBytes {
    const file = new CachedBytes()
    file.write(1, OLD, 0, OLD.length, 0, 'arrives')
    file.endFlush(1)
    file.write(2, NEW, 0, NEW.length, 50, 'arrives')
    file.dropDirty(readable)
    return file
  }

  it('leaves bytes that are read until they leave the cache, and that no later flush brings back', () => {
    const file = dropped(true)
    expect(contentOf(file).subarray(50, 150).equals(NEW)).toBe(true)
    file.endFlush(2)
    file.evict()
    expect(contentOf(file).equals(OLD)).toBe(true)
  })

  it('shows the disk at once where the kernel throws the pages away', () => {
    expect(contentOf(dropped(false)).equals(OLD)).toBe(true)
  })

  it('is made good by a write to the same page, which makes all of it dirty', () => {
    const file = dropped(true)
    file.write(3, Buffer.from('x'), 0, 1, 4_000, 'arrives')
    file.endFlush(3)
    file.evict()
    expect(contentOf(file).subarray(50, 150).equals(NEW)).toBe(true)
    expect(crash(file, 'none', 512, 0)[4_000]).toBe('x'.charCodeAt(0))
  })

  it('leaves what a crash finds as it was before', () => {
    expect(crash(dropped(true), 'all', 512, 0).equals(OLD)).toBe(true)
  })
})

describe('a flipped bit', () => {
  it('is seen when its page leaves the cache, and written over where the page is dirty', () => {
    const file = new CachedBytes()
    file.write(1, Buffer.alloc(PAGE_BYTES * 2), 0, PAGE_BYTES * 2, 0, 'arrives')
    expect(file.flipBit(3, 1)).toBe(false)
    file.endFlush(1)
    expect(file.flipBit(3, 1)).toBe(true)
    expect(contentOf(file)[3]).toBe(0)
    file.evict()
    expect(contentOf(file)[3]).toBe(2)
  })
})

/** `version` cut or grown with zeros. */
function sized(version: Buffer, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  version.copy(bytes)
  return bytes
}
