/**
 * The direction of imports in src/, as docs/architecture.md draws it: each import that goes up or
 * sideways fails here, with its file and line. The rules are in test/support/import-rules.ts, and
 * the first half of this file shows that they find what they are for.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importFindings } from './support/import-rules.ts'
import { CHECKOUT, SourceText, readSources, shown } from './support/source-text.ts'

const isFile = (path: string): boolean => existsSync(join(CHECKOUT, path))

/** What the rules say of a file at `path` with this text, in a tree where every file exists. */
function said(path: string, text: string): readonly string[] {
  return importFindings(new SourceText(path, text), () => true).map(({ message }) => message)
}

describe('the rules on imports', () => {
  it('let a layer import itself and what lies below it', () => {
    expect(said('src/log/a.ts', `import { b } from './b.ts'`)).toEqual([])
    expect(said('src/log/a.ts', `import type { B } from '../storage/b.ts'`)).toEqual([])
    expect(said('src/cli/a.ts', `import { b } from '../client/b.ts'`)).toEqual([])
    expect(said('src/index.ts', `export { b } from './client/b.ts'`)).toEqual([])
  })

  it.each([
    ['a value', `import { b } from '../client/b.ts'`],
    ['a type', `import type { B } from '../client/b.ts'`],
    ['a re-export', `export { b } from '../client/b.ts'`],
    ['everything', `export * from '../client/b.ts'`],
    ['an import type', `export type B = import('../client/b.ts').B`],
    ['a dynamic import', `export const b = (): unknown => import('../client/b.ts')`],
  ])('find an import that goes up, of %s', (_, text) => {
    expect(said('src/log/a.ts', text)).toEqual(['log/ imports ../client/b.ts: client/ is above it'])
  })

  it('find an import that goes sideways between features, but for the two that may', () => {
    const sideways = `import { b } from '../streams/b.ts'`
    expect(said('src/schema/a.ts', sideways)).toEqual([
      'schema/ imports ../streams/b.ts: streams/ is beside it',
    ])
    expect(said('src/sql/a.ts', sideways)).toEqual([])
    expect(said('src/testing/a.ts', sideways)).toEqual([])
  })

  it('find an import of the public entry, and one of a folder that is no layer', () => {
    expect(said('src/cli/a.ts', `import { b } from '../index.ts'`)).toHaveLength(1)
    expect(said('src/log/a.ts', `import { b } from '../drawer/b.ts'`)).toHaveLength(1)
    expect(said('src/drawer/a.ts', `import { b } from '../log/b.ts'`)).toHaveLength(1)
    expect(said('src/log/a.ts', `import { b } from '../../test/b.ts'`)).toHaveLength(1)
  })

  it('find an import of a file that does not exist', () => {
    const source = new SourceText('src/log/a.ts', `import { b } from './b.js'`)
    expect(importFindings(source, () => false)).toHaveLength(1)
  })

  it('keep each native package, codec and checksum in its place', () => {
    const loads = (name: string): string =>
      `import { createRequire } from 'node:module'
       const load = createRequire(import.meta.url)
       export const native: unknown = load('${name}')`
    expect(said('src/storage/native-binding.ts', loads('koffi'))).toEqual([])
    expect(said('src/storage/disk-driver.ts', loads('koffi'))).toHaveLength(1)
    expect(said('src/format/crc32c.ts', `import crc from 'crc-32/crc32c.js'`)).toEqual([])
    expect(said('src/format/varint.ts', `import crc from 'crc-32/crc32c.js'`)).toHaveLength(1)
    expect(said('src/format/lz4-codec.ts', loads('lz4-napi'))).toEqual([])
    expect(said('src/client/producer.ts', loads('lz4-napi'))).toHaveLength(1)
  })

  it('see a package that is only looked for, and do not take a word for a package', () => {
    const text = `const require = createRequire(import.meta.url)\nrequire.resolve('snappy')`
    expect(said('src/client/a.ts', text)).toHaveLength(1)
    expect(said('src/client/a.ts', `export const has = isCodecAvailable('snappy')`)).toEqual([])
  })

  it('find a module whose name is computed', () => {
    expect(said('src/log/a.ts', `export const load = (n: string) => import(n)`)).toHaveLength(1)
  })

  it('keep files to storage and cli, and everything but bytes out of format', () => {
    expect(said('src/storage/a.ts', `import { openSync } from 'node:fs'`)).toEqual([])
    expect(said('src/log/a.ts', `import { openSync } from 'node:fs'`)).toHaveLength(1)
    expect(said('src/client/a.ts', `import { open } from 'node:fs/promises'`)).toHaveLength(1)
    expect(said('src/storage/a.ts', `import { openSync } from 'fs'`)).toHaveLength(1)
    expect(said('src/format/a.ts', `import { gzipSync } from 'node:zlib'`)).toEqual([])
    expect(said('src/format/a.ts', `import { connect } from 'node:net'`)).toHaveLength(1)
  })

  it('let no package that has no place into the lower layers', () => {
    expect(said('src/log/a.ts', `import { z } from 'zod'`)).toHaveLength(1)
  })
})

describe('src', () => {
  it('imports only downwards, and each package only in its place', () => {
    const sources = readSources(['src'])
    expect(sources.length).toBeGreaterThan(10)
    expect(shown(sources.flatMap((source) => importFindings(source, isFile)))).toEqual([])
  })
})
