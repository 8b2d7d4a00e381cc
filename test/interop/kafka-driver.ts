/**
 * KafkaDriver: Kafka's tools and clients, in one JVM for all that is asked (kafka/InteropDriver).
 * One request at a time; what Kafka throws is thrown here, with its stack. The benchmarks run it
 * too, so it knows nothing of the tests.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

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

/** How a JVM is started. */
export interface Jvm {
  /** Of Kafka and the driver: toolchain.ts. */
  readonly classPath: string
  /** Heap, compiler and collector; without them those of a JVM that runs for seconds. */
  readonly options?: readonly string[]
}

/** Start-up counts, not speed after minutes: one compiler, the simplest collector. */
const QUICK_OPTIONS = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-Xmx512m']

/** Arguments for `java` up to the main class's own. */
export function javaArguments(
  { classPath, options = QUICK_OPTIONS }: Jvm,
  mainClass: string,
  logLevel: string,
): readonly string[] {
  const logger = `-Dorg.slf4j.simpleLogger.defaultLogLevel=${logLevel}`
  return [...options, logger, '-cp', classPath, mainClass]
}

/** Kafka's side of the tests. */
export class KafkaDriver {
  /** How it was started. */
  readonly jvm: Jvm
  readonly #process: ChildProcessWithoutNullStreams
  readonly #answers: AsyncIterator<string>
  #errors = ''

  constructor(jvm: Jvm) {
    this.jvm = jvm
    this.#process = spawn('java', javaArguments(jvm, 'InteropDriver', 'error'))
    this.#answers = createInterface(this.#process.stdout)[Symbol.asyncIterator]()
    this.#process.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()))
  }

  /** Of the JVM; undefined where none could be started. */
  get processId(): number | undefined {
    return this.#process.pid
  }

  /** What one of Kafka's tools prints, by its class; run again, it is compiled already. */
  async tool(mainClass: string, argumentList: readonly string[]): Promise<string> {
    const printed = await this.request('tool', { mainClass, arguments: argumentList })
    return printed as string // InteropDriver answers with what was printed.
  }

  /** What DumpLogSegments prints when it is run with these arguments. */
  async dump(argumentList: readonly string[]): Promise<string> {
    return this.tool('kafka.tools.DumpLogSegments', argumentList)
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
