/**
 * Source as plain JavaScript, for tests that start many processes: Node alone is up in a third of
 * the time that it takes with a loader for TypeScript. What is compiled is this checkout's src/,
 * so nothing has to be built before.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Below node_modules, so that packages are found from there. */
const CACHE = join(ROOT, 'node_modules', '.cache')

const BUNDLE = fileURLToPath(new URL('bundle.mjs', import.meta.url))

/** How sources become plain JavaScript. */
export const PLAIN_OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
}

/** A compiled module, to be removed after use. */
export interface PlainSource {
  readonly path: string
  remove(): void
}

/**
 * Compiles `entry` and what it imports from this checkout into one file, without checking types: a
 * process that loads a few hundred modules takes four times as long to begin.
 */
export function compileToPlainSource(entry: string): PlainSource {
  const directory = emptyModules()
  const path = join(directory, `${basename(entry, '.ts')}.js`)
  execFileSync(process.execPath, [BUNDLE, entry, path])
  return { path, remove: () => rmSync(directory, { recursive: true }) }
}

/** As `compileToPlainSource`, a file for each module, at its place below `directory`. */
export function compileToPlainModules(entry: string): PlainSource & { readonly directory: string } {
  const directory = emptyModules()
  const outputOf = (file: string): string =>
    join(directory, relative(ROOT, file)).replace(/\.ts$/, '.js')
  const files = new Set([entry])
  for (const file of files) {
    // Grows while it is walked.
    const source = readFileSync(file, 'utf8')
    for (const { fileName } of ts.preProcessFile(source).importedFiles) {
      if (fileName.startsWith('.')) files.add(resolve(dirname(file), fileName))
    }
    mkdirSync(dirname(outputOf(file)), { recursive: true })
    writeFileSync(
      outputOf(file),
      ts.transpileModule(source, { compilerOptions: PLAIN_OPTIONS }).outputText,
    )
  }
  const remove = (): void => rmSync(directory, { recursive: true })
  return { path: outputOf(entry), directory, remove }
}

function emptyModules(): string {
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, 'streambed-plain-'))
  chmodSync(directory, 0o755) // Some tests run it as another user.
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  return directory
}
