/**
 * SourceText: one TypeScript file as the tests about the code see it: its path, lines, syntax tree
 * and comments. Owns reading and parsing; what is right or wrong is for import-rules.ts and
 * tidy-rules.ts to say. Paths are relative to the checkout, with '/' between names.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** Where package.json is. */
export const CHECKOUT: string = fileURLToPath(new URL('../../', import.meta.url))

/** Something that must not be, and where. */
export interface Finding {
  readonly path: string
  readonly line: number
  readonly message: string
}

/** One comment, without the white space around it. */
export interface Comment {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** One file, parsed. */
export class SourceText {
  readonly path: string
  readonly text: string
  readonly tree: ts.SourceFile
  #comments: readonly Comment[] | undefined

  constructor(path: string, text: string) {
    this.path = path
    this.text = text
    this.tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true)
  }

  /** Every comment, in order. */
  get comments(): readonly Comment[] {
    this.#comments ??= commentsOf(this.tree)
    return this.#comments
  }

  /** Number of the line that holds `position`, from 1. */
  lineAt(position: number): number {
    return this.tree.getLineAndCharacterOfPosition(position).line + 1
  }

  /** A finding at `node`. */
  at(node: ts.Node, message: string): Finding {
    return { path: this.path, line: this.lineAt(node.getStart(this.tree)), message }
  }
}

/** Every .ts file below `directories` of the checkout, parsed, but those in `except`. */
export function readSources(
  directories: readonly string[],
  except: readonly string[] = [],
): readonly SourceText[] {
  return directories
    .flatMap((directory) => filesBelow(directory))
    .filter((path) => path.endsWith('.ts') && !except.some((prefix) => path.startsWith(prefix)))
    .map((path) => new SourceText(path, readFileSync(join(CHECKOUT, path), 'utf8')))
}

/**
 * Paths of all files below `directory` of the checkout, in order, without installed packages; none
 * where it is missing.
 */
export function filesBelow(directory: string): readonly string[] {
  try {
    return readdirSync(join(CHECKOUT, directory), { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(CHECKOUT.length))
      .map((path) => path.replaceAll('\\', '/'))
      .filter((path) => !path.includes('/node_modules/'))
      .toSorted()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}

/** Calls `visit` on every node of the tree, parents first. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

/** Whether a statement declares something for others. */
export function isExported(statement: ts.Statement): boolean {
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false
}

/** One line a finding, as compilers print them, so that a terminal links to the place. */
export function shown(findings: readonly Finding[]): readonly string[] {
  return findings.map(({ path, line, message }) => `${path}:${line}: ${message}`)
}

/** Between two tokens lie only white space and comments, so every comment is found once. */
function commentsOf(tree: ts.SourceFile): readonly Comment[] {
  const comments: Comment[] = []
  const take = (start: number, end: number): void => {
    comments.push({ text: tree.text.slice(start, end), start, end })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return
    const children = node.getChildren(tree)
    if (children.length > 0) {
      children.forEach(visit)
      return
    }
    const seen = comments.at(-1)?.end ?? 0
    ts.forEachLeadingCommentRange(tree.text, node.pos, (start, end) => {
      if (start >= seen) take(start, end)
    })
    ts.forEachTrailingCommentRange(tree.text, node.pos, (start, end) => {
      if (start >= seen) take(start, end)
    })
  }
  visit(tree)
  return comments.toSorted((one, other) => one.start - other.start)
}
