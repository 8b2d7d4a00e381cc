/**
 * What code must not do to the machine it runs on, as far as a machine can tell: make code out of
 * text, load code by a name that is not written down, start programs through a shell, or match text
 * in more time than is in proportion to it. test/security/source.test.ts runs these over src.
 */
import ts from 'typescript'
import { type Finding, type SourceText, walk } from './source-text.ts'

const MAKERS: ReadonlySet<string> = new Set(['eval', 'Function', 'RegExp', 'Worker'])
const MODULES: ReadonlySet<string> = new Set(['node:vm', 'vm', 'node:inspector', 'node:repl'])
const SHELLS: ReadonlySet<string> = new Set(['exec', 'execSync', 'spawn', 'spawnSync', 'fork'])

/** Code made of text, loaded by a computed name, or run by a shell. */
export function codeFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  const constants = textConstants(source)
  const loaders = loaderNames(source)
  walk(source.tree, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const { text } = node.moduleSpecifier
      if (MODULES.has(text)) findings.push(source.at(node, `${text}: makes code out of text`))
    }
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'dlopen')
      findings.push(source.at(node, 'dlopen: loads code by name'))
    if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return
    const called = nameOf(node.expression)
    if (MAKERS.has(called)) findings.push(source.at(node, `${called}: makes code out of text`))
    if (ts.isIdentifier(node.expression) && SHELLS.has(called))
      findings.push(source.at(node, `${called}: may start a shell`))
    const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword
    if (!isImport && !isLoader(node.expression, loaders)) return
    const [what] = node.arguments ?? []
    if (what !== undefined && !isWritten(what, constants))
      findings.push(source.at(node, 'code loaded by a computed name'))
  })
  return findings
}

/** Regular expressions that may take more time than is in proportion to the text. */
export function patternFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    if (!ts.isRegularExpressionLiteral(node)) return
    const problem = slowness(node.text.slice(1, node.text.lastIndexOf('/')))
    if (problem !== null) findings.push(source.at(node, `${node.text}: ${problem}`))
  })
  return findings
}

/**
 * Why a pattern may be slow; null where it cannot. Stricter than needed: what repeats without a
 * bound is allowed once, not inside of what is repeated itself, and only where no attempt can begin
 * in its middle: behind '^', or as the last of the pattern.
 */
export function slowness(pattern: string): string | null {
  const repeats = unboundedRepeats(pattern)
  if (repeats.some(({ isNested }) => isNested)) return 'a repeat in a repeat'
  if (repeats.length > 1) return 'two repeats without a bound'
  const [only] = repeats
  if (only === undefined || pattern.startsWith('^') || only.end === pattern.length) return null
  return 'a repeat without a bound that may begin anywhere'
}

interface Repeat {
  /** Behind it, in the pattern. */
  readonly end: number
  /** It is a group that holds another one. */
  readonly isNested: boolean
}

function unboundedRepeats(pattern: string): readonly Repeat[] {
  const repeats: Repeat[] = []
  /** For each open group, how many repeats there were before it. */
  const groups: number[] = []
  let hasInside = false
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at)
    let isAtom = true
    hasInside = false
    if (character === '\\') at += 1
    else if (character === '[') at = endOfClass(pattern, at)
    else if (character === '(') {
      groups.push(repeats.length)
      isAtom = false
    } else if (character === ')') hasInside = repeats.length > (groups.pop() ?? 0)
    if (!isAtom) continue
    const quantifier = /^(?:[*+]|\{\d+,\})\??/.exec(pattern.slice(at + 1))?.[0]
    if (quantifier === undefined) continue
    at += quantifier.length
    repeats.push({ end: at + 1, isNested: hasInside })
  }
  return repeats
}

function endOfClass(pattern: string, start: number): number {
  let at = start + 1
  while (at < pattern.length && pattern.charAt(at) !== ']')
    at += pattern.charAt(at) === '\\' ? 2 : 1
  return at
}

/** Names of constants of the file that are a text. */
function textConstants(source: SourceText): ReadonlySet<string> {
  const names = new Set<string>()
  for (const statement of source.tree.statements) {
    if (!ts.isVariableStatement(statement)) continue
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (ts.isIdentifier(name) && initializer !== undefined && ts.isStringLiteral(initializer))
        names.add(name.text)
    }
  }
  return names
}

/** `require`, however it came by its name, or its `resolve`. */
function isLoader(expression: ts.Expression, loaders: ReadonlySet<string>): boolean {
  if (ts.isPropertyAccessExpression(expression) && expression.name.text === 'resolve')
    return isLoader(expression.expression, loaders)
  if (ts.isCallExpression(expression)) return nameOf(expression.expression) === 'createRequire'
  return ts.isIdentifier(expression) && loaders.has(expression.text)
}

/** Names that hold what createRequire gave, or take it as a parameter. */
function loaderNames(source: SourceText): ReadonlySet<string> {
  const names = new Set(['require'])
  walk(source.tree, (node) => {
    if (ts.isVariableDeclaration(node) && ts.isIdentifier(node.name)) {
      const { initializer } = node
      if (initializer !== undefined && nameOf(initializer) === 'createRequire')
        names.add(node.name.text)
    }
    const isRequire = ts.isParameter(node) && node.type?.getText(source.tree) === 'NodeJS.Require'
    if (isRequire && ts.isIdentifier(node.name)) names.add(node.name.text)
  })
  return names
}

function isWritten(node: ts.Node, constants: ReadonlySet<string>): boolean {
  return ts.isStringLiteral(node) || (ts.isIdentifier(node) && constants.has(node.text))
}

function nameOf(expression: ts.Expression): string {
  if (ts.isIdentifier(expression)) return expression.text
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text
  return ts.isCallExpression(expression) ? nameOf(expression.expression) : ''
}
