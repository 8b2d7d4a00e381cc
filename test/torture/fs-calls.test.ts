/**
 * The tests that kill a process at its nth call, and those that replay what it did, know every call
 * by which src/storage reaches the file system. Found by the types of its sources.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { CHECKOUT } from '../support/source-text.ts'
import { FS_EFFECTS } from './fs-calls.ts'

const STORAGE = join(CHECKOUT, 'src/storage')

/** Names of all that a program takes from node:fs, as `FS_EFFECTS` has them, and from C. */
function fsCallsIn(files: readonly string[]): ReadonlySet<string> {
  const program = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    types: ['node'],
  })
  const checker = program.getTypeChecker()
  const found = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const name = fsNameOf(checker, node)
      if (name !== null) found.add(name)
    }
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
      const [first] = node.arguments
      const isBinding = node.expression.name.text === 'func'
      if (isBinding && first && ts.isStringLiteral(first)) found.add(`native.${first.text}`)
    }
    ts.forEachChild(node, visit)
  }
  for (const file of files) {
    const source = program.getSourceFile(file)
    if (source !== undefined) visit(source)
  }
  return found
}

/** What an identifier names of Node's file system; null for anything else, its types included. */
function fsNameOf(checker: ts.TypeChecker, node: ts.Identifier): string | null {
  const named = checker.getSymbolAtLocation(node)
  if (named === undefined) return null
  const isAlias = (named.flags & ts.SymbolFlags.Alias) !== 0
  const symbol = isAlias ? checker.getAliasedSymbol(named) : named
  const declaration = symbol.valueDeclaration
  if (declaration === undefined) return null
  const file = declaration.getSourceFile().fileName
  if (!/@types\/node\/fs(\/promises)?\.d\.ts$/.test(file)) return null
  const isMethod = ts.isMethodSignature(declaration) || ts.isMethodDeclaration(declaration)
  if (isMethod) {
    const { parent } = declaration
    return ts.isInterfaceDeclaration(parent) && parent.name.text === 'FileHandle'
      ? `handle.${symbol.name}`
      : null
  }
  const type = checker.getTypeOfSymbolAtLocation(symbol, node)
  if (type.getCallSignatures().length === 0) return null
  return file.endsWith('promises.d.ts') ? `promises.${symbol.name}` : symbol.name
}

describe('the calls to the file system', () => {
  const files = readdirSync(STORAGE).map((name) => join(STORAGE, name))
  const used = fsCallsIn(files)

  it('are all known that src/storage makes', () => {
    expect(used).toContain('writeSync')
    expect(used).toContain('promises.open')
    expect(used).toContain('handle.sync')
    expect(used).toContain('native.fallocate')
    expect([...used].filter((name) => !(name in FS_EFFECTS)).toSorted()).toEqual([])
  })

  it('are all made by src/storage that are known', () => {
    const known = Object.keys(FS_EFFECTS)
    expect(known.filter((name) => !used.has(name)).toSorted()).toEqual([])
  })
})
