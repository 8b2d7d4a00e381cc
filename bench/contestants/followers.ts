/**
 * Readers beside a writer: processes and worker threads that follow its log live, each started by
 * follower.ts, told what to do, waited for until they follow, and asked what they saw.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { LogHandle } from '../../dist/index.js'

/** What one reader does. Plain data: it goes to another process or thread. */
export interface FollowerErrand {
  /**
   * 'read': all records, from the first; 'wake': one at a time; 'watch': no log, a bare file. Until
   * they are told to stop, leaving the cores to whoever wants them, 'follow' reads what comes,
   * 'wait' waits for records of another topic, and 'reread' reads what there is again and again.
   */
  readonly does: 'read' | 'wake' | 'watch' | 'follow' | 'wait' | 'reread'
  readonly directory: string
  /** Logs that it opens, each with a reader of its own, to 'follow', 'wait' or 'reread'. */
  readonly logCount: number
  /** Records after which it is done, or that there are. */
  readonly recordCount: number
  /** Records among them, the first, that do not count. */
  readonly warmUpCount: number
  /** Size of the values. */
  readonly valueBytes: number
  /** Where it is a thread: what it attaches to. */
  readonly handle?: LogHandle
}

/** What a reader says when it is done. */
export interface FollowerReport {
  /** By the clock that all processes of a machine share. */
  readonly doneAtNs: number
  /** From the end of its warm-up on, all threads of a process, that one of a worker. */
  readonly cpuNs: number
  readonly wallNs: number
  /** From the append to the record, of 'wake' and 'watch'; ascending. */
  readonly latenciesNs: readonly number[]
}

/** One line from a reader. */
export type FollowerMessage =
  | { readonly kind: 'follows' }
  | { readonly kind: 'done'; readonly report: FollowerReport }
  | { readonly kind: 'failed'; readonly reason: string }

const PROGRAM = fileURLToPath(new URL('../follower.js', import.meta.url))

/** What a process is told that reads until then. */
export const STOP = 'stop'

/** A reader that follows. */
export interface Follower {
  /** Resolves with what it saw, once it has seen all. */
  readonly report: Promise<FollowerReport>
  /** Tells it to stop. */
  stop(): void
}

/** Starts a process; resolves when it follows. */
export function followingProcess(errand: FollowerErrand): Promise<Follower> {
  const child = fork(PROGRAM, [JSON.stringify(errand)])
  return following(child, () => child.send(STOP))
}

/** Starts a worker thread of this process; resolves when it follows. */
export function followingThread(errand: FollowerErrand): Promise<Follower> {
  const worker = new Worker(PROGRAM, { workerData: errand })
  return following(worker, () => worker.postMessage(STOP))
}

function following(other: ChildProcess | Worker, stop: () => void): Promise<Follower> {
  return new Promise((resolve, reject) => {
    const report = new Promise<FollowerReport>((done, failed) => {
      other.on('message', (said) => {
        const message = said as FollowerMessage // Sent by follower.ts.
        if (message.kind === 'follows') resolve({ report, stop })
        else if (message.kind === 'done') done(message.report)
        else failed(new Error(message.reason))
      })
      other.once('error', failed)
      other.once('exit', (code) => failed(new Error(`a reader ended by ${code}`)))
    })
    report.catch(reject) // Also where it never got so far as to follow.
  })
}
