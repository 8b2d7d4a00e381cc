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
  /** 'read': all records, from the first; 'wake': one at a time; 'watch': no log, a bare file. */
  readonly does: 'read' | 'wake' | 'watch'
  readonly directory: string
  /** Logs that it opens, each with a reader of its own. */
  readonly logCount: number
  /** Records after which it is done. */
  readonly recordCount: number
  /** Records among them, the first, that do not count. */
  readonly warmUpCount: number
  /** Size of the values. */
  readonly valueBytes: number
  /** It leaves the cores to whoever wants them. */
  readonly isLast: boolean
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

/** A reader that follows. */
export interface Follower {
  /** Resolves with what it saw, once it has seen all. */
  readonly report: Promise<FollowerReport>
}

/** Starts a process; resolves when it follows. */
export function followingProcess(errand: FollowerErrand): Promise<Follower> {
  const child = fork(PROGRAM, [JSON.stringify(errand)])
  return following(child)
}

/** Starts a worker thread of this process; resolves when it follows. */
export function followingThread(errand: FollowerErrand): Promise<Follower> {
  return following(new Worker(PROGRAM, { workerData: errand }))
}

function following(other: ChildProcess | Worker): Promise<Follower> {
  return new Promise((resolve, reject) => {
    const report = new Promise<FollowerReport>((done, failed) => {
      other.on('message', (said) => {
        const message = said as FollowerMessage // Sent by follower.ts.
        if (message.kind === 'follows') resolve({ report })
        else if (message.kind === 'done') done(message.report)
        else failed(new Error(message.reason))
      })
      other.once('error', failed)
      other.once('exit', (code) => failed(new Error(`a reader ended by ${code}`)))
    })
    report.catch(reject) // Also where it never got so far as to follow.
  })
}
