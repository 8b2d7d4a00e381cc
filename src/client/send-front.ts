/**
 * SendFront: where records come in, of a producer or of a transaction. Owns what is an argument,
 * which topic it names, and that a record is read once; order and room are send-queue.ts.
 *   I1  `send` and `sendAll` never throw; `take` throws what can be known at once
 *   I2  a record is read whole, then refused or taken; nothing of it is read later
 *   I3  once ended, nothing is taken: not even what was being read by then
 */
import { invalidArgument } from '../errors/log-error.ts'
import { RecordTime } from '../log/clock.ts'
import { describeValue, isArray } from './check-options.ts'
import type { ProducerHost, ProducerTopic } from './producer.ts'
import { PreparedRecord, prepare, topicOf } from './record-input.ts'
import type { SendQueue } from './send-queue.ts'
import {
  SendAllResult,
  SendResult,
  type FailedRecord,
  type PendingSend,
  type RecordMetadata,
} from './send-result.ts'
import { checkTopicRef } from './topic-ref.ts'
import { WaitingRecord } from './waiting-record.ts'

/** Reads what users send, and hands it to a queue. */
export class SendFront {
  readonly #host: ProducerHost
  readonly #queue: SendQueue
  readonly #time: RecordTime
  /** The topic of the record before, and how that named it: a handle, a definition, or a name. */
  #lastTopic: ProducerTopic | null = null
  #lastRef: unknown = null
  #lastName: string | null = null
  /** Reused from record to record; null while a call reads into it, which may call in turn. */
  #spare: PreparedRecord | null = null
  /** Why nothing is taken any more; null while something is. */
  #refusal: (() => unknown) | null = null

  constructor(host: ProducerHost, queue: SendQueue) {
    this.#host = host
    this.#queue = queue
    this.#time = new RecordTime(host.clock)
  }

  /** Takes nothing more: whoever sends gets what `refusal` gives then. */
  end(refusal: () => unknown): void {
    this.#refusal = refusal
  }

  /** One record; rejects with what `take` would throw. */
  send(topicOrRecord: unknown, record: unknown): Promise<RecordMetadata> {
    const result = new SendResult()
    try {
      this.take(topicOrRecord, record, result)
    } catch (error) {
      result.failed(error)
    }
    return result.promise
  }

  /**
   * Reads one record and hands it to the queue, with nobody waiting where `send` is null. Hot.
   * @throws {LogError} What can be known at once: the record was not taken.
   */
  take(first: unknown, second: unknown, send: PendingSend | null): void {
    this.#checkOpen()
    const isNamed = second === undefined
    const topic = isNamed ? this.#topicNamedIn(first) : this.#topicOf(first)
    // Whoever awaits a record gets the time of the call, to the millisecond.
    const nowMs = send === null ? this.#time.recent() : this.#time.exact()
    const record = this.#spare ?? new PreparedRecord()
    this.#spare = null
    let isKept = false
    try {
      const input = isNamed ? first : second
      const pending = prepare(input, topic.types, isNamed ? 'topic-record' : 'send', nowMs, record)
      this.#checkOpen() // Getters, serdes and schemas are the user's: they may have closed it.
      if (pending === undefined) {
        isKept = this.#queue.take(topic, record, send)
      } else {
        isKept = true
        this.#queue.takeLater(topic, record, send, pending)
      }
    } finally {
      if (!isKept) {
        record.clear()
        this.#spare = record
      }
    }
  }

  /** Several records, all or none of which are accepted. */
  async sendAll(first: unknown, second: unknown): Promise<readonly RecordMetadata[]> {
    this.#checkOpen()
    const isNamed = second === undefined
    const inputs = isNamed ? first : second
    if (!isArray(inputs)) {
      throw invalidArgument(`sendAll: records are an array, not ${describeValue(inputs)}`, {
        records: inputs,
      })
    }
    const topic = isNamed ? null : this.#topicOf(first)
    if (inputs.length === 0) return []
    const result = new SendAllResult(inputs.length)
    const { records, refused, pending } = this.#readAll(inputs, topic, result)
    this.#checkOpen()
    if (refused.length > 0) result.refused(refused)
    else if (pending.length === 0) this.#queue.takeAll(records, result)
    else
      this.#queue.takeAllLater(
        records,
        result,
        Promise.all(pending).then(() => refused),
      )
    return await result.promise
  }

  /** Reads the records of a `sendAll` before any is taken. `refused` grows until `pending` ends. */
  #readAll(
    inputs: readonly unknown[],
    topic: ProducerTopic | null,
    result: SendAllResult,
  ): {
    readonly records: readonly WaitingRecord[]
    readonly refused: readonly FailedRecord[]
    readonly pending: readonly Promise<unknown>[]
  } {
    const records: WaitingRecord[] = []
    const refused: FailedRecord[] = []
    const pending: Promise<unknown>[] = []
    const nowMs = this.#time.exact()
    const kind = topic === null ? 'topic-record' : 'send'
    for (const [index, input] of inputs.entries()) {
      try {
        const itsTopic = topic ?? this.#topicNamedIn(input)
        const record = new PreparedRecord()
        const later = prepare(input, itsTopic.types, kind, nowMs, record)
        records.push(new WaitingRecord(itsTopic, record, result.part(index)))
        const refuse = (error: unknown): void => void refused.push({ index, error })
        if (later !== undefined) pending.push(later.catch(refuse))
      } catch (error) {
        refused.push({ index, error })
      }
    }
    return { records, refused, pending }
  }

  /** The topic that a record names itself. Hot. */
  #topicNamedIn(record: unknown): ProducerTopic {
    const name = nameIn(record)
    const last = this.#lastTopic
    if (last !== null && name === this.#lastName && this.#isCurrent(last)) return last
    const topic = this.#host.producerTopic(name)
    this.#lastTopic = topic
    this.#lastName = name
    this.#lastRef = null
    return topic
  }

  /** The topic of a definition or handle. Hot. */
  #topicOf(ref: unknown): ProducerTopic {
    const last = this.#lastTopic
    if (last !== null && ref === this.#lastRef && this.#isCurrent(last)) return last
    const topic = this.#host.producerTopic(checkTopicRef(ref, 'send'))
    this.#lastTopic = topic
    this.#lastName = null
    this.#lastRef = ref
    return topic
  }

  #checkOpen(): void {
    if (this.#refusal !== null) throw this.#refusal()
  }

  /** Whether asking the log for it again would give the same answer. */
  #isCurrent(topic: ProducerTopic): boolean {
    return topic.isUsable && this.#host.onSend === undefined
  }
}

/** As `topicOf`, without a look at the other names, which `prepare` takes. */
function nameIn(record: unknown): string {
  if (typeof record === 'object' && record !== null && 'topic' in record) {
    const { topic } = record
    if (typeof topic === 'string') return topic
  }
  return topicOf(record)
}
