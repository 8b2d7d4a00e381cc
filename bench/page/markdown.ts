/**
 * Markdown: tables and what goes into their cells.
 */

/** A table; the first line has the headings. Columns but the first `leftCount` are numbers. */
export function markdownTable(
  lines: readonly (readonly string[])[],
  leftCount: number = 1,
): readonly string[] {
  const [head = [], ...rest] = lines
  const rule = head.map((_, column) => (column < leftCount ? '---' : '---:'))
  return [head, rule, ...rest].map(
    (cells) => `| ${cells.map((cell) => cellOf(cell)).join(' | ')} |`,
  )
}

/** What is folded away until somebody wants to see it. */
export function folded(summary: string, inner: readonly string[]): readonly string[] {
  return ['<details>', `<summary>${summary}</summary>`, '', ...inner, '', '</details>']
}

/** Text that is nothing but text: what looks like an element is none. */
export function plainText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('\n', ' ')
}

/** Bars end a cell. */
function cellOf(text: string): string {
  return plainText(text).replaceAll('|', '\\|')
}
