/**
 * KafkaBroker: one node of Kafka in KRaft mode, broker and controller in one process, over a log
 * directory that may be handed to and fro. Its metadata log lies beside that directory, so that
 * the directory holds topics and nothing else.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { javaArguments } from './kafka-driver.ts'
import type { ConsumedPartition, KafkaDriver, RecordToSend } from './kafka-driver.ts'

/** A topic that a broker creates. */
export interface TopicToCreate {
  readonly name: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

/** A topic that lies in the directory before the broker's first start. */
export interface TopicToAdmit extends TopicToCreate {
  readonly id: string
  /** Above every epoch in the topic. */
  readonly leaderEpoch: number
}

/** What the cluster is told of a directory at its first start. */
export interface Identity {
  readonly clusterId: string
  /** Of a directory that was written here; null where formatting makes one up. */
  readonly directoryId: string | null
  readonly topics: readonly TopicToAdmit[]
}

/** How records are produced. */
export interface ProduceOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Records between two flushes, so at most this many in a batch. */
  readonly flushEvery?: number
  readonly transaction?: 'commit' | 'abort' | 'open'
}

/** What one of several producers does next. */
export type TransactionStep = { readonly producer: string } & (
  | { readonly action: 'begin' | 'commit' | 'abort' }
  | { readonly action: 'send'; readonly records: readonly RecordToSend[] }
  | { readonly action: 'offsets'; readonly group: string; readonly offsets: readonly Place[] }
)

/** A position in a partition. */
interface Place {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** Settings of producers by the names that steps give them. */
export type ProducerSettings = Readonly<Record<string, Readonly<Record<string, string>>>>

/** What a consumer may be told. */
export interface ConsumeOptions {
  /** It commits where it ended. */
  readonly group?: string
  /** From where the group committed, instead of from the beginning. */
  readonly resume?: boolean
  readonly isolation?: 'read_uncommitted' | 'read_committed'
}

const NODE_ID = 1
const START_TIMEOUT_MS = 60_000

/** Settings that make a single node start and stop fast; Kafka's defaults are for clusters. */
const PROPERTIES: readonly string[] = [
  'process.roles=broker,controller',
  `node.id=${NODE_ID}`,
  'controller.listener.names=CONTROLLER',
  'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
  'offsets.topic.replication.factor=1',
  'transaction.state.log.replication.factor=1',
  'transaction.state.log.min.isr=1',
  'group.initial.rebalance.delay.ms=0',
  'auto.create.topics.enable=false',
  'broker.heartbeat.interval.ms=100',
  'broker.session.timeout.ms=1000',
  // The samples are years old.
  'log.retention.ms=-1',
  'log.cleaner.backoff.ms=50',
  'log.initial.task.delay.ms=50',
  'log.cleaner.dedupe.buffer.size=8388608',
]

/** At the end of a topic there is nothing to wait for. */
const CONSUMER_SETTINGS = { 'enable.auto.commit': 'false', 'fetch.max.wait.ms': '10' }

/** Where a broker lives. */
interface BrokerPlaces {
  readonly home: string
  readonly directory: string
  readonly offsetsPartitions?: number
  readonly transactionsPartitions?: number
  /** More lines of its properties; where they repeat one, they win. */
  readonly properties?: readonly string[]
  /** Of its JVM; without them those of the driver's. */
  readonly jvmOptions?: readonly string[]
}

/** A broker that can be started over the same directory again and again. */
export class KafkaBroker {
  /** The directory of its partitions. */
  readonly directory: string
  readonly #driver: KafkaDriver
  readonly #home: string
  readonly #places: BrokerPlaces
  #process: ChildProcess | undefined
  #bootstrap = ''

  /**
   * `home` is for what the broker keeps besides `directory`; its topics of committed offsets and of
   * transactions have one partition unless told.
   */
  constructor(driver: KafkaDriver, places: BrokerPlaces) {
    this.#driver = driver
    this.#home = places.home
    this.directory = places.directory
    this.#places = places
  }

  /** Where clients find it, since its last start. */
  get address(): string {
    return this.#bootstrap
  }

  /** Of its JVM; undefined while it does not run. */
  get processId(): number | undefined {
    return this.#process?.pid
  }

  /** Everything that the broker logged since its last start. */
  get said(): string {
    return readFileSync(this.#logPath, 'utf8')
  }

  /** Formats what is not formatted yet; once, before the first start. */
  async format(identity: Identity): Promise<void> {
    await this.#configure()
    await this.#driver.request('format', {
      properties: this.#propertiesPath,
      metadataDirectory: this.#metadataDirectory,
      ...identity,
    })
  }

