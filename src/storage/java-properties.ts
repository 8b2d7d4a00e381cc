/**
 * Java's .properties text, as java.util.Properties reads and writes it, as far as meta.properties
 * needs: comments (# and !), any of `=`, `:` or white space behind a key, continued lines, escapes.
 *
 *   # comment
 *   cluster.id=YGgQjDL4RBy2yl\
 *              W8qSn4Hg
 *
 * Pure. Written is ASCII only, so that a reader for Latin-1 and one for UTF-8 see the same. A
 * malformed \u escape is damage: undefined.
 */

const LETTER_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['t', '\t'],
  ['n', '\n'],
  ['r', '\r'],
  ['f', '\f'],
])
const ESCAPED_LETTERS: ReadonlyMap<string, string> = new Map([
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\f', '\\f'],
])

/** The properties in the order of the text, the last of a key counting; undefined when damaged. */
export function parseJavaProperties(text: string): Map<string, string> | undefined {
  const properties = new Map<string, string>()
  for (const line of logicalLines(text)) {
    const keyEnd = endOfKey(line)
    const key = unescaped(line.slice(0, keyEnd))
    const value = unescaped(line.slice(keyEnd).replace(/^[ \t\f]*[=:]?[ \t\f]*/, ''))
    if (key === undefined || value === undefined) return undefined
    properties.set(key, value)
  }
  return properties
}

/** The text of `properties`, a line each, in their order. */
export function formatJavaProperties(
  properties: Iterable<readonly [key: string, value: string]>,
): string {
  let text = ''
  for (const [key, value] of properties) {
    text += `${escaped(key).replaceAll(' ', '\\ ')}=${escaped(value).replace(/^ /, '\\ ')}\n`
  }
  return text
}

/** Without comments and blank lines; a line that ends in a lone backslash goes on in the next. */
function logicalLines(text: string): readonly string[] {
  const lines: string[] = []
  // Pieces, joined once: the time is in proportion to the text, whatever it holds.
  let pieces: string[] = []
  const finish = (): void => {
    const line = pieces.join('')
    if (line !== '') lines.push(line)
    pieces = []
  }
  for (const natural of text.split(/\r\n|\r|\n/)) {
    const line: string = natural.replace(/^[ \t\f]+/, '')
    if (pieces.length === 0 && (line === '' || /^[#!]/.test(line))) continue
    const goesOn = backslashesAtEnd(line) % 2 === 1
    pieces.push(goesOn ? line.slice(0, -1) : line)
    if (!goesOn) finish()
  }
  finish()
  return lines
}

function backslashesAtEnd(line: string): number {
  let count = 0
  while (count < line.length && line.charAt(line.length - 1 - count) === '\\') count += 1
  return count
}

/** Where the first `=`, `:` or white space without a backslash before it stands. */
function endOfKey(line: string): number {
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at)
    if (character === '\\') at++
    else if ('=: \t\f'.includes(character)) return at
  }
  return line.length
}

function unescaped(text: string): string | undefined {
  let isDamaged = false
  const result = text.replace(/\\(u[0-9a-fA-F]{4}|[^]|$)/g, (_escape, body: string) => {
    if (body.length === 5) return String.fromCharCode(Number.parseInt(body.slice(1), 16))
    if (body === 'u') isDamaged = true
    return LETTER_ESCAPES.get(body) ?? body
  })
  return isDamaged ? undefined : result
}

function escaped(text: string): string {
  return text.replace(/[\\=:#!\t\n\r\f]|[^ -~]/g, (character) => {
    const letter = ESCAPED_LETTERS.get(character)
    if (letter !== undefined) return letter
    if (character >= ' ' && character <= '~') return `\\${character}`
    return `\\u${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
  })
}
