/**
 * What users run of ours makes no code out of text, loads none by a computed name, starts no shell,
 * and matches text in time that is in proportion to it. The rules are first shown what they find.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeFindings, patternFindings, slowness } from '../support/host-rules.ts'
import { CHECKOUT, readSources, shown, SourceText } from '../support/source-text.ts'

/** Why each of these may stand all the same. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'src/format/zstd-wasm.ts: code loaded by a computed name':
    'a helper that is called with the name of one file, a constant above it',
  'src/client/groups/subscription.ts: RegExp: makes code out of text':
    "the user's own pattern without its memory: nothing but the names of topics is held against it",
  'src/format/segment-name.ts: /^(.+)-(0|[1-9]\\d{0,9})\\.([^.-]+)-(delete|stray|future)$/: two repeats without a bound':
    'the name of a file: no file system has longer ones than 255 bytes',
  'src/storage/boot-identity.ts: /^\\s*(\\S+)\\s+(\\S.*\\S)\\s*$/: two repeats without a bound':
    'what ps prints of one process: a state and a date',
  'src/storage/control-header.ts: /\\0+$/: a repeat without a bound that may begin anywhere':
    'a field of fixed size',
  'src/storage/java-properties.ts: /^[ \\t\\f]*[=:]?[ \\t\\f]*/: two repeats without a bound':
    'nothing follows that could fail',
}

describe('the rules on what code does to its host', () => {
  it.each([
    ['eval', 'eval(text)'],
    ['a Function', 'new Function(text)'],
    ['a pattern made of text', 'new RegExp(text)'],
    ['a computed import', 'await import(name)'],
    [
      'a computed require',
      "import { createRequire } from 'node:module'\nconst r = createRequire(here)\nr(name)",
    ],
    ['a computed require at once', 'createRequire(here)(name)'],
    ['a computed resolve', 'const r = createRequire(here)\nr.resolve(name)'],
    ['a virtual machine', "import vm from 'node:vm'"],
    ['a worker', 'new Worker(file)'],
    ['a shell', 'execSync(`rm ${path}`)'],
    ['a library', 'process.dlopen(module, name)'],
  ])('find %s', (_, text) => {
    expect(codeFindings(new SourceText('src/a.ts', text)).length).toBeGreaterThan(0)
  })

  it.each([
    "await import('koffi')",
    "createRequire(here)('koffi')",
    "const KOFFI = 'koffi'\nrequire(KOFFI)",
  ])('let names stand that are written down: %s', (text) => {
    expect(codeFindings(new SourceText('src/a.ts', text))).toEqual([])
  })

  it.each([
    '(a+)+',
    '^(?:a|b+)*$',
    '^a*a*$',
    'a+b',
    '\\\\+$',
    '[^]*x',
    '(?:x{2,})+',
    '^\\s*(\\d+)\\s*$',
  ])('find the slow pattern %s', (pattern) => {
    expect(slowness(pattern)).not.toBeNull()
  })

  it.each(['^a+$', 'a+', '^[+*]+:', '\\+\\*', '^(?:0|[1-9]\\d{0,15})$', '[(a+)+]', '^(?:a+)?b'])(
    'let the pattern %s stand',
    (pattern) => {
      expect(slowness(pattern)).toBeNull()
    },
  )
})

describe('the source', () => {
  const sources = readSources(['src'])
  const found = sources.flatMap((source) => [...codeFindings(source), ...patternFindings(source)])
  const said = found.map(({ path, message }) => `${path}: ${message}`)

  it('keeps the rules, but for what is excepted with a reason', () => {
    expect(
      shown(found.filter(({ path, message }) => !(`${path}: ${message}` in EXCEPTIONS))),
    ).toEqual([])
  })

  it('has no exception that nothing needs any more', () => {
    expect(Object.keys(EXCEPTIONS).filter((exception) => !said.includes(exception))).toEqual([])
  })

  it('starts other programs in one file, with arguments and never through a shell', () => {
    const starters = sources.filter(({ text }) => text.includes('node:child_process'))
    expect(starters.map(({ path }) => path)).toEqual(['src/storage/boot-identity.ts'])
    expect(starters[0]?.text).toContain("import { execFileSync } from 'node:child_process'")
  })
})

describe('the packages that are installed', () => {
  interface Locked {
    readonly integrity?: string
    readonly resolved?: string
    readonly link?: boolean
    readonly dev?: boolean
    readonly hasInstallScript?: boolean
  }
  const lock = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '')

  it('are those whose bytes the lock file names, all of them from the registry', () => {
    const others = packages.filter(
      ([, { integrity, resolved, link }]) =>
        link === true ||
        resolved?.startsWith('http') === false ||
        integrity?.startsWith('sha512-') !== true,
    )
    expect(others).toEqual([])
  })

  it('run no script at installation where users have them, but for an optional one', () => {
    const scripts = packages.filter(([, { hasInstallScript, dev }]) => hasInstallScript && !dev)
    expect(scripts.map(([path]) => path)).toEqual(['node_modules/koffi'])
  })
})
