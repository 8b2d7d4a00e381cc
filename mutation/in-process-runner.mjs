/**
 * A test runner for Stryker that keeps everything loaded in one process: a mutant costs what its
 * tests cost, milliseconds, and not the start of a test framework, seconds.
 *
 * It runs test files against a small stand-in for vitest, with vitest's own `expect`, and the
 * corpus of fuzz/, a test a target. Of vitest they have describe, it, expect, their `each`,
 * onTestFinished, and `vi.resetModules` with the imports after it. Tests that need more (mocks,
 * fake timers) fail in the first run and are left out: what they alone would notice counts as not
 * noticed. Mutants of code that runs at import are not tried.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'
import { chosenScope } from './scopes.mjs'

const { default: ts } = await import('typescript')

const OPTIONS = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
}
/** What the instrumented code counts in and asks which mutant is active. */
const namespace = (globalThis.__stryker__ ??= {})

class InProcessRunner {
  /** By id, the fastest first. */
  #tests = []

  capabilities() {
    return { reloadEnvironment: false }
  }

  async init() {
    const directory = join(process.cwd(), '.in-process')
    writeModules(directory)
    register(`data:text/javascript,${encodeURIComponent(RENEWING_HOOKS)}`)
    const shim = await import(pathToFileURL(join(directory, 'mutation/vitest-stand-in.js')).href)
    for (const file of testFiles()) {
      shim.begin(file)
      // A file that asks for more than the stand-in has is left out, as a test that does.
      await import(pathToFileURL(join(directory, file.replace(/\.ts$/, '.js'))).href).catch(noted)
    }
    const { corpusTests } = await import(
      pathToFileURL(join(directory, 'mutation/corpus-tests.js')).href
    )
    const { tests } = chosenScope(process.env)
    const corpus = corpusTests().filter(({ id }) => tests.includes(id))
    this.#tests = [...shim.tests, ...corpus]
  }

  async dryRun() {
    const results = []
    const passed = []
    for (const test of this.#tests) {
      namespace.currentTestId = test.id
      const startedMs = performance.now()
      try {
        await test.run()
        test.timeSpentMs = performance.now() - startedMs
        passed.push(test)
        results.push({ id: test.id, name: test.id, status: 0, timeSpentMs: test.timeSpentMs })
      } catch (error) {
        noted(error, test.id)
      }
    }
    namespace.currentTestId = undefined
    this.#tests = passed.toSorted((a, b) => a.timeSpentMs - b.timeSpentMs)
    return { status: 'complete', tests: results, mutantCoverage: namespace.mutantCoverage }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit }) {
    const wanted = testFilter === undefined ? undefined : new Set(testFilter)
    const [, own = []] =
      [...chosenScope(process.env).testsOf].find(([file]) =>
        activeMutant.fileName.endsWith(`/${file}`),
      ) ?? []
    let nrOfTests = 0
    namespace.activeMutant = activeMutant.id
    namespace.hitLimit = hitLimit
    namespace.hitCount = 0
    try {
      for (const test of this.#tests) {
        if (wanted?.has(test.id) === false) continue
        if (!own.some((name) => test.id === name || test.id.startsWith(`${name} >`))) continue
        nrOfTests += 1
        try {
          await test.run()
        } catch (error) {
          if (namespace.hitCount > hitLimit) return { status: 'timeout' }
          const failureMessage = String(error).slice(0, 200)
          return { status: 'killed', killedBy: [test.id], failureMessage, nrOfTests }
        }
      }
      return { status: 'survived', nrOfTests }
    } finally {
      namespace.activeMutant = undefined
      namespace.hitLimit = undefined
    }
  }
}

/** Why something is left out, for those who ask. */
function noted(error, what = '') {
  if (process.env.STREAMBED_MUTATE_DEBUG)
    console.error('left out', what, String(error).slice(0, 200))
}

function testFiles() {
  return chosenScope(process.env).tests.filter((name) => name.startsWith('test/'))
}

