/**
 * Apache Kafka on loopback, as test/interop runs it: one node in KRaft mode, its own producer and
 * consumer measured by its own perf tools. The tools run in one JVM, where each can be run before
 * it is measured, so that it is compiled then; so is the broker.
 *
 * The heap and collector of broker and tools are those of Kafka's own scripts. The producer gets
 * larger batches than by default, with which it takes half the CPU; the topic has one partition,
 * and syncs when the kernel does, which is Kafka's default.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import { mustEqual } from '../runner/dataset.ts'
import type { LineRecords } from './line-records.ts'
import { loadStreambed, TOPIC } from './streambed.ts'

const CHECKOUT = fileURLToPath(new URL('../../../', import.meta.url))
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg'
/** As Kafka's kafka-run-class.sh starts a JVM. */
const SERVER_OPTIONS = [
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-XX:MaxInlineLevel=15',
  '-Djava.awt.headless=true',
]
const BROKER_OPTIONS = [...SERVER_OPTIONS, '-Xmx1G', '-Xms1G']
const TOOL_OPTIONS = [...SERVER_OPTIONS, '-Xmx512M']
/** Kafka's defaults, where the tests have their own: nothing is to happen often. */
const BROKER_PROPERTIES = ['broker.heartbeat.interval.ms=2000', 'broker.session.timeout.ms=9000']
const TOPIC_CONFIG = { 'max.message.bytes': '2097152' }
const PRODUCER_SETTINGS = [
  'acks=1',
  'batch.size=262144',
  'linger.ms=5',
  'buffer.memory=67108864',
  'compression.type=none',
]
const CONSUMER_TIMEOUT_MS = 60_000
const BYTES_PER_MIB = 1_048_576
const NS_PER_SECOND = 1e9
/** Linux counts CPU for others in these, whatever its own clock does. */
const NS_PER_TICK = 1e7

/** What test/interop exports, as far as it is used here; not part of what is compiled. */
interface Broker {
  readonly address: string
  readonly processId: number | undefined
  format(identity: object): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
  createTopics(topics: readonly object[]): Promise<void>
}

interface Driver {
  readonly processId: number | undefined
  tool(mainClass: string, argumentList: readonly string[]): Promise<string>
  close(): Promise<void>
}

interface Interop {
  readonly KafkaBroker: new (driver: Driver, places: object) => Broker
  readonly KafkaDriver: new (jvm: object) => Driver
  readonly findToolchain: () =>
    | { readonly kind: 'ready'; readonly classPath: string }
    | { readonly kind: 'missing'; readonly reason: string }
}

/** What a tool measured, with the CPU of its JVM and of the broker meanwhile. */
export interface ToolRun {
  readonly wallNs: number
  readonly client: CpuTime
  readonly broker: CpuTime
}

/** CPU of a process. */
export interface CpuTime {
  readonly userNs: number
  readonly systemNs: number
}

/** Why there can be no broker; undefined where nothing is known against it. */
export function missingJava(): string | undefined {
  if (spawnSync('java', ['-version']).status !== 0) return 'there is no java on the PATH'
  return undefined
}

/** A broker with one topic of one partition, and the tools. */
export class KafkaLoopback {
  readonly #directory: string
  readonly #broker: Broker
  readonly #driver: Driver

  private constructor(directory: string, broker: Broker, driver: Driver) {
    this.#directory = directory
    this.#broker = broker
    this.#driver = driver
  }

  /** Starts a broker whose files lie below `directory`. */
  static async start(this: void, directory: string): Promise<KafkaLoopback> {
    const { KafkaBroker, KafkaDriver, findToolchain } = await loadInterop()
    const toolchain = findToolchain()
    if (toolchain.kind === 'missing') throw new Error(toolchain.reason)
    const driver = new KafkaDriver({ classPath: toolchain.classPath, options: TOOL_OPTIONS })
    const broker = new KafkaBroker(driver, {
      home: directory,
      directory: dataBelow(directory),
      jvmOptions: BROKER_OPTIONS,
      properties: BROKER_PROPERTIES,
    })
    mkdirSync(directory, { recursive: true })
    await broker.format({ clusterId: CLUSTER_ID, directoryId: null, topics: [] })
    await broker.start()
    await broker.createTopics([{ name: TOPIC, partitions: 1, config: TOPIC_CONFIG }])
    return new KafkaLoopback(directory, broker, driver)
  }

  /** Where clients find it. */
  get address(): string {
    return this.#broker.address
  }

