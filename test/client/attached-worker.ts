/** Worker threads that attach to a log, as tests talk to them; sharing-worker.ts runs in them. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import type { LogHandle } from '../../src/client/group-types.ts'
import type { WorkerCommand, WorkerSaid, WorkerTask } from './sharing-worker.ts'

/** A command without what pairs it with its answer. */
type Asked<C = WorkerCommand> = C extends unknown ? Omit<C, 'id'> : never

/** One worker, terminated at the latest when the test is over. */
export class AttachedWorker {
  readonly worker: Worker
  /** All that it said, in order. */
  readonly said: WorkerSaid[] = []
  /** Its exit code. */
  readonly ended: Promise<number>
  #commands = 0
  readonly #waiting: (() => void)[] = []

  constructor(script: string, handle: LogHandle, what: WorkerTask['what'] = 'serve') {
    const workerData: WorkerTask = { handle, what }
    this.worker = new Worker(script, { workerData })
    this.ended = once(this.worker, 'exit').then(([code]) => Number(code))
    this.worker.on('message', (said: WorkerSaid) => {
      this.said.push(said)
      for (const wake of this.#waiting.splice(0)) wake()
    })
    onTestFinished(() => void this.worker.terminate())
  }

  /** The first thing it said, now or later, that `find` gives something for. */
  async until<T>(find: (said: WorkerSaid) => T | undefined): Promise<T> {
    for (;;) {
      for (const said of this.said) {
        const found = find(said)
        if (found !== undefined) return found
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Resolves when it is attached; with the code of its refusal where it was not let in. */
  async attached(): Promise<string> {
    return await this.until((said) => {
      if (said.event === 'attached') return said.event
      return said.event === 'refused' ? said.code : undefined
    })
  }

  /** What came of a command; the code of its error where it failed with one. */
  async ask(command: Asked): Promise<unknown> {
    this.#commands += 1
    const id = this.#commands
    this.worker.postMessage({ ...command, id })
    const { value } = await this.until((said) =>
      said.event === 'answer' && said.id === id ? said : undefined,
    )
    return value
  }

  /** Values that its live reads of `topic` have given, once they are `count`. */
  async values(topic: string, count: number): Promise<readonly string[]> {
    const seen = (): readonly string[] =>
      this.said.flatMap((said) =>
        said.event === 'record' && said.topic === topic ? [said.value] : [],
      )
    await this.until(() => (seen().length >= count ? true : undefined))
    return seen()
  }

  /** How a live read of `topic` ended: 'ended', or the code of its error. */
  async end(topic: string): Promise<string> {
    return await this.until((said) =>
      said.event === 'end' && said.topic === topic ? (said.code ?? 'ended') : undefined,
    )
  }
}
