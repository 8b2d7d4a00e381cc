/**
 * Every snippet of README.md and docs/ is a program that a reader may copy. Each is type-checked
 * strictly and run with the built package, in an empty directory; it must end by itself, well.
 * What a snippet is, and how one says that it cannot run here, is in test/support/snippets.ts.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Snippet, snippetsOf } from './support/snippets.ts'
import { CHECKOUT, type Finding, filesBelow } from './support/source-text.ts'
import { strictOptions, typeErrors } from './support/type-check.ts'
import { UserProject } from './support/user-project.ts'

const pages = [
  'README.md',
  ...filesBelow('docs').filter((path) => path.endsWith('.md') && !path.startsWith('docs/api/')),
]
const snippets = pages.flatMap((page) =>
  snippetsOf(page, readFileSync(join(CHECKOUT, page), 'utf8')),
)
const placeOf = ({ page, line }: Snippet): string => `${page}:${line}`
const nameOf = ({ page, line }: Snippet): string => `${page.replaceAll(/\W/g, '-')}-${line}`

describe('the snippets of README.md and docs/', () => {
  let project: UserProject
  let errors: readonly Finding[] = []

  beforeAll(() => {
    project = new UserProject()
    const options = { ...strictOptions(), moduleDetection: ts.ModuleDetectionKind.Force }
    const files = snippets.map((snippet) => project.write(`${nameOf(snippet)}.ts`, snippet.code))
    errors = typeErrors(files, options)
    for (const snippet of snippets) {
      const { outputText } = ts.transpileModule(snippet.code, {
        fileName: `${nameOf(snippet)}.ts`,
        compilerOptions: { ...options, module: ts.ModuleKind.ES2022, inlineSourceMap: true },
      })
      project.write(`${nameOf(snippet)}.js`, outputText)
    }
  })
  afterAll(() => {
    project.remove()
  })

  it('include one on the first page', () => {
    expect(snippets.filter(({ page, isRun }) => page === 'README.md' && isRun)).not.toEqual([])
  })

  it.each(snippets.map((snippet) => [placeOf(snippet), snippet] as const))(
    'compile strictly: %s',
    (_, snippet) => {
      const own = errors.filter(({ path }) => path.endsWith(`/${nameOf(snippet)}.ts`))
      const shown = own.map(
        ({ line, message }) => `${snippet.page}:${snippet.line + line - 1}: ${message}`,
      )
      expect(shown).toEqual([])
    },
  )

  it.each(
    snippets.filter(({ isRun }) => isRun).map((snippet) => [placeOf(snippet), snippet] as const),
  )('run to their end: %s', async (_, snippet) => {
    const { code, output } = await project.run(`${nameOf(snippet)}.js`)
    expect(code, output).toBe(0)
  })
})
