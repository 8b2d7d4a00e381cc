/**
 * The type contract: programs as users write them, in programs/, compile against the package's own
 * built declarations, and what they mark with `@ts-expect-error` does not. A program is in force
 * as soon as package.json exports every entry point that it imports.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { moduleUses } from '../support/import-rules.ts'
import { CHECKOUT, type Finding, readSources, shown } from '../support/source-text.ts'
import { strictOptions, typeErrors } from '../support/type-check.ts'

const PROGRAMS = 'test/contract/programs/'

const entryPoints = exportedEntryPoints()
const inForce = readSources([PROGRAMS]).filter((source) =>
  moduleUses(source)
    .map(({ specifier }) => specifier ?? '')
    .filter((name) => name.split('/')[0] === 'streambed')
    .every((name) => entryPoints.has(name)),
)

describe('the type contract', () => {
  let errors: readonly Finding[] = []
  beforeAll(() => {
    errors = typeErrors(
      inForce.map(({ path }) => join(CHECKOUT, path)),
      strictOptions(),
    )
  })

  it('holds for every program that needs only the main entry point', () => {
    expect(inForce.length).toBeGreaterThanOrEqual(12)
  })

  it.each(inForce.map(({ path }) => path.slice(PROGRAMS.length)))('compiles %s', (name) => {
    expect(shown(errors.filter(({ path }) => path === PROGRAMS + name))).toEqual([])
  })

  it('finds no fault in the declarations themselves', () => {
    expect(shown(errors.filter(({ path }) => !path.startsWith(PROGRAMS)))).toEqual([])
  })
})

function exportedEntryPoints(): ReadonlySet<string> {
  const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, unknown>> // ours, and publint checks its shape
  }
  return new Set(Object.keys(manifest.exports).map((name) => join('streambed', name)))
}
