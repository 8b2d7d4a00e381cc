/**
 * How code reads here, enforced. Each rule of test/support/tidy-rules.ts is first shown a snippet
 * that breaks it and one that only looks as if it did; then all of them run over the project.
 */
import { describe, expect, it } from 'vitest'
import { unusedExportFindings } from './support/export-rules.ts'
import { SourceText, readSources, shown } from './support/source-text.ts'
import { tidyFindings } from './support/tidy-rules.ts'

const HEADER = '/**\n * What this file is.\n */\n\n'
const SOURCE = 'src/log/a.ts'
const UNDOCUMENTED = 'an export without a word about it'

/** What the rules say of a file with a header and this text, but for what it fails to document. */
function said(text: string, path: string = SOURCE): readonly string[] {
  return allSaid(HEADER + text, path).filter((message) => message !== UNDOCUMENTED)
}

function allSaid(text: string, path: string = SOURCE): readonly string[] {
  return tidyFindings(new SourceText(path, text)).map(({ message }) => message)
}

describe('the rules on code', () => {
  it.each([
    ['an enum', 'export enum Color { Red }'],
    ['a namespace', 'export namespace a { export const b = 1 }'],
    ['an any', 'export const a = (b: any): void => { b() }'],
    ['a non-null assertion', 'export const a = (b: number | null): number => b!'],
    ['a definite assignment', 'export class A { b!: number }'],
    ['a cast without a proof', 'export const a = (b: unknown): number => b as number'],
    ['a cast under words about the whole', '/** Gives it. */\nexport const a = b as number'],
    ['a cast in angle brackets', 'export const a = (b: unknown): number => <number>b'],
    ['a default export', 'export default 1'],
    ['a default function', 'export default function a(): void {}'],
    ['a private member', 'export class A { private b = 1 }'],
    ['a parent that is no error', 'export class A extends Map<string, number> {}'],
    ['work left for later', '// TODO: write this\nexport const a = 1'],
    ['a console', 'export const a = (): void => { console.log(1) }'],
    ['a long line', `export const a = ${'b + '.repeat(30)}b`],
  ])('find %s', (_, text) => {
    expect(said(text)).toHaveLength(1)
  })

  it.each([
    ['the time', 'export const a = (): number => Date.now()'],
    ['the time in brackets', `export const a = (): number => Date['now']()`],
    ['the time taken apart', 'const { now } = Date\nexport const a = now'],
    ['a new date', 'export const a = (): Date => new Date()'],
    ['chance', 'export const a = (): number => Math.random()'],
    ['a timer', 'setTimeout(() => {}, 1)'],
    ['a timer passed on', 'export const a = { later: setTimeout }'],
    ['a timer of the global object', 'globalThis.setTimeout(() => {}, 1)'],
    ['a timer of a signal', 'export const a = AbortSignal.timeout(1)'],
    ['a microtask', 'queueMicrotask(() => {})'],
    ['a module of timers', `import { setTimeout as later } from 'node:timers/promises'`],
  ])('find %s outside of the clock', (_, text) => {
    expect(said(text)).toHaveLength(1)
    expect(said(text, 'src/log/clock.ts')).toEqual([])
    expect(said(text, 'test/log/a.test.ts')).toEqual([])
  })

  it.each([
    ['a long sentence', `export const a = '${'b '.repeat(60)}'`],
    ['words in strings', `export const a = 'TODO any enum console.log Date.now() b!'`],
    [
      'words in comments',
      '// Not Date.now(), console.log or any: see clock.ts.\nexport const a = 1',
    ],
    ['members of those names', 'export const a = (c: Clock): void => { c.setTimeout(b, c.now()) }'],
    ['methods of those names', 'export class A { setTimeout(): void {} }'],
    ['types of those names', 'export type A = { console: ReturnType<typeof setTimeout> }'],
    ['a date of a number', 'export const a = (b: number): Date => new Date(b)'],
    ['a constant', `export const A = ['b'] as const`],
    ['a not', 'export const a = (b: boolean): boolean => !b'],
    ['an inequality', 'export const a = (b: number): boolean => b !== 1'],
    ['a private constructor', 'export class A { private constructor() {} }'],
    ['a switch with a default', 'switch (a) { default: b() }'],
    ['an error', 'export class A extends Error {}'],
    ['types of another package', `declare module 'a' {}`],
    ['a cast with its proof', 'export const a = b as number // checked by c'],
    ['a cast under its proof', '// Checked by c.\nexport const a = b as number'],
  ])('let pass %s', (_, text) => {
    expect(said(text)).toEqual([])
  })

  it('excuse an any only with the reason that the linter is given', () => {
    const type = 'export type A = Map<string, any>'
    const excuse = 'oxlint-disable-next-line typescript/no-explicit-any'
    expect(said(`// ${excuse} -- any key will do\n${type}`)).toEqual([])
    expect(said(`// ${excuse}\n${type}`)).toHaveLength(1)
    expect(said(`// ${excuse} -- any key will do\n\n${type}`)).toHaveLength(1)
  })

  it('find a function of more than 60 lines, but none in a test', () => {
    const body = '  b()\n'
    expect(said(`export function a(): void {\n${body.repeat(59)}}`)).toHaveLength(1)
    expect(said(`export function a(): void {\n${body.repeat(58)}}`)).toEqual([])
    expect(said(`function a(): void {\n${body.repeat(59)}}`, 'test/log/a.test.ts')).toEqual([])
  })

  it('find a file of more than 400 lines', () => {
    expect(said('b()\n'.repeat(396))).toEqual([])
    expect(said('b()\n'.repeat(397))).toEqual(['401 lines, allowed: 400'])
  })

  it.each([
    'src/log/utils.ts',
    'src/log/string-helpers.ts',
    'test/helpers/a.ts',
    'src/log/types.ts',
  ])('find the drawer in %s', (path) => {
    expect(said('export const a = 1', path)).toHaveLength(1)
  })

  it('find a test that says nothing, and one that does not run', () => {
    const path = 'test/log/a.test.ts'
    expect(said(`it('should roll', () => {})`, path)).toHaveLength(1)
    expect(said(`it('works', () => {})`, path)).toHaveLength(1)
    expect(said(`it.only('rolls at the limit', () => {})`, path)).toHaveLength(1)
    expect(said(`describe.skip('roll', () => {})`, path)).toHaveLength(1)
    expect(said(`it('rolls at the limit', () => {})`, path)).toEqual([])
  })
})

