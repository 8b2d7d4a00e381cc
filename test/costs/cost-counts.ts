/**
 * What one unit of some work costs, counted in a process of its own: on any machine, busy or not,
 * the same. Times are measured elsewhere.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { compileToPlainSource, type PlainSource } from '../support/plain-source.ts'
import type { WorkName } from './works.ts'

const CHILD = fileURLToPath(new URL('cost-child.ts', import.meta.url))
/** Nothing new is collected before this much of it is there. */
const NEW_SPACE_MIB = 256

/** What a child is asked to do. */
export interface CostPlan {
  readonly work: WorkName
  readonly what: 'memory' | 'calls'
  /** Empty. */
  readonly directory: string
}

/** Of one unit; memory of a child that counts calls means nothing. */
export interface Costs {
  readonly heapBytes: number
  readonly outsideBytes: number
  readonly calls: Readonly<Record<string, number>>
}

/** Counts; `remove` when there is no more to count. */
export class CostCounts {
  readonly #child: PlainSource = compileToPlainSource(CHILD)

  async count(plan: CostPlan): Promise<Costs> {
    const flags = [
      `--min-semi-space-size=${NEW_SPACE_MIB}`,
      `--max-semi-space-size=${NEW_SPACE_MIB}`,
      // A compiler with a thread of its own is late on a busy machine, and slow code would count.
      '--no-concurrent-recompilation',
    ]
    const child = spawn(process.execPath, [...flags, this.#child.path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.end(JSON.stringify(plan))
    const ended = once(child, 'exit')
    const printed = await text(child.stdout)
    await ended
    if (child.exitCode !== 0)
      throw new Error(`${JSON.stringify(plan)} ended with ${child.exitCode}`)
    return JSON.parse(printed) as Costs // The child wrote it.
  }

  remove(): void {
    this.#child.remove()
  }
}
