/**
 * LogProducers: the producers of one open log, from their making until they are closed: the log's
 * own and those that users made.
 */
import { LogError } from '../errors/log-error.ts'
import type { Clock } from '../log/clock.ts'
import { Producer, type ProducerHost } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'

/** The open log, as far as producers are made for it. */
export interface ProducersHost extends ProducerHost {
  readonly clock: Clock
  checkOpen(call: string): void
}

/** See the file's header. */
export class LogProducers {
  readonly #host: ProducersHost
  readonly #producers = new Set<Producer>()
  #ownOne: Producer | undefined

  constructor(host: ProducersHost) {
    this.#host = host
  }

  /** A new one. @throws {LogError} INVALID_ARGUMENT; CLOSED. */
  make(options: ProducerOptions | undefined): Producer {
    this.#host.checkOpen('log.producer')
    const producer = Producer.create(this.#host, options)
    this.#producers.add(producer)
    return producer
  }

  /** The log's own, made anew where somebody closed it. */
  get ownOne(): Producer {
    this.#ownOne ??= this.make(undefined)
    return this.#ownOne
  }

  /** It takes nothing any more, and has settled what it took. */
  closed(producer: Producer): void {
    this.#producers.delete(producer)
    if (producer === this.#ownOne) this.#ownOne = undefined
  }

  /** Appends what they have gathered, as far as they may append. */
  sendBatches(): void {
    for (const producer of this.#producers) producer.sendBatches()
  }

  /** Records that they have taken and that are not settled. */
  get hasPendingSends(): boolean {
    return [...this.#producers].some((producer) => !producer.isIdle)
  }

  /** Flushes all of them; what became of each. */
  async flush(): Promise<readonly PromiseSettledResult<void>[]> {
    return await Promise.allSettled([...this.#producers].map((one) => one.flush()))
  }

  /**
   * Closes all of them. What they have not appended when the time is over is rejected: a schema may
   * never answer.
   */
  async finish(timeoutMs: number): Promise<void> {
    const producers = [...this.#producers]
    const timer = this.#host.clock.setTimeout(() => {
      const message = `the log was closed, and the record was not appended within ${timeoutMs} ms`
      for (const producer of producers) producer.abandon(new LogError('CLOSED', message, {}))
    }, timeoutMs)
    await Promise.all(producers.map((producer) => producer.shutdown()))
    this.#host.clock.clearTimeout(timer)
  }
}
