/**
 * Log directories that others wrote, each as one file of test/vectors: its files by their paths,
 * and what is known of them, as JSON in gzip.
 */
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { temporaryDirectory } from './temporary-directory.ts'

interface StoredLog {
  /** Contents in base64. */
  readonly files: Readonly<Record<string, string>>
  readonly facts: unknown
}

const pathOf = (name: string): URL => new URL(`../vectors/${name}.json.gz`, import.meta.url)

/** Keeps `directory` and these facts under `name`. */
export function writeStoredLog(name: string, directory: string, facts: unknown): void {
  const files: Record<string, string> = {}
  for (const path of readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const file = join(directory, path)
    if (statSync(file).isFile()) files[path] = readFileSync(file).toString('base64')
  }
  const stored: StoredLog = { files, facts }
  writeFileSync(pathOf(name), gzipSync(JSON.stringify(stored), { level: 9 }))
}

/** A new directory with the files kept under `name`, and what is known of them. */
export function unpackStoredLog(name: string): { directory: string; facts: unknown } {
  // As writeStoredLog wrote it.
  const stored = JSON.parse(gunzipSync(readFileSync(pathOf(name))).toString()) as StoredLog
  const directory = temporaryDirectory()
  for (const [path, content] of Object.entries(stored.files)) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, Buffer.from(content, 'base64'))
  }
  return { directory, facts: stored.facts }
}