describe('the rule on headers', () => {
  it('finds a file without one', () => {
    const message = 'no header comment'
    expect(allSaid('const a = 1')).toEqual([message])
    expect(allSaid('// a line\nconst a = 1')).toEqual([message])
    expect(allSaid(`import b from 'b'\n/** What it is. */\n\nb()`)).toEqual([message])
  })

  it('does not take the comment of a declaration for one', () => {
    expect(allSaid('/** What a is. */\nconst a = 1')).toHaveLength(1)
    expect(allSaid(`/** What it is. */\nimport b from 'b'\nb()`)).toEqual([])
    expect(allSaid('#!/usr/bin/env node\n/** What it is. */\n\nconst a = 1')).toEqual([])
  })
})

describe('the rule on docs', () => {
  it('finds an export that says nothing about itself', () => {
    const documented = `${HEADER}/** What a is. */\nexport const a = 1\n`
    expect(allSaid(documented)).toEqual([])
    expect(allSaid(`${documented}export const b = 1`)).toEqual([UNDOCUMENTED])
    expect(allSaid(`${HEADER}export type A = 1`)).toEqual([UNDOCUMENTED])
    expect(allSaid(`${HEADER}const c = 1`)).toEqual([])
  })
})

describe('the rule on exports', () => {
  const unusedIn = (...files: readonly (readonly [path: string, text: string])[]): unknown =>
    unusedExportFindings(files.map(([path, text]) => new SourceText(path, text))).map(
      ({ message }) => message,
    )

  it('finds one that nobody imports', () => {
    const file = ['src/log/a.ts', 'export const a = 1\nexport function b(): void {}'] as const
    expect(unusedIn(file)).toEqual(['nobody imports a', 'nobody imports b'])
    expect(unusedIn(file, ['src/log/b.ts', `import { a } from './a.ts'`])).toEqual([
      'nobody imports b',
    ])
  })

  it('counts tests, re-exports, import types and imports of everything as readers', () => {
    const file = ['src/log/a.ts', 'export class A {}'] as const
    expect(
      unusedIn(file, ['test/log/a.test.ts', `import { A } from '../../src/log/a.ts'`]),
    ).toEqual([])
    expect(unusedIn(file, ['src/index.ts', `export { A } from './log/a.ts'`])).toEqual([])
    expect(unusedIn(file, ['src/index.ts', `export * from './log/a.ts'`])).toEqual([])
    expect(unusedIn(file, ['src/log/b.ts', `type B = import('./a.ts').A`])).toEqual([])
    expect(unusedIn(file, ['src/log/b.ts', `import * as a from './a.ts'`])).toEqual([])
  })

  it('lets a type stand beside the export that mentions it', () => {
    const used = ['src/index.ts', `export { open } from './log/a.ts'`] as const
    const text = 'export interface Options { a: number }\n'
    const open = 'export function open(options: Options): void {}'
    expect(unusedIn(['src/log/a.ts', text + open], used)).toEqual([])
    expect(unusedIn(['src/log/a.ts', `${text}export function open(): void {}`], used)).toEqual([
      'nobody imports Options',
    ])
  })

  it('leaves the public entry alone', () => {
    expect(unusedIn(['src/index.ts', 'export const a = 1'])).toEqual([])
  })
})

describe('the project', () => {
  const sources = readSources(
    ['src', 'test', 'bench', 'examples', 'fuzz'],
    ['test/contract/programs/'],
  )

  it('keeps every rule on code', () => {
    expect(shown(sources.flatMap((source) => tidyFindings(source)))).toEqual([])
  })

  it('exports nothing that nobody imports', () => {
    expect(shown(unusedExportFindings(sources))).toEqual([])
  })
})
