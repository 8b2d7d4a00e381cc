/**
 * The readers of the campaign that are worker threads of the writer: each attaches to its log. They
 * end with the writer, whose kill is theirs as well, and go on where their notes end.
 */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { EventLog, LogError } from '../../src/index.ts'
import { LiveReader, type ReaderPlan } from './live-reader.ts'

interface WorkerStart {
  readonly plan: ReaderPlan
  readonly handle: ReturnType<EventLog['share']>
}

/** The writer's side. */
export class WorkerReaders {
  readonly #workers: readonly Worker[]
  readonly #ended: readonly Promise<unknown>[]
  readonly #finished: readonly Promise<unknown>[]

  constructor(plans: readonly ReaderPlan[], log: EventLog) {
    const program = new URL(process.argv[1] ?? '', 'file:')
    this.#workers = plans.map((plan) => {
      const start: WorkerStart = { plan, handle: log.share() }
      return new Worker(program, { workerData: start })
    })
    this.#ended = this.#workers.map((worker) => once(worker, 'exit'))
    this.#finished = this.#workers.map((worker) => once(worker, 'message'))
  }

  finish(targets: ReadonlyMap<string, number>): void {
    for (const worker of this.#workers) worker.postMessage(targets)
  }

  async haveFinished(): Promise<void> {
    await Promise.all(this.#finished)
  }

  /** Once the log has closed: its workers notice, and end by themselves. */
  async haveEnded(): Promise<void> {
    await Promise.all(this.#ended)
  }
}

/** What a worker does. */
export async function runWorkerReader(): Promise<void> {
  const { plan, handle } = workerData as WorkerStart // The writer started it.
  const reader = new LiveReader(plan)
  parentPort?.once('message', (targets: ReadonlyMap<string, number>) => reader.finish(targets))
  try {
    const log = await EventLog.attach(handle)
    await reader.follow(log)
    if (reader.hasFinished) reader.tellSums(log)
    await log.close()
    await reader.haveEnded()
    if (reader.hasFinished) reader.tellOver()
  } catch (error) {
    // Its writer was closing before it had attached.
    if (!LogError.is(error, 'CLOSED')) reader.tellFailure('worker', error)
  }
  parentPort?.postMessage('finished')
  parentPort?.unref()
}