/** Compiles the tests, the targets and what they import; `vitest` becomes the stand-in. */
function writeModules(directory) {
  const standIn = join(directory, 'mutation/vitest-stand-in.js')
  const files = new Set([...testFiles(), ...CORPUS_MODULES].map((file) => resolve(file)))
  const outputOf = (file) => join(directory, relative(process.cwd(), file)).replace(/\.ts$/, '.js')
  for (const file of files) {
    // Grows while it is walked.
    const source = readFileSync(file, 'utf8')
    for (const { fileName } of ts.preProcessFile(source).importedFiles) {
      if (fileName.startsWith('.')) files.add(resolve(dirname(file), fileName))
    }
    const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS })
    const up = relative(dirname(outputOf(file)), standIn)
    // Data beside a module is not copied: it is read where it lies.
    const besides = `new URL($1${pathToFileURL(dirname(file)).href}/$2`
    const text = outputText
      .replaceAll("from 'vitest'", `from './${up}'`)
      .replace(/\bimport\((['"]\.[^)]*)\)/g, 'import(globalThis.__renewed__($1))')
      .replace(/new URL\((['`])(\.\.?\/(?:vectors|corpus|findings))/g, besides)
    mkdirSync(dirname(outputOf(file)), { recursive: true })
    writeFileSync(outputOf(file), text)
  }
  mkdirSync(dirname(standIn), { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  writeFileSync(standIn, STAND_IN)
  writeFileSync(join(directory, 'mutation/corpus-tests.js'), CORPUS_TESTS)
}

/** What the tests of the corpus are made of. */
const CORPUS_MODULES = ['targets', 'seeds', 'corpus', 'checked-run'].map(
  (name) => `fuzz/${name}.ts`,
)

/** Loads `?renewed=N` anew with all that it imports: after `vi.resetModules`, as vitest does. */
const RENEWING_HOOKS = `
export async function resolve(specifier, context, nextResolve) {
  const resolved = await nextResolve(specifier, context)
  const renewed = context.parentURL?.match(/[?]renewed=\\d+$/)?.[0]
  const isOurs = resolved.url.includes('/.in-process/src/') && !resolved.url.includes('?')
  return renewed !== undefined && isOurs ? { ...resolved, url: resolved.url + renewed } : resolved
}
`

const STAND_IN = `
import { chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from '@vitest/expect'
chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)
import { GLOBAL_EXPECT, ASYMMETRIC_MATCHERS_OBJECT, setState, getState } from '@vitest/expect'
export const expect = (value, message) => chai.expect(value, message)
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT] ?? {})
expect.setState = (state) => setState(state, expect)
expect.getState = () => getState(expect)
globalThis[GLOBAL_EXPECT] = expect
setState({ assertionCalls: 0 }, expect)
export const tests = []
let path = []
export function begin(file) { path = [file] }
let finished = []
export function onTestFinished(body) { finished.push(body) }
function add(name, run) {
  const id = [...path, name].join(' > ') + ' #' + tests.length
  tests.push({ id, run: async () => {
    finished = []
    try { await run() } finally { for (const body of finished.reverse()) await body() }
  } })
}
function group(name, body) { path.push(name); try { body() } finally { path.pop() } }
function each(make) {
  return (cases) => (name, body) => {
    for (const one of cases) {
      const values = Array.isArray(one) ? one : [one]
      make(String(name), () => body(...values))
    }
  }
}
export const it = Object.assign(add, { each: each(add) })
export const test = it
export const describe = Object.assign(group, { each: each(group) })
const none = () => { throw new Error('not in this stand-in') }
export const beforeEach = none, afterEach = none, beforeAll = none, afterAll = none
let generation = 0
globalThis.__renewed__ = (specifier) =>
  generation === 0 || specifier.endsWith('.json') ? specifier : specifier + '?renewed=' + generation
export const vi = new Proxy({ resetModules: () => { generation += 1 } }, {
  get: (has, name) => has[name] ?? none,
})
`

const CORPUS_TESTS = `
import { CheckedRun } from '../fuzz/checked-run.js'
import { readCorpus } from '../fuzz/corpus.js'
import { TARGETS } from '../fuzz/targets.js'
import { seedsOf } from '../fuzz/seeds.js'
const checked = new CheckedRun()
export const corpusTests = () =>
  TARGETS.map((target) => {
    const inputs = [...seedsOf(target.name), ...readCorpus(target.name).map(({ input }) => input)]
    return {
      id: 'fuzz ' + target.name,
      run: async () => { for (const input of inputs) checked.run(target, input) },
    }
  })
`

export const strykerPlugins = [
  declareClassPlugin(PluginKind.TestRunner, 'in-process', InProcessRunner),
]
