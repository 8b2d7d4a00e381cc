/**
 * How code reads here, as far as a machine can tell: one function a rule, pure over a parsed file.
 * Works on the syntax tree and the comments, so a word in a string is never taken for code.
 * test/tidy.test.ts runs them; export-rules.ts has the one rule that needs all files at once.
 */
import ts from 'typescript'
import { layerOf, moduleUses } from './import-rules.ts'
import { type Finding, type SourceText, isExported, walk } from './source-text.ts'

/** A rule, and the paths it holds for. */
interface TidyRule {
  readonly name: string
  readonly holdsFor: (path: string) => boolean
  readonly check: (source: SourceText) => readonly Finding[]
}

const MAX_FILE_LINES = 400
const MAX_FUNCTION_LINES = 60
const MAX_COLUMNS = 100
const LONG_TEXT = 60
const CLOCK = 'src/log/clock.ts'
const DRAWERS: ReadonlySet<string> = new Set([
  'utils',
  'util',
  'helpers',
  'helper',
  'common',
  'misc',
])
const DRAWER_NAMES: ReadonlySet<string> = new Set([...DRAWERS, 'types', 'constants'])
const TIME_FUNCTIONS: ReadonlySet<string> = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
])
const TIME_MEMBERS: ReadonlySet<string> = new Set([
  'Date.now',
  'Math.random',
  'performance.now',
  'process.hrtime',
  'AbortSignal.timeout',
])
const TIME_MODULES: ReadonlySet<string> = new Set([
  'node:timers',
  'node:timers/promises',
  'node:perf_hooks',
])
const GLOBALS: ReadonlySet<string> = new Set(['globalThis', 'global'])

const everywhere = (): boolean => true
const inSource = (path: string): boolean => path.startsWith('src/')

/** Every rule on a single file. */
const TIDY_RULES: readonly TidyRule[] = [
  { name: 'header', holdsFor: everywhere, check: headerFindings },
  { name: 'file name', holdsFor: everywhere, check: nameFindings },
  { name: 'length', holdsFor: everywhere, check: lengthFindings },
  { name: 'function length', holdsFor: inSource, check: functionFindings },
  { name: 'docs', holdsFor: inSource, check: docFindings },
  { name: 'to do', holdsFor: everywhere, check: toDoFindings },
  { name: 'syntax', holdsFor: (path) => !path.endsWith('.d.ts'), check: syntaxFindings },
  { name: 'cast', holdsFor: inSource, check: castFindings },
  { name: 'time', holdsFor: (path) => inSource(path) && path !== CLOCK, check: timeFindings },
  {
    name: 'console',
    holdsFor: (path) => inSource(path) && layerOf(path) !== 'cli',
    check: consoleFindings,
  },
  { name: 'test name', holdsFor: (path) => path.endsWith('.test.ts'), check: testNameFindings },
]

/** All that the rules find in one file. */
export function tidyFindings(source: SourceText): readonly Finding[] {
  return TIDY_RULES.filter((rule) => rule.holdsFor(source.path)).flatMap((rule) =>
    rule.check(source),
  )
}

/** The file opens with a comment about itself: not one that documents its first declaration. */
function headerFindings(source: SourceText): readonly Finding[] {
  const header = source.comments[0]
  const opens = header !== undefined && /^\s*(?:#!.*\s*)?$/.test(source.text.slice(0, header.start))
  if (!opens || !header.text.startsWith('/**')) return [onLine(source, 1, 'no header comment')]
  const after = source.text.slice(header.end)
  const first = source.tree.statements[0]
  const alone = /^\r?\n\r?\n/.test(after) || first === undefined || !isDeclaration(first)
  return alone ? [] : [onLine(source, 1, 'its first comment is about a declaration, not the file')]
}

function nameFindings(source: SourceText): readonly Finding[] {
  const names = source.path.replace(/(?:\.test)?\.ts$/, '').split('/')
  const drawer = names.find(
    (name) => DRAWER_NAMES.has(name) || DRAWERS.has(name.split('-').at(-1) ?? name),
  )
  return drawer === undefined ? [] : [onLine(source, 1, `'${drawer}' names a drawer, no concept`)]
}

function lengthFindings(source: SourceText): readonly Finding[] {
  const lines = source.text.split('\n')
  const lineCount = lines.at(-1) === '' ? lines.length - 1 : lines.length
  const findings: Finding[] = []
  if (lineCount > MAX_FILE_LINES) {
    findings.push(onLine(source, lineCount, `${lineCount} lines, allowed: ${MAX_FILE_LINES}`))
  }
  const long = lines.map((line) => line.length).map((columns, index) => ({ columns, index }))
  const tooLong = long.filter(({ columns }) => columns > MAX_COLUMNS)
  const unbreakable = tooLong.length === 0 ? new Set<number>() : linesOfLongText(source)
  for (const { columns, index } of tooLong) {
    if (unbreakable.has(index + 1)) continue
    findings.push(onLine(source, index + 1, `${columns} columns, allowed: ${MAX_COLUMNS}`))
  }
  return findings
}

/** Lines with a sentence for the user, a test's name or words to the linter: all in one piece. */
function linesOfLongText(source: SourceText): ReadonlySet<number> {
  const excuses = source.comments.filter(({ text }) => text.includes('oxlint-disable'))
  const lines = new Set(excuses.map(({ start }) => source.lineAt(start)))
  walk(source.tree, (node) => {
    if (!ts.isStringLiteralLike(node) && !ts.isTemplateExpression(node)) return
    if (node.end - node.getStart(source.tree) > LONG_TEXT) lines.add(source.lineAt(node.end))
  })
  return lines
}

function functionFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !('body' in node) || node.body === undefined) return
    const first = source.lineAt(node.getStart(source.tree))
    const lineCount = source.lineAt(node.end) - first + 1
    if (lineCount <= MAX_FUNCTION_LINES) return
    findings.push(
      source.at(node, `a function of ${lineCount} lines, allowed: ${MAX_FUNCTION_LINES}`),
    )
  })
  return findings
}

