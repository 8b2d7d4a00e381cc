/**
 * The corpus: files below fuzz/corpus/<target>/, named after the hash of what they hold. They are
 * where campaigns start from, and what test/fuzz/ replays in every run of the tests.
 *
 * Inputs that broke a promise are kept apart, in fuzz/findings/, which is not in the tree: once
 * their bug is fixed they go into the corpus.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CORPUS = fileURLToPath(new URL('./corpus/', import.meta.url))
const FINDINGS = fileURLToPath(new URL('./findings/', import.meta.url))

/** One input of the corpus. */
export interface CorpusFile {
  readonly name: string
  readonly input: Buffer
}

/** Every input that is kept for `targetName`, by name. */
export function readCorpus(targetName: string): readonly CorpusFile[] {
  const directory = join(CORPUS, targetName)
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .sort()
    .map((name) => ({ name, input: readFileSync(join(directory, name)) }))
}

/** Makes `inputs` all that is kept for `targetName`. */
export function replaceCorpus(targetName: string, inputs: readonly Uint8Array[]): void {
  const directory = join(CORPUS, targetName)
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  for (const input of inputs) writeFileSync(join(directory, nameOf(input)), input)
}

/** Keeps an input that broke a promise, and returns where. */
export function keepFinding(targetName: string, input: Uint8Array): string {
  mkdirSync(FINDINGS, { recursive: true })
  const path = join(FINDINGS, `${targetName}-${nameOf(input)}`)
  writeFileSync(path, input)
  return path
}

function nameOf(input: Uint8Array): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16)
}
