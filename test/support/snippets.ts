/**
 * The TypeScript snippets of a Markdown page. A reader copies one and runs it, so a test does too:
 * each ```ts fence is a program of its own. One that cannot run in a test, because it waits for
 * ever or needs a server, says so in its fence, with the reason in a comment right above it:
 *
 *   <!-- no-run: waits for records until it is stopped -->
 *   ```ts no-run
 */

/** One fenced program, and the line of the page on which its code starts. */
export interface Snippet {
  readonly page: string
  readonly line: number
  readonly code: string
  readonly isRun: boolean
}

const FENCE = /^(?<indent> *)(?<marks>`{3,}|~{3,})\s*(?<info>.*?)\s*$/
const REASON = /^<!--\s*no-run:\s*\S.*-->$/
/** Other names of the language would slip past the test. */
const OTHER_NAMES: ReadonlySet<string> = new Set([
  'typescript',
  'tsx',
  'mts',
  'cts',
  'js',
  'javascript',
  'jsx',
  'mjs',
  'cjs',
])

/** All snippets of `page`. Throws where a fence is unclear about being one. */
export function snippetsOf(page: string, markdown: string): readonly Snippet[] {
  const lines = markdown.split('\n')
  const snippets: Snippet[] = []
  let at = 0
  while (at < lines.length) {
    const fence = FENCE.exec(lines[at] ?? '')?.groups
    if (fence === undefined) {
      at++
      continue
    }
    const { indent = '', marks = '', info = '' } = fence
    const start = at + 1
    const isEnd = (line: string): boolean => line.trim() === marks
    const end = lines.findIndex((line, index) => index >= start && isEnd(line))
    if (end === -1) throw new Error(`${page}:${start}: this fence does not end`)
    if (isProgram(info, `${page}:${start}`, lines.slice(0, at))) {
      const code = lines.slice(start, end).map((line) => line.replace(indent, ''))
      const isRun = info === 'ts'
      snippets.push({ page, line: start + 1, code: `${code.join('\n')}\n`, isRun })
    }
    at = end + 1
  }
  return snippets
}

function isProgram(info: string, place: string, above: readonly string[]): boolean {
  const [language = '', ...words] = info.split(/\s+/)
  if (OTHER_NAMES.has(language)) throw new Error(`${place}: call the language 'ts'`)
  if (language !== 'ts') return false
  if (words.length === 0) return true
  if (words.join(' ') !== 'no-run') throw new Error(`${place}: only 'no-run' may follow 'ts'`)
  const comment = above.findLast((line) => line.trim() !== '')?.trim() ?? ''
  if (!REASON.test(comment)) throw new Error(`${place}: say why in <!-- no-run: … --> above`)
  return true
}
