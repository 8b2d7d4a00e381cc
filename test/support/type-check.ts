/**
 * Type-checks programs as a user of the package would, against the declarations that were built.
 * Nothing is skipped: an unsound declaration of ours is found here before a strict user finds it.
 * Owns the compiler's options; which files to check is the caller's business.
 */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import ts from 'typescript'
import { CHECKOUT, type Finding } from './source-text.ts'

/** The options under which the contract's programs, and every snippet in the docs, must compile. */
export function strictOptions(): ts.CompilerOptions {
  const path = `${CHECKOUT}test/contract/programs/tsconfig.json`
  const { config, error } = ts.parseConfigFileTextToJson(path, readFileSync(path, 'utf8')) as {
    readonly config?: { readonly compilerOptions?: unknown } // JSON, checked by the next call
    readonly error?: ts.Diagnostic
  }
  const { options, errors } = ts.convertCompilerOptionsFromJson(config?.compilerOptions, CHECKOUT)
  const wrong = error ?? errors[0]
  if (wrong !== undefined) throw new Error(ts.flattenDiagnosticMessageText(wrong.messageText, '\n'))
  return options
}

/** Every error of the compiler in `files` and in all that they import, with its place. */
export function typeErrors(
  files: readonly string[],
  options: ts.CompilerOptions,
): readonly Finding[] {
  const program = ts.createProgram({ rootNames: files, options })
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const message = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (file === undefined) return { path: '', line: 0, message }
    const { line } = file.getLineAndCharacterOfPosition(start ?? 0)
    return { path: relative(CHECKOUT, file.fileName), line: line + 1, message }
  })
}
