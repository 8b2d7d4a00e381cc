/**
 * The lives of the crash tests' children: each is started ahead of time, so that it is up when the
 * one before has ended, gets its plan, and is killed as its end says.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { compileToPlainSource, type PlainSource } from '../support/plain-source.ts'
import { ReportReader, type LifePlan, type LifeReport } from './crash-report.ts'

/** A life takes far less, however slow the machine: a child that takes longer waits for nothing. */
const HANGING_MS = 120_000

/** When the parent kills: at the nth report of a kind, so many milliseconds later. */
export interface KillMoment {
  /** 'started': the child was given its plan. */
  readonly at: LifeReport['is'] | 'started'
  readonly nth: number
  readonly delayMs: number
}

/** How a life went. */
export interface LifeEnd {
  readonly wasKilled: boolean
  /** From its plan to the log being open; null where it never was. */
  readonly openMs: number | null
}

/** One child: up, and waiting for its plan until it is given one. */
export class CrashChild {
  readonly #process: ChildProcess
  readonly #plan: Writable
  readonly #reports: Readable
  readonly #errors: string[] = []
  /** Ended, and all it told was read. Awaited from the start: it may end while it waits. */
  readonly #closed: Promise<unknown[]>

  constructor(source: PlainSource) {
    this.#process = spawn(process.execPath, [source.path], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    })
    const [plan, , errors, reports] = this.#process.stdio
    // As `stdio` asks for: what is written to, and two that are read.
    this.#plan = plan as Writable
    this.#reports = reports as Readable
    this.#closed = once(this.#process, 'close')
    this.#reports.setEncoding('utf8')
    errors?.on('data', (text: Buffer) => this.#errors.push(text.toString()))
    this.#plan.on('error', () => undefined) // It was killed before it read its plan.
  }

  /**
   * One life, to its end; `take` is given each report, in order.
   * @throws what `take` throws, and where the child hangs, or ends by itself before it has closed
   * its log.
   */
  async live(
    plan: LifePlan,
    moment: KillMoment | null,
    take: (report: LifeReport) => void,
  ): Promise<LifeEnd> {
    const startedAt = performance.now()
    let openMs: number | null = null
    let failure: unknown
    let isClosed = false
    let last = 'nothing'
    const kill = killer(this.#process, moment)
    const fail = (error: unknown): void => {
      failure ??= error
      this.kill()
    }
    const hanging = setTimeout(() => fail(new Error(`the child hangs after ${last}`)), HANGING_MS)
    const reader = new ReportReader()
    this.#reports.on('data', (text: string) => {
      for (const report of reader.read(text)) {
        if (report.is === 'opened') openMs = performance.now() - startedAt
        if (report.is === 'closed') isClosed = true
        last = JSON.stringify(report)
        kill(report.is)
        try {
          if (failure === undefined) take(report)
        } catch (error) {
          fail(error)
        }
      }
    })
    this.#plan.end(JSON.stringify(plan))
    kill('started')
    const [code, signal] = (await this.#closed) as [number | null, string | null] // As documented.
    clearTimeout(hanging)
    if (failure !== undefined) throw failure
    const wasKilled = signal === 'SIGKILL'
    if (wasKilled || (code === 0 && isClosed)) return { wasKilled, openMs }
    throw new Error(`the child ended by itself (${signal ?? code}): ${this.#errors.join('')}`)
  }

  /** Whether somebody has killed it. */
  get isKilled(): boolean {
    return this.#process.killed
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  /** Ends it, whatever it does. */
  async end(): Promise<void> {
    this.kill()
    await this.#closed
  }
}

/** Compiles the program that the children run. */
export function compileCrashChild(): PlainSource {
  return compileToPlainSource(fileURLToPath(new URL('./crash-child.ts', import.meta.url)))
}

/** Runs children one after the other. */
export class CrashLives {
  readonly #source: PlainSource = compileCrashChild()
  #next: CrashChild = new CrashChild(this.#source)

  /** One life, as `CrashChild.live`. */
  async live(
    plan: LifePlan,
    moment: KillMoment | null,
    take: (report: LifeReport) => void,
  ): Promise<LifeEnd> {
    const child = this.#next
    this.#next = new CrashChild(this.#source)
    return await child.live(plan, moment, take)
  }

  /** Ends the child that waits. */
  async end(): Promise<void> {
    await this.#next.end()
    this.#source.remove()
  }
}

/** Counts reports, and kills at the one that `moment` names. */
function killer(child: ChildProcess, moment: KillMoment | null): (at: KillMoment['at']) => void {
  let left = moment?.nth ?? 0
  return (at) => {
    if (moment === null || moment.at !== at) return
    left -= 1
    if (left !== 0) return
    const kill = (): void => void child.kill('SIGKILL')
    if (moment.delayMs === 0) kill()
    else setTimeout(kill, moment.delayMs)
  }
}
