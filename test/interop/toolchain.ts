/**
 * Kafka for the tests: global setup of the project `interop`, and what the benchmarks ask. Finds
 * Java and Maven, has Maven fetch Kafka's published jars once, compiles the driver in kafka/, and
 * says what the class path is.
 *
 *   <cache>/4.1.1/lib-<h>/       Kafka and what it depends on; h is a hash of kafka/pom.xml
 *   <cache>/4.1.1/classes-<h>/   the driver, compiled; h is a hash of its sources
 *
 * <cache> is streambed-interop in the user's cache directory, or STREAMBED_INTEROP_CACHE. Both
 * directories are complete or absent: made under another name, then renamed. What is missing makes
 * the tests skip and say why, or, with STREAMBED_REQUIRE_INTEROP=1, fails the run.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'

/** Kafka ready to run, or the reason why it is not. */
export type Toolchain =
  | { readonly kind: 'ready'; readonly version: string; readonly classPath: string }
  | { readonly kind: 'missing'; readonly reason: string }

declare module 'vitest' {
  export interface ProvidedContext {
    readonly kafka: Toolchain
  }
}

const SOURCES = fileURLToPath(new URL('kafka/', import.meta.url))
const LEAST_JAVA = 17
/** The first run downloads about 45 MB. */
const MAVEN_TIMEOUT_MS = 300_000
const COMPILER_TIMEOUT_MS = 120_000

/** Runs once, before the project's first test file. */
export function setup(project: TestProject): void {
  const toolchain = findToolchain()
  project.provide('kafka', toolchain)
  if (toolchain.kind === 'ready') return
  const message = `The interop tests need Kafka: ${toolchain.reason}.`
  if (process.env['STREAMBED_REQUIRE_INTEROP'] === '1') throw new Error(message)
  process.stderr.write(`${message} They are skipped.\n`)
}

/** Looks for all that is needed, fetching and compiling what is not there yet. */
export function findToolchain(): Toolchain {
  const java = javaVersion()
  if (java === undefined) return missing('there is no java on the PATH')
  if (java < LEAST_JAVA) return missing(`java is version ${java}, Kafka runs from ${LEAST_JAVA} on`)
  const version = kafkaVersion()
  const cache = join(cacheDirectory(), version)
  const libraries = join(cache, `lib-${hashOf(['pom.xml'])}`)
  const classes = join(cache, `classes-${hashOf(sourceFiles())}`)
  const failure = fetchJars(libraries) ?? compileDriver(libraries, classes)
  if (failure !== null) return missing(failure)
  return { kind: 'ready', version, classPath: [join(libraries, '*'), classes].join(delimiter) }
}

function fetchJars(libraries: string): string | null {
  if (existsSync(libraries)) return null
  if (spawnSync('mvn', ['--version']).status !== 0) return 'there is no mvn on the PATH to fetch it'
  return complete(libraries, (directory) => {
    // Maven writes beside its project file.
    const project = join(directory, 'pom.xml')
    cpSync(join(SOURCES, 'pom.xml'), project)
    const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${directory}`]
    const asked = ['-B', '-q', '-f', project, ...goal, '-DincludeScope=runtime']
    const failure = run('mvn', asked, MAVEN_TIMEOUT_MS)
    rmSync(project)
    return failure
  })
}

function compileDriver(libraries: string, classes: string): string | null {
  if (existsSync(classes)) return null
  const sources = sourceFiles().map((name) => join(SOURCES, name))
  return complete(classes, (directory) => {
    const asked = ['-cp', join(libraries, '*'), '-d', directory, ...sources]
    return run('javac', asked, COMPILER_TIMEOUT_MS)
  })
}

/** Lets `fill` fill a new directory, which gets its name only if that succeeds. */
function complete(path: string, fill: (directory: string) => string | null): string | null {
  mkdirSync(join(path, '..'), { recursive: true })
  const directory = mkdtempSync(`${path}.`)
  try {
    const failure = fill(directory)
    // Another run may have been faster: its directory holds the same.
    if (failure === null && !existsSync(path)) renameSync(directory, path)
    return failure
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function run(command: string, argumentList: readonly string[], timeout: number): string | null {
  const { status, stdout, stderr, error } = spawnSync(command, argumentList, {
    encoding: 'utf8',
    timeout,
  })
  if (status === 0) return null
  const said = error?.message ?? `${stdout}${stderr}`.trim().slice(-2_000)
  return `${command} failed: ${said}`
}

function javaVersion(): number | undefined {
  const { status, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  const major = status === 0 ? /version "(\d+)/.exec(stderr)?.[1] : undefined
  return major === undefined ? undefined : Number(major)
}

function kafkaVersion(): string {
  const project = readFileSync(join(SOURCES, 'pom.xml'), 'utf8')
  const version = /<kafka\.version>(.+)<\/kafka\.version>/.exec(project)?.[1]
  if (version === undefined) throw new Error('kafka/pom.xml names no version of Kafka')
  return version
}

function cacheDirectory(): string {
  const { STREAMBED_INTEROP_CACHE: own, XDG_CACHE_HOME: caches } = process.env
  if (own !== undefined && own !== '') return own
  const base = caches === undefined || caches === '' ? join(homedir(), '.cache') : caches
  return join(base, 'streambed-interop')
}

function sourceFiles(): readonly string[] {
  return readdirSync(SOURCES)
    .filter((name) => name.endsWith('.java'))
    .sort()
}

function hashOf(names: readonly string[]): string {
  const hash = createHash('sha256')
  for (const name of names) hash.update(readFileSync(join(SOURCES, name)))
  return hash.digest('hex').slice(0, 16)
}

function missing(reason: string): Toolchain {
  return { kind: 'missing', reason }
}
