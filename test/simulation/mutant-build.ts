/**
 * Builds of the library that lack one rule each: the sources of this checkout as plain JavaScript,
 * with one place changed, beside the simulation. What is not changed is shared between all of them.
 */
import { spawn } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { compileToPlainModules, PLAIN_OPTIONS } from '../support/plain-source.ts'
import type { Mutant } from './mutants.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CHILD = 'test/simulation/mutant-child.ts'

/** What became of a mutant. */
export interface MutantResult {
  readonly seedCount: number
  /** The seed that found it; undefined where none did. */
  readonly seed?: number
  readonly stepCount?: number
  readonly message?: string
}

/** The builds of one run of the tests. */
export class MutantBuilds {
  readonly #plain = compileToPlainModules(join(ROOT, CHILD))
  readonly #root: string
  readonly #files: readonly string[]

  constructor() {
    this.#root = this.#plain.directory
    this.#files = readdirSync(this.#root, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.js(on)?$/.test(name),
    )
  }

  /** Plays `seeds`, and after them those from 1 to `more`, on a build with `mutant` in it. */
  async play(mutant: Mutant | null, seeds: readonly number[], more: number): Promise<MutantResult> {
    const directory = mkdtempSync(`${this.#root}-mutant-`)
    try {
      for (const name of this.#files) {
        mkdirSync(dirname(join(directory, name)), { recursive: true })
        linkSync(join(this.#root, name), join(directory, name))
      }
      if (mutant !== null) this.#change(directory, mutant)
      const child = join(directory, CHILD.replace(/ts$/, 'js'))
      const faults = mutant?.faults ?? ['crash', 'full', 'io', 'slow', 'clock']
      const text = await output([child, seeds.join(','), faults.join(','), `${more}`])
      const result: unknown = JSON.parse(text)
      return result as MutantResult // As mutant-child.ts prints it.
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  remove(): void {
    this.#plain.remove()
  }

  #change(directory: string, mutant: Mutant): void {
    for (const [name, text] of mutatedTexts(mutant)) {
      const file = join(directory, name.replace(/ts$/, 'js'))
      const { outputText } = ts.transpileModule(text, { compilerOptions: PLAIN_OPTIONS })
      unlinkSync(file) // It is shared with the others.
      writeFileSync(file, outputText)
    }
  }
}

/** The sources of a mutant with the rule left out, by file; throws where a place is not there. */
export function mutatedTexts(mutant: Mutant): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const { file, find, replace } of [mutant, ...(mutant.also ?? [])]) {
    const source = texts.get(file) ?? readFileSync(join(ROOT, file), 'utf8')
    const places = source.split(find).length - 1
    if (places !== 1) throw new Error(`${relative(ROOT, file)}: ${places} places are: ${find}`)
    texts.set(
      file,
      source.replace(find, () => replace),
    )
  }
  return texts
}

function output(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(text)
      else reject(new Error(`the mutant's process ended with ${code}: ${errors.slice(0, 2_000)}`))
    })
  })
}