/** Each export says what it gives you. The header is about the file, so it does not count. */
function docFindings(source: SourceText): readonly Finding[] {
  const header = source.comments[0]?.start
  return source.tree.statements
    .filter((statement) => isExported(statement))
    .filter((statement) => {
      const docs = ts.getJSDocCommentsAndTags(statement).map((doc) => doc.getStart(source.tree))
      return docs.every((start) => start === header)
    })
    .map((statement) => source.at(statement, 'an export without a word about it'))
}

function toDoFindings(source: SourceText): readonly Finding[] {
  return source.comments
    .filter(({ text }) => /\b(?:TODO|FIXME|XXX|HACK)\b/.test(text))
    .map(({ start }) => onLine(source, source.lineAt(start), 'work left for later'))
}

/** Constructs that the style does without. */
function syntaxFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    const wrong = wrongSyntax(node, source)
    if (wrong !== null) findings.push(source.at(node, wrong))
  })
  return findings
}

function wrongSyntax(node: ts.Node, source: SourceText): string | null {
  if (ts.isEnumDeclaration(node)) return 'an enum: write a closed union'
  // `declare module 'x'` adds to the types of another package.
  if (ts.isModuleDeclaration(node) && ts.isIdentifier(node.name)) return 'a namespace'
  if (ts.isNonNullExpression(node)) return '`!` hides a case: handle it or assert it'
  if (ts.isTypeAssertionExpression(node)) return 'a cast in angle brackets'
  if (node.kind === ts.SyntaxKind.AnyKeyword) return isAnyExcused(node, source) ? null : '`any`'
  if (ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node)) {
    if (node.exclamationToken !== undefined) return '`!` promises a value that is not there yet'
  }
  if (ts.isExportAssignment(node)) {
    return source.path.endsWith('.config.ts') ? null : 'a default export'
  }
  if (ts.isHeritageClause(node)) return wrongHeritage(node)
  if (!isModifier(node)) return null
  if (node.kind === ts.SyntaxKind.DefaultKeyword) return 'a default export'
  // Only a constructor cannot be #private.
  return ts.isConstructorDeclaration(node.parent) ? null : `${node.getText()}: write #private`
}

function wrongHeritage(clause: ts.HeritageClause): string | null {
  if (clause.token !== ts.SyntaxKind.ExtendsKeyword || !ts.isClassLike(clause.parent)) return null
  const base = clause.types[0]?.expression.getText() ?? ''
  return base.endsWith('Error') ? null : `inherits from ${base}: only errors inherit`
}

/** The linter's own excuse, with its reason, is the only way to an `any`: in a public type, say. */
function isAnyExcused(node: ts.Node, source: SourceText): boolean {
  const line = source.lineAt(node.getStart())
  return source.comments.some(({ text, start, end }) => {
    if (!/oxlint-disable.*no-explicit-any.* -- \S/s.test(text)) return false
    if (/oxlint-disable-(?:next-)?line/.test(text)) {
      return source.lineAt(end) === line || source.lineAt(end) === line - 1
    }
    return start < node.getStart()
  })
}

