/**
 * UserProject: an empty directory in which the built package is installed, as a stranger's project
 * would have it. Programs put there find `streambed` and every package of the checkout by name.
 * Owns the directory and removes it; `npm run build` comes first.
 */
import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CHECKOUT } from './source-text.ts'

/** How a program ended: `code` is null where it was killed, after `output` of both streams. */
export interface ProgramEnd {
  readonly code: number | null
  readonly output: string
}

/** Longer than any snippet takes, shorter than anyone waits for one that hangs. */
const PROGRAM_TIMEOUT_MS = 60_000

/** A directory with the built package in its node_modules. */
export class UserProject {
  readonly directory: string

  constructor() {
    if (!existsSync(join(CHECKOUT, 'dist/index.js'))) {
      throw new Error('dist/index.js is missing: run `npm run build` first, as `npm test` does')
    }
    this.directory = mkdtempSync(join(tmpdir(), 'streambed-user-'))
    const modules = join(this.directory, 'node_modules')
    mkdirSync(modules)
    for (const name of readdirSync(join(CHECKOUT, 'node_modules'))) {
      if (!name.startsWith('.'))
        symlinkSync(join(CHECKOUT, 'node_modules', name), join(modules, name))
    }
    symlinkSync(CHECKOUT, join(modules, 'streambed'))
    this.write('package.json', '{ "type": "module", "private": true }\n')
  }

  /** Writes a file and gives its absolute path. */
  write(name: string, text: string): string {
    const path = join(this.directory, name)
    writeFileSync(path, text)
    return path
  }

  /** Runs the program `name` in a fresh directory of its own. Never rejects: read `code`. */
  run(name: string): Promise<ProgramEnd> {
    const cwd = mkdtempSync(join(this.directory, 'cwd-'))
    const program = ['--enable-source-maps', join(this.directory, name)]
    return new Promise((resolve) => {
      const options = { cwd, timeout: PROGRAM_TIMEOUT_MS, killSignal: 'SIGKILL' } as const
      const child = execFile(process.execPath, program, options, (error, stdout, stderr) => {
        const output = error?.killed
          ? `${stdout}${stderr}(killed: it did not end)`
          : stdout + stderr
        resolve({ code: child.exitCode, output })
      })
    })
  }

  /** Removes the directory with all that the programs left in it. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
