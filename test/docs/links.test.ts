/**
 * What the pages refer to is there: every relative link with its anchor, and every file of the
 * project that is named in the text. Links to other sites are not followed.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CHECKOUT, filesBelow } from '../support/source-text.ts'

const pages = [
  'README.md',
  'CHANGELOG.md',
  ...filesBelow('docs').filter((path) => path.endsWith('.md') && !path.startsWith('docs/api/')),
]
const textOf = (page: string): string => readFileSync(join(CHECKOUT, page), 'utf8')

/** The anchors of a page: its headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  const headings = textOf(page).matchAll(/^#+ (?<heading>.+)$/gm)
  return [...headings].map(({ groups }) =>
    (groups?.['heading'] ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Why a link of `page` leads nowhere; null where it leads somewhere. */
function brokenLink(page: string, target: string): string | null {
  if (/^[a-z]+:/.test(target)) return null
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(CHECKOUT, file))) return `${target}: no such file`
  if (anchor !== undefined && !anchorsOf(file).includes(anchor)) return `${target}: no such heading`
  return null
}

describe.each(pages)('%s', (page) => {
  it('links to what is there', () => {
    const targets = [...textOf(page).matchAll(/\]\((?<target>[^)\s]+)\)/g)]
    const broken = targets.map(({ groups }) => brokenLink(page, groups?.['target'] ?? ''))
    expect(broken.filter((reason) => reason !== null)).toEqual([])
  })

  it('names files that are there', () => {
    const named = [...textOf(page).matchAll(/`(?<path>(?:src|test|examples|docs)\/[\w./-]+)`/g)]
    const missing = named
      .map(({ groups }) => groups?.['path'] ?? '')
      .filter((path) => path !== 'docs/api' && !existsSync(join(CHECKOUT, path)))
    expect(missing).toEqual([])
  })
})

describe('docs/architecture.md', () => {
  it('lists every decision by its title', () => {
    const listed = textOf('docs/architecture.md').replaceAll(/\s+/g, ' ')
    const decisions = pages.filter((page) => page.startsWith('docs/decisions/'))
    expect(decisions.length).toBeGreaterThan(0)
    for (const page of decisions) {
      const [, number, title] = /^# (\d{3}): (.*)$/m.exec(textOf(page)) ?? []
      expect(listed).toContain(`- [${number}](${page.slice('docs/'.length)}) ${title}`)
    }
  })

  it('names source files that are there', () => {
    const names = new Set(filesBelow('src').map((path) => path.split('/').at(-1) ?? ''))
    const mentioned = textOf('docs/architecture.md').match(/(?<![\w*.-])[a-z][\w-]*\.ts\b/g) ?? []
    expect(mentioned.filter((name) => !names.has(name))).toEqual([])
  })

  it('names every layer of src', () => {
    const layers = new Set(filesBelow('src').map((path) => path.split('/')[1] ?? ''))
    const drawn = textOf('docs/architecture.md')
      .match(/^ {2}[\w.-]+/gm)
      ?.map((line) => line.trim())
    expect([...layers].filter((layer) => !drawn?.includes(layer))).toEqual([])
  })
})