  /** Starts and waits until clients are answered. */
  async start(): Promise<void> {
    await this.#configure()
    const log = openSync(this.#logPath, 'w')
    const { jvmOptions } = this.#places
    const jvm = { ...this.#driver.jvm, ...(jvmOptions && { options: jvmOptions }) }
    const argumentList = [...javaArguments(jvm, 'kafka.Kafka', 'info'), this.#propertiesPath]
    const child = spawn('java', argumentList, { stdio: ['ignore', log, log] })
    closeSync(log)
    this.#process = child
    // Nothing else ends it where the tests are ended from outside.
    process.once('exit', () => child.kill('SIGKILL'))
    const settings = { ...this.#settings, 'default.api.timeout.ms': String(START_TIMEOUT_MS) }
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the broker ended:\n${this.said.slice(-4_000)}`)
    })
    ended.catch(() => undefined) // It will end some day, and then nobody listens.
    await Promise.race([this.#driver.request('awaitBroker', { settings }), ended])
  }

  /** Lets it close its logs and end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async createTopics(topics: readonly TopicToCreate[]): Promise<void> {
    await this.#driver.request('createTopics', { settings: this.#settings, topics })
  }

  /** Lets a topic have `total` partitions. */
  async addPartitions(topic: string, total: number): Promise<void> {
    await this.#driver.request('addPartitions', { settings: this.#settings, topic, total })
  }

  async deleteTopic(topic: string): Promise<void> {
    await this.#driver.request('deleteTopic', { settings: this.#settings, topic })
  }

  /** Sends records with Kafka's producer; returns the offsets they got. */
  async produce(
    records: readonly RecordToSend[],
    options: ProduceOptions = {},
  ): Promise<readonly number[]> {
    const { settings = {}, flushEvery = 10, transaction = null } = options
    const offsets = await this.#driver.request('produce', {
      // Only flushes end a batch, so that batches are the same in every run.
      settings: { ...this.#settings, 'linger.ms': '10000', ...settings },
      flushEvery,
      transaction,
      records,
    })
    return offsets as number[] // One for each record: BrokerClients.
  }

  /**
   * Takes these steps with Kafka's producers, each flushed after what it sent; returns the offsets
   * of all records. A transaction that no step ends stays open.
   */
  async transact(
    producers: ProducerSettings,
    steps: readonly TransactionStep[],
  ): Promise<readonly number[]> {
    const settings = { ...this.#settings, 'linger.ms': '10000' }
    const offsets = await this.#driver.request('transact', { settings, producers, steps })
    return offsets as number[] // One for each record: BrokerTransactions.
  }

  /** Reads a topic to its end with Kafka's consumer. */
  async consume(
    topic: string,
    options: ConsumeOptions = {},
  ): Promise<readonly ConsumedPartition[]> {
    const { group, resume = false, isolation = 'read_uncommitted' } = options
    const ofGroup = group === undefined ? {} : { 'group.id': group }
    const own = { ...ofGroup, ...CONSUMER_SETTINGS, 'isolation.level': isolation }
    const partitions = await this.#driver.request('consume', {
      settings: { ...this.#settings, ...own },
      topic,
      commit: group !== undefined,
      resume,
    })
    return partitions as ConsumedPartition[] // In order: BrokerClients.
  }

  get #settings(): Readonly<Record<string, string>> {
    return { 'bootstrap.servers': this.#bootstrap }
  }

  get #metadataDirectory(): string {
    return join(this.#home, 'metadata')
  }

  get #propertiesPath(): string {
    return join(this.#home, 'server.properties')
  }

  get #logPath(): string {
    return join(this.#home, 'broker.txt')
  }

  /** Free ports, anew for every start: the old ones may be taken by then. */
  async #configure(): Promise<void> {
    const [clients, controller] = await freePorts()
    this.#bootstrap = `127.0.0.1:${clients}`
    const lines = [
      ...PROPERTIES,
      ...(this.#places.properties ?? []),
      `listeners=PLAINTEXT://127.0.0.1:${clients},CONTROLLER://127.0.0.1:${controller}`,
      `controller.quorum.voters=${NODE_ID}@127.0.0.1:${controller}`,
      `offsets.topic.num.partitions=${this.#places.offsetsPartitions ?? 1}`,
      `transaction.state.log.num.partitions=${this.#places.transactionsPartitions ?? 1}`,
      `log.dirs=${this.directory}`,
      `metadata.log.dir=${this.#metadataDirectory}`,
    ]
    writeFileSync(this.#propertiesPath, `${lines.join('\n')}\n`)
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

/**
 * Below those that the system gives to whoever connects: a port that is free now is asked for by a
 * broker seconds later, and one of these would have been given to its clients, or another's.
 */
const [FIRST_PORT, PORT_COUNT] = [10_000, 20_000]

async function freePorts(): Promise<readonly [number, number]> {
  return [await freePort(), await freePort()]
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + randomInt(PORT_COUNT)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    server.close()
    if (isFree) return port
  }
}
