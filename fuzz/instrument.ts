/**
 * Compiles the targets and what they import to plain JavaScript that counts where it has been.
 *
 * Each branch of src/ (function, loop, arm of an `if`, `?:`, `&&`, `||`, `??`, `case`, `catch`)
 * adds one to a counter of its own in a global byte array, so a run of a parser leaves a picture
 * of the way it took, at the price of an increment a branch. That is ten to a hundred times
 * cheaper than asking V8 for its precise coverage after each run, and needs no native addon, as
 * jazzer.js does. Only src/ is counted: what the targets themselves do is of no interest.
 *
 * The literals of src/ are collected on the way: magic numbers and names that chance never hits.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { COUNTERS_NAME } from './counters-name.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Below node_modules, so that packages are found from there. */
const CACHE = join(ROOT, 'node_modules', '.cache')
const LONGEST_TEXT = 40

const OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ES2022,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
}

/** A compiled module, to be removed after use. */
export interface InstrumentedSource {
  readonly path: string
  /** How many branches there are: the size of the array to count in. */
  readonly counterCount: number
  /** Literals of the source, as bytes. */
  readonly dictionary: readonly Buffer[]
  remove(): void
}

/** Compiles `entry` and what it imports from this checkout, without checking types. */
export function compileInstrumented(entry: string): InstrumentedSource {
  mkdirSync(CACHE, { recursive: true })
  const directory = mkdtempSync(join(CACHE, 'streambed-fuzz-'))
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  const outputOf = (file: string): string =>
    join(directory, relative(ROOT, file)).replace(/\.ts$/, '.js')
  const instrumenter = new Instrumenter()
  const files = new Set([entry])
  for (const file of files) {
    // Grows while it is walked.
    const source = readFileSync(file, 'utf8')
    for (const { fileName } of ts.preProcessFile(source).importedFiles) {
      if (fileName.startsWith('.')) files.add(resolve(dirname(file), fileName))
    }
    const isCounted = relative(ROOT, file).startsWith('src')
    const before = isCounted ? [instrumenter.transformer] : []
    const output = ts.transpileModule(source, {
      compilerOptions: OPTIONS,
      transformers: { before },
    })
    mkdirSync(dirname(outputOf(file)), { recursive: true })
    writeFileSync(outputOf(file), output.outputText)
  }
  return {
    path: outputOf(entry),
    counterCount: instrumenter.counterCount,
    dictionary: instrumenter.dictionary,
    remove: () => rmSync(directory, { recursive: true }),
  }
}

class Instrumenter {
  counterCount = 0
  readonly #numbers = new Set<number>()
  readonly #texts = new Set<string>()

  readonly transformer: ts.TransformerFactory<ts.SourceFile> = (context) => (file) => {
    const visit = (node: ts.Node): ts.Node => {
      this.#collect(node)
      return this.#counted(ts.visitEachChild(node, visit, context))
    }
    return ts.visitEachChild(file, visit, context)
  }

  get dictionary(): readonly Buffer[] {
    const words: Buffer[] = [...this.#texts].map((text) => Buffer.from(text))
    for (const value of this.#numbers) words.push(...widthsOf(value))
    return words
  }

  #collect(node: ts.Node): void {
    if (ts.isNumericLiteral(node)) this.#numbers.add(Number(node.text))
    else if (ts.isStringLiteral(node) && !isSentence(node.text)) this.#texts.add(node.text)
  }

  #counted(node: ts.Node): ts.Node {
    if (ts.isIfStatement(node)) {
      const otherwise = node.elseStatement ?? ts.factory.createBlock([])
      return ts.factory.updateIfStatement(
        node,
        node.expression,
        this.#body(node.thenStatement),
        this.#body(otherwise),
      )
    }
    if (ts.isConditionalExpression(node)) {
      return ts.factory.updateConditionalExpression(
        node,
        node.condition,
        node.questionToken,
        this.#value(node.whenTrue),
        node.colonToken,
        this.#value(node.whenFalse),
      )
    }
    if (ts.isBinaryExpression(node) && isShortCircuit(node.operatorToken.kind)) {
      return ts.factory.updateBinaryExpression(
        node,
        node.left,
        node.operatorToken,
        this.#value(node.right),
      )
    }
    if (ts.isCaseClause(node)) {
      const statements = [this.#increment(), ...node.statements]
      return ts.factory.updateCaseClause(node, node.expression, statements)
    }
    if (ts.isDefaultClause(node)) {
      return ts.factory.updateDefaultClause(node, [this.#increment(), ...node.statements])
    }
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      return ts.factory.updateArrowFunction(
        node,
        node.modifiers,
        node.typeParameters,
        node.parameters,
        node.type,
        node.equalsGreaterThanToken,
        this.#value(node.body),
      )
    }
    if (ts.isBlock(node)) return this.#countedBlock(node)
    if (ts.isForStatement(node)) {
      return ts.factory.updateForStatement(
        node,
        node.initializer,
        node.condition,
        node.incrementor,
        this.#body(node.statement),
      )
    }
    if (ts.isForOfStatement(node)) {
      return ts.factory.updateForOfStatement(
        node,
        node.awaitModifier,
        node.initializer,
        node.expression,
        this.#body(node.statement),
      )
    }
    if (ts.isWhileStatement(node)) {
      return ts.factory.updateWhileStatement(node, node.expression, this.#body(node.statement))
    }
    return node
  }

  /** A block is a function's, a loop's, an arm's or a `catch`: it counts itself. */
  #countedBlock(block: ts.Block): ts.Block {
    return ts.factory.updateBlock(block, [this.#increment(), ...block.statements])
  }

  /** A block has been counted when it was visited; a lone statement becomes one. */
  #body(statement: ts.Statement): ts.Statement {
    if (ts.isBlock(statement) && statement.statements.length > 0) return statement
    return ts.factory.createBlock([this.#increment(), statement])
  }

  #value(expression: ts.Expression): ts.Expression {
    return ts.factory.createParenthesizedExpression(
      ts.factory.createComma(this.#incrementExpression(), expression),
    )
  }

  #increment(): ts.Statement {
    return ts.factory.createExpressionStatement(this.#incrementExpression())
  }

  #incrementExpression(): ts.Expression {
    const counter = ts.factory.createElementAccessExpression(
      ts.factory.createIdentifier(COUNTERS_NAME),
      this.counterCount,
    )
    this.counterCount += 1
    return ts.factory.createPostfixIncrement(counter)
  }
}

function isShortCircuit(kind: ts.SyntaxKind): boolean {
  return (
    kind === ts.SyntaxKind.AmpersandAmpersandToken ||
    kind === ts.SyntaxKind.BarBarToken ||
    kind === ts.SyntaxKind.QuestionQuestionToken
  )
}

/** Words to the user, and names of modules, are not in any file. */
function isSentence(text: string): boolean {
  return text === '' || text.length > LONGEST_TEXT || text.includes('/') || / .* /.test(text)
}

/** A number as it may stand in a file: as text, and in every width that it fits. */
function widthsOf(value: number): readonly Buffer[] {
  if (!Number.isSafeInteger(value)) return []
  const words = [Buffer.from(String(value))]
  for (const byteLength of [1, 2, 4]) {
    if (value < 0 || value >= 256 ** byteLength) continue
    const bytes = Buffer.alloc(byteLength)
    bytes.writeUIntBE(value, 0, byteLength)
    words.push(bytes)
    if (byteLength > 1) words.push(Buffer.from([...bytes].toReversed()))
  }
  return words
}
