/**
 * docs/guarantees.md names a test for every promise, and every test that it names is there: the
 * text of a link into test/ is the name of a test of that file, or a part of it.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { CHECKOUT, SourceText, walk } from '../support/source-text.ts'

const page = readFileSync(join(CHECKOUT, 'docs/guarantees.md'), 'utf8')
const links = [
  ...page.matchAll(/\[(?<name>[^\]]+)\]\(\.\.\/(?<path>test\/[^)]+\.test\.ts)\)/g),
].map(({ groups }) => ({ name: groups?.['name'] ?? '', path: groups?.['path'] ?? '' }))
const FAILURES = [
  'the process is killed',
  'the machine loses power',
  'the disk is full',
  'a sync fails (I/O error)',
  'bit rot',
  'somebody else opens the directory',
  'the clock goes backwards',
]

/** Every text in a test file, as it is written there. */
function textsOf(path: string): readonly string[] {
  const source = new SourceText(path, readFileSync(join(CHECKOUT, path), 'utf8'))
  const texts: string[] = []
  walk(source.tree, (node) => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node)) texts.push(node.text)
  })
  return texts
}

describe('docs/guarantees.md', () => {
  it.each(links)('names a test that is there: $name', ({ name, path }) => {
    expect(textsOf(path).some((text) => text.includes(name))).toBe(true)
  })

  it('names a test for every promise and for every kind of place', () => {
    const rows = tableRows('## Promises').concat(tableRows('## What holds on this machine'))
    expect(rows.length).toBeGreaterThan(15)
    for (const row of rows) expect(row).toMatch(/\]\(\.\.\/test\/.*\.test\.ts\)/)
  })

  it('tells of every failure what acknowledged records survive', () => {
    const [stays = '', ...others] = tableRows('## Promises')
      .join('\n')
      .split(/^\| \*\*/m)
      .slice(1)
    expect(stays).toMatch(/^Acknowledged records stay/)
    for (const failure of FAILURES) expect(stays).toContain(failure)
    expect(others.length).toBeGreaterThan(8)
  })

  it('explains every member of guarantees()', () => {
    const guarantees = EventLog.inMemory().guarantees()
    for (const member of Object.keys(guarantees).filter((name) => name !== 'fileSystem')) {
      expect(page).toContain(`\`${member}\``)
    }
  })
})

/** The rows of the first table behind a heading. */
function tableRows(heading: string): string[] {
  const lines = page.slice(page.indexOf(heading)).split('\n')
  const first = lines.findIndex((line) => line.startsWith('|---'))
  const end = lines.findIndex((line, at) => at > first && !line.startsWith('|'))
  return lines.slice(first + 1, end)
}
