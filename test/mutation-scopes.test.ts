/**
 * The list of what mutants are tried on (mutation/scopes.mjs): all of the format is in it, and the
 * tests that it names are there. A mutant whose tests were moved would look as if nobody noticed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

type Scopes = Readonly<Record<string, ReadonlyMap<string, readonly string[]>>>

async function scopes(): Promise<Scopes> {
  const module: unknown = await import(new URL('../mutation/scopes.mjs', import.meta.url).href)
  return (module as { readonly SCOPES: Scopes }).SCOPES // Proved by what follows.
}

describe('the scopes of mutation', () => {
  it('name files that are there, and tests for each', async () => {
    for (const scope of Object.values(await scopes())) {
      for (const [file, tests] of scope) {
        expect(existsSync(file), file).toBe(true)
        expect(tests, file).not.toEqual([])
        const missing = tests.filter((test) => test.startsWith('test/') && !existsSync(test))
        expect(missing, file).toEqual([])
      }
    }
  })

  it('have all of the format that does anything', async () => {
    const { format } = await scopes()
    const files = readdirSync('src/format')
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .map((name) => `src/format/${name}`)
      .filter((file) => /\b(?:function|class)\b/.test(readFileSync(file, 'utf8')))
    expect(files.filter((file) => format?.has(file) !== true)).toEqual([])
  })
})