/** A cast stands beside a comment that proves it: on its lines, or right above its statement. */
function castFindings(source: SourceText): readonly Finding[] {
  const commented = new Set<number>()
  for (const { text, start, end } of source.comments) {
    if (text.startsWith('/**')) continue
    for (let line = source.lineAt(start); line <= source.lineAt(end); line++) commented.add(line)
  }
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    if (!ts.isAsExpression(node) || ts.isConstTypeReference(node.type)) return
    const first = source.lineAt(statementOf(node).getStart(source.tree)) - 1
    const last = source.lineAt(node.end)
    for (let line = source.lineAt(node.getStart(source.tree)) - 1; line <= last; line++) {
      if (commented.has(line)) return
    }
    if (!commented.has(first)) findings.push(source.at(node, 'a cast without its proof beside it'))
  })
  return findings
}

/** Time, timers and chance come from the clock and the random source that the log was given. */
function timeFindings(source: SourceText): readonly Finding[] {
  const findings = moduleUses(source)
    .filter(({ specifier }) => specifier !== null && TIME_MODULES.has(specifier))
    .map(({ specifier, node }) => source.at(node, `${specifier}: time comes from the clock`))
  walk(source.tree, (node) => {
    const name = timeSource(node)
    if (name !== null)
      findings.push(source.at(node, `${name}: time and chance come from the clock`))
  })
  return findings
}

function timeSource(node: ts.Node): string | null {
  if (ts.isNewExpression(node) || ts.isCallExpression(node)) {
    const isDate = ts.isIdentifier(node.expression) && node.expression.text === 'Date'
    return isDate && (node.arguments?.length ?? 0) === 0 ? 'the date of now' : null
  }
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    const member = memberName(node)
    return member !== null && isTimeMember(member) ? member : null
  }
  if (ts.isIdentifier(node))
    return TIME_FUNCTIONS.has(node.text) && isValue(node) ? node.text : null
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    const object = node.initializer?.getText() ?? ''
    const taken = node.name.elements.map(({ propertyName, name }) =>
      (propertyName ?? name).getText(),
    )
    return taken.map((name) => `${object}.${name}`).find(isTimeMember) ?? null
  }
  return null
}

function isTimeMember(member: string): boolean {
  const [object, name] = member.split('.')
  if (object === undefined || name === undefined || !GLOBALS.has(object))
    return TIME_MEMBERS.has(member)
  return TIME_FUNCTIONS.has(name)
}

function consoleFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    const isConsole = ts.isIdentifier(node) && node.text === 'console' && isValue(node)
    if (isConsole) findings.push(source.at(node, 'console: what the log notices is an event'))
  })
  return findings
}

/** A test says what happens, so that its name can be false; and every test runs. */
function testNameFindings(source: SourceText): readonly Finding[] {
  const findings: Finding[] = []
  walk(source.tree, (node) => {
    if (!ts.isCallExpression(node)) return
    const callee = node.expression.getText(source.tree)
    if (!/^(?:it|test|describe)\b/.test(callee)) return
    const stopped = /\.(only|skip|todo)\b/.exec(callee)?.[1]
    if (stopped !== undefined) findings.push(source.at(node, `.${stopped}: every test runs`))
    const name = node.arguments[0]
    if (callee.startsWith('describe') || !name || !ts.isStringLiteralLike(name)) return
    if (/^should\b|^works\b|\bworks$/.test(name.text)) {
      findings.push(source.at(node, `'${name.text}': say what happens`))
    }
  })
  return findings
}

/** `Date.now`, also written `Date['now']`. */
function memberName(node: ts.PropertyAccessExpression | ts.ElementAccessExpression): string | null {
  if (!ts.isIdentifier(node.expression)) return null
  if (ts.isPropertyAccessExpression(node)) return `${node.expression.text}.${node.name.text}`
  const name = node.argumentExpression
  return ts.isStringLiteralLike(name) ? `${node.expression.text}.${name.text}` : null
}

/**
 * Whether an identifier stands for the value of that name: not for a member, or a name it gives.
 */
function isValue(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isShorthandPropertyAssignment(parent)) return true
  if ('name' in parent && parent.name === node) return false
  if (ts.isBindingElement(parent) && parent.propertyName === node) return false
  return !ts.isQualifiedName(parent) && !ts.isTypeQueryNode(parent) && !ts.isImportSpecifier(parent)
}

function isDeclaration(node: ts.Statement): boolean {
  const isAmbient = ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)
  return !isAmbient && !ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)
}

function isModifier(node: ts.Node): boolean {
  const { kind } = node
  return (
    kind === ts.SyntaxKind.DefaultKeyword ||
    kind === ts.SyntaxKind.PrivateKeyword ||
    kind === ts.SyntaxKind.ProtectedKeyword
  )
}

function statementOf(node: ts.Node): ts.Node {
  let at = node
  while (!ts.isStatement(at) && !ts.isClassElement(at) && !ts.isSourceFile(at)) at = at.parent
  return at
}

function onLine(source: SourceText, line: number, message: string): Finding {
  return { path: source.path, line, message }
}
