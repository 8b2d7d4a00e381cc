/**
 * SharedLog: what the owner of a log does for the threads of its process that attach to it: says
 * that it is there, gives them the memory they wait on (log/wake-signal.ts), and tells them of its
 * end. The other side is attached-log.ts.
 *
 * They meet on a channel named after the handle: whoever attaches says 'hello', the owner answers.
 *   I1  the id of a handle is the token of the writer's lock: the lock record in the directory says
 *       whether its owner is still there, to whoever gets no answer
 *   I2  the channel answers until that record is gone, and says 'closed' behind it: whoever was
 *       listening before it saw the record is answered
 *   I3  nothing here keeps the process alive, and nothing is kept of whoever has attached
 */
import { BroadcastChannel } from 'node:worker_threads'
import { invalidArgument } from '../errors/log-error.ts'
import { WakeSignal } from '../log/wake-signal.ts'
import type { WatermarkPublisher } from '../log/watermark-publisher.ts'
import type { WriterLock } from '../storage/writer-lock.ts'
import type { LogHandle } from './group-types.ts'
import type { LogHost } from './log-host.ts'

/** What is said on the channel of a shared log: by whoever attaches, then by its owner. */
export type ChannelMessage = 'hello' | 'closed' | { readonly memory: SharedArrayBuffer }

/** The channel of the log with this id, to be closed after use. */
export function channelOf(id: string): BroadcastChannel {
  return new BroadcastChannel(`streambed:${id}`)
}

/** What somebody said on a channel; undefined where it is nothing of ours. */
export function messageOf(event: Event): ChannelMessage | undefined {
  const data: unknown = 'data' in event ? event.data : undefined
  if (data === 'hello' || data === 'closed') return data
  if (typeof data !== 'object' || data === null || !('memory' in data)) return undefined
  const { memory } = data
  return memory instanceof SharedArrayBuffer ? { memory } : undefined
}

/** The owner's side of a log that is shared. */
export class SharedLog {
  readonly handle: LogHandle
  readonly #signal = new WakeSignal()
  readonly #channel: BroadcastChannel
  #isClosing = false

  constructor(handle: LogHandle) {
    this.handle = Object.freeze({ directory: handle.directory, id: handle.id })
    this.#channel = channelOf(handle.id)
    this.#channel.addEventListener('message', (event) => this.#received(event))
    this.#channel.unref() // Behind the listener, which holds the process where it is added.
  }

  /** Readers of other threads look again. Hot: called for each publication. */
  published(): void {
    this.#signal.published()
  }

  /** The log is closing: attached logs end, and no more are let in. */
  end(): void {
    this.#isClosing = true
    this.#signal.close()
  }

  /** The lock was given back (I2). */
  close(): void {
    this.end()
    this.#say('closed')
    this.#channel.close()
  }

  #received(event: Event): void {
    if (messageOf(event) !== 'hello') return
    this.#say(this.#isClosing ? 'closed' : { memory: this.#signal.memory })
  }

  #say(message: ChannelMessage): void {
    this.#channel.postMessage(message)
  }
}

/** What a log on disk needs to be shared, whether it ever is or not. */
export class LogSharing {
  /** The writer's lock, whose release is the end of sharing (I2). */
  readonly lock: WriterLock
  readonly #directory: string
  #shared: SharedLog | undefined

  constructor(directory: string, lock: WriterLock) {
    this.#directory = directory
    const { kind, token } = lock
    this.lock = {
      kind,
      token,
      release: async () => {
        await lock.release()
        this.#shared?.close()
        this.#shared = undefined
      },
    }
  }

  /** The handle; from the first call on, each publication wakes whoever has attached. */
  share(publisher: WatermarkPublisher): LogHandle {
    if (this.#shared === undefined) {
      const shared = new SharedLog({ directory: this.#directory, id: this.lock.token })
      publisher.onPublished = () => shared.published()
      this.#shared = shared
    }
    return this.#shared.handle
  }

  /** See `SharedLog.end`. */
  end(): void {
    this.#shared?.end()
  }
}

/**
 * The handle of an open log.
 * @throws {LogError} INVALID_ARGUMENT for one that threads cannot open by its directory, or that
 *   is not written here.
 */
export function shareLog(host: LogHost): LogHandle {
  const handle = host.share?.()
  if (handle !== undefined) return handle
  throw invalidArgument(
    'log.share: only a log on disk can be shared, where it is open for writing: one in memory is ' +
      'seen by its own thread alone, and of a read-only one the owner is to be shared',
  )
}
