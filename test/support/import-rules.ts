/**
 * Which file may import which: the one direction of src/, and the packages that only one place may
 * know. Pure over parsed files; test/architecture.test.ts runs it over src/.
 *
 *   errors <- format <- storage <- log <- client <- features <- cli
 *
 * Types count as values do. Features don't import each other, but testing may import any of them,
 * and sql builds on streams. Nobody imports src/index.ts.
 */
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import ts from 'typescript'
import { type Finding, type SourceText, walk } from './source-text.ts'

/** One mention of a module in a file. `specifier` is null where it is computed at run time. */
export interface ModuleUse {
  readonly specifier: string | null
  readonly node: ts.Node
}

const LAYERS: readonly (readonly string[])[] = [
  ['errors'],
  ['format'],
  ['storage'],
  ['log'],
  ['client'],
  ['event-store', 'streams', 'sql', 'schema', 'connect', 'kafka-bridge', 'kafka-server', 'testing'],
  ['cli'],
]
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  testing: ['event-store', 'streams', 'sql', 'schema', 'connect', 'kafka-bridge', 'kafka-server'],
  sql: ['streams'],
}

/** Packages that one file, or one folder, may know; any other package is free to all but format. */
const PLACES: Readonly<Record<string, string>> = {
  'crc-32': 'src/format/crc32c.ts',
  '@node-rs/crc32': 'src/format/crc32c.ts',
  koffi: 'src/storage/native-binding.ts',
  'lz4-napi': 'src/format/',
  snappy: 'src/format/',
  snappyjs: 'src/format/',
  '@bokuweb/zstd-wasm': 'src/format/',
}
const FILE_MODULES: ReadonlySet<string> = new Set(['node:fs', 'node:fs/promises', 'fs-extra'])
/** Format is pure functions over bytes: no file, no clock, no event loop. */
const FORMAT_BUILTINS: ReadonlySet<string> = new Set(['node:buffer', 'node:module', 'node:zlib'])
const BUILTINS: ReadonlySet<string> = new Set(builtinModules)

/** What is wrong with the imports of one file of src/; `exists` says whether a path is a file. */
export function importFindings(
  source: SourceText,
  exists: (path: string) => boolean,
): readonly Finding[] {
  const findings: Finding[] = []
  for (const { specifier, node } of moduleUses(source)) {
    const wrong =
      specifier === null
        ? computedFinding(source.path)
        : specifier.startsWith('.')
          ? relativeFinding(source.path, specifier, exists)
          : packageFinding(source.path, specifier)
    if (wrong !== null) findings.push(source.at(node, wrong))
  }
  return findings
}

/** Every module that a file names: imports, re-exports, import types, import(), require(). */
export function moduleUses(source: SourceText): readonly ModuleUse[] {
  const uses: ModuleUse[] = []
  const loaders = new Set(['require'])
  const add = (node: ts.Node, name: ts.Node | undefined): void => {
    uses.push({ specifier: name && ts.isStringLiteralLike(name) ? name.text : null, node })
  }
  walk(source.tree, (node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier)
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node, node.moduleSpecifier)
    else if (ts.isExternalModuleReference(node)) add(node, node.expression)
    else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined)
    } else if (
      ts.isVariableDeclaration(node) &&
      node.initializer &&
      makesLoader(node.initializer)
    ) {
      loaders.add(node.name.getText(source.tree))
    } else if (ts.isCallExpression(node) && isLoad(node.expression, loaders)) {
      add(node, node.arguments[0])
    }
  })
  return uses
}

/** The layer of a file of src/, or null: src/index.ts is in none and may import all. */
export function layerOf(path: string): string | null {
  const [top, layer, ...rest] = path.split('/')
  return top === 'src' && layer !== undefined && rest.length > 0 ? layer : null
}

function relativeFinding(
  from: string,
  specifier: string,
  exists: (path: string) => boolean,
): string | null {
  const to = posix.join(posix.dirname(from), specifier)
  if (!exists(to)) return `imports ${specifier}, which is no file`
  if (to === 'src/index.ts') return 'imports src/index.ts, which is for users only'
  const [layer, target] = [layerOf(from), layerOf(to)]
  if (target === null) return `imports ${specifier}, outside of src`
  if (layer === null || layer === target) return null
  const [rank, targetRank] = [rankOf(layer), rankOf(target)]
  if (rank === -1 || targetRank === -1) {
    return `${rank === -1 ? layer : target}/ is no layer: give it a place in test/support/import-rules.ts`
  }
  if (targetRank < rank) return null
  if (targetRank === rank && BESIDE[layer]?.includes(target)) return null
  return `${layer}/ imports ${specifier}: ${target}/ is ${targetRank === rank ? 'beside' : 'above'} it`
}

function packageFinding(from: string, specifier: string): string | null {
  const layer = layerOf(from)
  if (BUILTINS.has(specifier)) return `imports ${specifier}: write node:${specifier}`
  if (FILE_MODULES.has(specifier)) {
    return layer === 'storage' || layer === 'cli'
      ? null
      : `imports ${specifier} outside of storage/`
  }
  if (specifier.startsWith('node:')) {
    return layer !== 'format' || FORMAT_BUILTINS.has(specifier)
      ? null
      : `imports ${specifier}: format/ is pure functions over bytes`
  }
  const place = PLACES[packageOf(specifier)]
  if (place !== undefined)
    return from.startsWith(place) ? null : `imports ${specifier} outside of ${place}`
  if (layer === null || ['errors', 'format', 'storage', 'log'].includes(layer)) {
    return `imports ${specifier}: no dependency below client/ without its place in test/support/import-rules.ts`
  }
  return null
}

/** A module named at run time could be any; only where each package is allowed may it be. */
function computedFinding(from: string): string | null {
  return from.startsWith('src/format/') || from === PLACES['koffi']
    ? null
    : 'loads a module whose name is computed: nobody can see which'
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

function rankOf(layer: string): number {
  return LAYERS.findIndex((names) => names.includes(layer))
}

/** `createRequire(…)`: what it gives loads modules. */
function makesLoader(node: ts.Expression): boolean {
  return ts.isCallExpression(node) && /\bcreateRequire$/.test(node.expression.getText())
}

/** Whether calling `callee` loads, or looks for, the module in its first argument. */
function isLoad(callee: ts.Expression, loaders: ReadonlySet<string>): boolean {
  if (callee.kind === ts.SyntaxKind.ImportKeyword) return true
  if (ts.isIdentifier(callee)) return loaders.has(callee.text)
  if (makesLoader(callee)) return true
  if (!ts.isPropertyAccessExpression(callee)) return false
  if (callee.name.text === 'getBuiltinModule') return true
  return callee.name.text === 'resolve' && isLoad(callee.expression, loaders)
}
