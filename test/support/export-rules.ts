/**
 * Exports that nobody imports. An export is a promise that someone relies on: without a reader it
 * is either dead or private. Tests count as readers; the public entry has readers we don't see.
 * A type may be exported for the sake of another export of its file that mentions it.
 */
import { posix } from 'node:path'
import ts from 'typescript'
import { type Finding, type SourceText, isExported, walk } from './source-text.ts'

interface Export {
  readonly name: string
  readonly node: ts.Node
  readonly isType: boolean
}

/** Exports of files in src/ that no file of `sources` imports. */
export function unusedExportFindings(sources: readonly SourceText[]): readonly Finding[] {
  const used = new Set(sources.flatMap((source) => usedNames(source)))
  return sources
    .filter(({ path }) => path.startsWith('src/') && !path.endsWith('/index.ts'))
    .filter(({ path }) => !used.has(`${path}#*`))
    .flatMap((source) =>
      exportsOf(source)
        .filter(({ name }) => !used.has(`${source.path}#${name}`))
        .filter((unused) => !unused.isType || !isMentioned(source, unused))
        .map(({ name, node }) => source.at(node, `nobody imports ${name}`)),
    )
}

/** What a file takes from others, as `path#name`; `path#*` where it takes everything. */
function usedNames(source: SourceText): readonly string[] {
  const names: string[] = []
  const add = (specifier: ts.Node | undefined, name: string): void => {
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) return
    if (!specifier.text.startsWith('.')) return
    names.push(`${posix.join(posix.dirname(source.path), specifier.text)}#${name}`)
  }
  walk(source.tree, (node) => {
    if (ts.isImportDeclaration(node)) {
      const bindings = node.importClause?.namedBindings
      if (bindings === undefined || ts.isNamespaceImport(bindings)) add(node.moduleSpecifier, '*')
      else for (const name of givenNames(bindings)) add(node.moduleSpecifier, name)
    } else if (ts.isExportDeclaration(node)) {
      const given = node.exportClause && ts.isNamedExports(node.exportClause)
      if (!given || !node.exportClause || !ts.isNamedExports(node.exportClause)) {
        add(node.moduleSpecifier, '*')
      } else for (const name of givenNames(node.exportClause)) add(node.moduleSpecifier, name)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, node.qualifier?.getText(source.tree).split('.')[0] ?? '*')
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node.arguments[0], '*')
    }
  })
  return names
}

function givenNames(bindings: ts.NamedImports | ts.NamedExports): readonly string[] {
  return bindings.elements.map(({ propertyName, name }) => (propertyName ?? name).text)
}

function exportsOf(source: SourceText): readonly Export[] {
  const exports: Export[] = []
  for (const statement of source.tree.statements) {
    if (ts.isExportDeclaration(statement)) {
      if (!statement.exportClause || !ts.isNamedExports(statement.exportClause)) continue
      for (const node of statement.exportClause.elements) {
        exports.push({ name: node.name.text, node, isType: false })
      }
    } else if (isExported(statement)) {
      const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement)
      for (const node of declaredNames(statement)) exports.push({ name: node.text, node, isType })
    }
  }
  return exports
}

function declaredNames(statement: ts.Statement): readonly ts.Identifier[] {
  if (ts.isVariableStatement(statement)) {
    const { declarations } = statement.declarationList
    return declarations.map(({ name }) => name).filter((name) => ts.isIdentifier(name))
  }
  const name = 'name' in statement ? statement.name : undefined
  return isNode(name) && ts.isIdentifier(name) ? [name] : []
}

function isNode(value: unknown): value is ts.Node {
  return typeof value === 'object' && value !== null && 'kind' in value
}

/** Whether another export of the same file has `type` in it. */
function isMentioned(source: SourceText, type: Export): boolean {
  let mentioned = false
  for (const statement of source.tree.statements) {
    if (!isExported(statement) || declaredNames(statement).some(({ text }) => text === type.name)) {
      continue
    }
    walk(statement, (node) => {
      if (ts.isIdentifier(node) && node.text === type.name) mentioned = true
    })
  }
  return mentioned
}
