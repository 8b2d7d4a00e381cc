/**
 * KafkaDriver: Kafka's tools and clients, in one JVM for all tests of a file (kafka/InteropDriver).
 * One request at a time; what Kafka throws is thrown here, with its stack.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { inject } from 'vitest'

/** A record as both sides are compared: bytes as hex digits. */
export interface PlainRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [name: string, value: string | null])[]
}

/** A record for a broker; it decides on the offset. */
export interface RecordToSend extends Omit<PlainRecord, 'offset'> {
  readonly topic: string
  readonly partition: number
}

/** A partition as Kafka's consumer reads it to its end. */
export interface ConsumedPartition {
  readonly endOffset: number
  readonly records: readonly PlainRecord[]
}

/** Why these tests cannot run; null where they can. */
export const missingKafka: string | null = missingReason()

/** Start-up counts here, not speed after minutes: one compiler, the simplest collector. */
const JVM_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx512m']

/** Arguments for `java` up to the main class's own. */
export function javaArguments(mainClass: string, logLevel: string): readonly string[] {
  const kafka = inject('kafka')
  if (kafka.kind === 'missing') throw new Error(kafka.reason)
  const logger = `-Dorg.slf4j.simpleLogger.defaultLogLevel=${logLevel}`
  return [...JVM_OPTIONS, logger, '-cp', kafka.classPath, mainClass]
}

/** Kafka's side of the tests. */
export class KafkaDriver {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  #errors = ''

  constructor() {
    this.#process = spawn('java', javaArguments('InteropDriver', 'error'))
    this.#answers = createInterface(this.#process.stdout)[Symbol.asyncIterator]()
    this.#process.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
  }

  /** What DumpLogSegments prints when it is run with these arguments. */
  async dump(argumentList: readonly string[]): Promise<string> {
    const printed = await this.request('dump', { arguments: argumentList })
    return printed as string // InteropDriver answers with what was printed.
  }

  /** Sends one request, waits for its answer. */
  async request(command: string, parameters: object): Promise<unknown> {
    this.#process.stdin.write(`${JSON.stringify({ command, ...parameters })}\n`)
    const line = await this.#answers.next()
    if (line.done === true) throw new Error(`the JVM ended: ${this.#errors}`)
    // As InteropDriver answers.
    const answer = JSON.parse(line.value) as { result?: unknown; error?: string }
    if (answer.error !== undefined) throw new Error(`${command}: ${answer.error}`)
    return answer.result
  }

  /** Ends the JVM, whatever it is waiting for. */
  async close(): Promise<void> {
    const ended = once(this.#process, 'close')
    this.#process.kill('SIGKILL')
    await ended
  }
}

function missingReason(): string | null {
  const kafka = inject('kafka')
  return kafka.kind === 'missing' ? kafka.reason : null
}
