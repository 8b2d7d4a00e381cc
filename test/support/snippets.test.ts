/** What counts as a snippet of a page, and what is refused as unclear. */
import { describe, expect, it } from 'vitest'
import { snippetsOf } from './snippets.ts'

const fenced = (info: string, code = 'a()'): string => `Text.\n\n\`\`\`${info}\n${code}\n\`\`\`\n`

describe('snippetsOf', () => {
  it('gives each ts fence with the line on which its code starts', () => {
    const page = `${fenced('ts')}${fenced('ts', 'b()\nc()')}`
    expect(snippetsOf('a.md', page)).toEqual([
      { page: 'a.md', line: 4, code: 'a()\n', isRun: true },
      { page: 'a.md', line: 9, code: 'b()\nc()\n', isRun: true },
    ])
  })

  it('takes the indentation of a list off', () => {
    expect(snippetsOf('a.md', '- x\n  ```ts\n  a(\n    1)\n  ```')[0]?.code).toBe('a(\n  1)\n')
  })

  it('leaves other languages and plain fences alone', () => {
    expect(snippetsOf('a.md', `${fenced('sh')}${fenced('')}${fenced('json')}`)).toEqual([])
  })

  it('does not look into a fence that shows one', () => {
    expect(snippetsOf('a.md', '````md\n```ts\na()\n```\n````\n')).toEqual([])
  })

  it('takes one that is not run only with its reason', () => {
    const reason = '<!-- no-run: waits for ever -->\n'
    expect(snippetsOf('a.md', `${reason}\`\`\`ts no-run\na()\n\`\`\``)[0]?.isRun).toBe(false)
    expect(() => snippetsOf('a.md', fenced('ts no-run'))).toThrow('a.md:3')
    expect(() => snippetsOf('a.md', `<!-- no-run: -->\n${fenced('ts no-run')}`)).toThrow('a.md:4')
  })

  it.each(['typescript', 'js', 'ts skip', 'tsx'])('refuses a fence of %j', (info) => {
    expect(() => snippetsOf('a.md', fenced(info))).toThrow('a.md:3')
  })

  it('refuses a fence that does not end', () => {
    expect(() => snippetsOf('a.md', '```ts\na()\n')).toThrow('does not end')
  })
})
