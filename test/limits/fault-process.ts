/**
 * A process with a log, for tests of what others do to its files: asked step by step, it answers
 * with what came of each, or dies, which is an answer too.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, onTestFinished } from 'vitest'
import type { EventLogOptions } from '../../src/index.ts'
import { compileToPlainSource } from '../support/plain-source.ts'

/** What it can be asked to do. */
export type FaultStep =
  | { readonly does: 'open'; readonly options: EventLogOptions }
  | { readonly does: 'get'; readonly offset: number }
  | { readonly does: 'eat mappings'; readonly butFor: number }
  | {
      readonly does:
        | 'create'
        | 'append'
        | 'flush'
        | 'count'
        | 'next'
        | 'end'
        | 'warnings'
        | 'eat descriptors'
        | 'give back'
        | 'collect garbage'
        | 'close'
    }

/** What came of a step. */
export type FaultAnswer =
  | { readonly value: unknown }
  | { readonly code: string; readonly cause: string | null; readonly message: string }
  | { readonly died: string }

/** How it is started. */
export interface FaultProcessOptions {
  readonly uid?: number
  /** What the shell does before it becomes the process. */
  readonly before?: string
  /** What the shell itself is started by. */
  readonly inside?: readonly string[]
}

/** A running one; killed when the test is over. */
export class FaultProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #answers: AsyncIterator<string>
  readonly #end: Promise<FaultAnswer>

  constructor(program: string, directory: string, options: FaultProcessOptions = {}) {
    const { uid, before = ':', inside = [] } = options
    const shell = `${before}; exec "$0" "$1" "$2"`
    // `env` becomes what it is told to start.
    const words = [...inside, 'sh', '-c', shell, process.execPath, program, directory]
    this.#child = spawn('env', words, {
      stdio: ['pipe', 'pipe', process.env['STREAMBED_SHOW'] === undefined ? 'ignore' : 'inherit'],
      cwd: '/',
      ...(uid === undefined ? {} : { uid }),
    })
    this.#child.stdin.on('error', () => undefined) // It died: the next answer says so.
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
    this.#end = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ died: signal ?? `exit ${code}` }))
    })
    onTestFinished(() => void this.#child.kill('SIGKILL'))
  }

  /** Has it do one step. */
  async ask(step: FaultStep): Promise<FaultAnswer> {
    this.#child.stdin.write(`${JSON.stringify(step)}\n`)
    const answer = await this.#answers.next()
    if (answer.done === true) return await this.#end
    return JSON.parse(answer.value) as FaultAnswer // As the child writes them.
  }

  /** The value of a step that succeeds. */
  async get(step: FaultStep): Promise<unknown> {
    const answer = await this.ask(step)
    if ('value' in answer) return answer.value
    throw new Error(`${step.does}: ${JSON.stringify(answer)}`)
  }
}

/** The program, compiled for this file and removed after it. */
export function faultProgram(): string {
  const program = compileToPlainSource(fileURLToPath(new URL('fault-child.ts', import.meta.url)))
  afterAll(() => program.remove())
  return program.path
}