  /** CPU that the broker has used. */
  cpu(): CpuTime {
    return cpuOf(this.#broker.processId)
  }

  /** Sends records with kafka-producer-perf-test, chosen among the lines at random, as it does. */
  async produce(lines: LineRecords, recordCount: number): Promise<ToolRun> {
    const payload = join(this.#directory, 'payload.txt')
    writeFileSync(payload, lines.text)
    return this.#run('org.apache.kafka.tools.ProducerPerformance', {
      argumentList: [
        ...['--topic', TOPIC, '--throughput', '-1'],
        ...['--num-records', String(recordCount), '--payload-file', payload],
        ...['--producer-props', `bootstrap.servers=${this.address}`, ...PRODUCER_SETTINGS],
      ],
      wallNsOf: (printed) => {
        // The last line; those before it are of intervals, without quantiles.
        const total = /^(\d+) records sent, ([\d.]+) records\/sec .*99\.9th\.$/m.exec(printed)
        mustEqual(Number(total?.[1]), recordCount, 'records sent by the tool')
        return (recordCount / Number(total?.[2])) * NS_PER_SECOND
      },
    })
  }

  /** Reads the topic with kafka-consumer-perf-test; its time is that of fetching alone. */
  async consume(lines: LineRecords, recordCount: number): Promise<ToolRun> {
    return this.#run('org.apache.kafka.tools.ConsumerPerformance', {
      argumentList: [
        ...['--bootstrap-server', this.address, '--topic', TOPIC, '--hide-header'],
        ...['--messages', String(recordCount), '--timeout', String(CONSUMER_TIMEOUT_MS)],
      ],
      wallNsOf: (printed) => {
        // start, end, MB, MB/s, records, records/s, ms to join, ms of fetching, MB/s, records/s
        const columns = (printed.trim().split('\n').at(-1) ?? '').split(', ')
        mustEqual(Number(columns[4]), recordCount, 'records read by the tool')
        const mebibytes = lines.byteCount(recordCount) / BYTES_PER_MIB
        mustEqual(Number(columns[2]), Number(mebibytes.toFixed(4)), 'MiB read by the tool')
        return (recordCount / Number(columns[9])) * NS_PER_SECOND
      },
    })
  }

  /** Lets the broker close its logs, and ends the tools. */
  async stop(): Promise<void> {
    await this.#broker.stop()
    await this.#driver.close()
  }

  /**
   * Throws unless the broker's files hold `recordCount` records, each of them one of the lines; the
   * broker has stopped. Read with streambed, which checks the CRC of every batch.
   */
  async check(lines: LineRecords, recordCount: number): Promise<void> {
    const { EventLog } = await loadStreambed()
    const known = lines.checksums()
    const log = await EventLog.open(dataBelow(this.#directory), { onWarning: () => undefined })
    const partition = log.topic(TOPIC).partition(0)
    let strangers = 0
    const visited = partition.scan(({ buffer, valueStart, valueLength }) => {
      const value = buffer.subarray(valueStart, valueStart + valueLength)
      if (!known.has(crc32(value))) strangers += 1
    })
    await log.close()
    mustEqual(visited, recordCount, 'records in the files of the broker')
    mustEqual(strangers, 0, 'records in them that nobody sent')
  }

  async #run(mainClass: string, { argumentList, wallNsOf }: ToolTask): Promise<ToolRun> {
    const before = { client: cpuOf(this.#driver.processId), broker: this.cpu() }
    const printed = await this.#driver.tool(mainClass, argumentList)
    const client = cpuBetween(before.client, cpuOf(this.#driver.processId))
    const broker = cpuBetween(before.broker, this.cpu())
    return { wallNs: wallNsOf(printed), client, broker }
  }
}

/** What a tool is told, and how long it says that it took. */
interface ToolTask {
  readonly argumentList: readonly string[]
  readonly wallNsOf: (printed: string) => number
}

/** What a process used between two looks. */
export function cpuBetween(before: CpuTime, after: CpuTime): CpuTime {
  return { userNs: after.userNs - before.userNs, systemNs: after.systemNs - before.systemNs }
}

async function loadInterop(): Promise<Interop> {
  const { tsImport } = await import('tsx/esm/api') // Other measurements do without it.
  const loaded: unknown[] = []
  for (const name of ['toolchain', 'kafka-driver', 'kafka-broker']) {
    loaded.push(await tsImport(join(CHECKOUT, 'test', 'interop', `${name}.ts`), import.meta.url))
  }
  return Object.assign({}, ...loaded) as Interop // A part of what these three files export.
}

function dataBelow(directory: string): string {
  return join(directory, 'data')
}

function cpuOf(processId: number | undefined): CpuTime {
  try {
    // utime and stime are the 14th and 15th; the 2nd may hold blanks, and ends with a bracket.
    const line = readFileSync(`/proc/${processId}/stat`, 'latin1')
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
    return {
      userNs: Number(fields[11]) * NS_PER_TICK,
      systemNs: Number(fields[12]) * NS_PER_TICK,
    }
  } catch {
    return { userNs: NaN, systemNs: NaN } // Not on Linux.
  }
}
