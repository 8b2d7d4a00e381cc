/**
 * ProducerOptions: what a producer can be told, checked once when it is made. Owns the defaults and
 * the bounds; below here no option is optional. Whether a codec can compress on this machine is
 * asked here too, for producers and for topics that have a codec of their own.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'
import { COMPRESSION_CODECS, missingPackageOf, type Codec } from '../format/compression.ts'
import { checkOptions, describeValue } from './check-options.ts'
import { notAvailable } from './not-available.ts'
import { partitioners, type Partitioner } from './partitioner.ts'
import { signalOf } from './position.ts'

/** Options of `log.producer`; what is absent or undefined takes its default. */
export interface ProducerOptions {
  /**
   * What a resolved send survives. 0: nothing. 1: the process. 'all' (default): a power cut.
   */
  acks?: 0 | 1 | 'all' | undefined
  /** Milliseconds a batch waits for more records. Default 0: it goes with the turn it began in. */
  lingerMs?: number | undefined
  /** Bytes of a batch before compression; a larger record gets one of its own. Default 65,536. */
  batchBytes?: number | undefined
  /** Bytes of records that may be on their way; beyond them `send` waits. Default 33,554,432. */
  bufferBytes?: number | undefined
  /** Default 'none'. A topic with a `compressionType` of its own has its way. */
  compression?: Codec | undefined
  /** Where records without a partition go. Default `partitioners.murmur2`. */
  partitioner?: Partitioner | undefined
  /** Whether what is sent twice after a failure is kept once. Default true. */
  idempotent?: boolean | undefined
  /** Names the producer across restarts, for transactions. */
  transactionalId?: string | undefined
  /** Milliseconds after which an open transaction is aborted. Default 60,000. */
  transactionTimeoutMs?: number | undefined
  /** Aborting it closes the producer; what was not appended yet is rejected with `ABORTED`. */
  signal?: AbortSignal | undefined
}

/** Complete options. */
export interface ProducerSettings {
  readonly acks: 0 | 1 | 'all'
  readonly lingerMs: number
  readonly batchBytes: number
  readonly bufferBytes: number
  readonly compression: Codec
  readonly partitioner: Partitioner
  readonly signal: AbortSignal | null
}

const WHERE = 'log.producer'
const OPTION_NAMES: readonly string[] = [
  'acks',
  'lingerMs',
  'batchBytes',
  'bufferBytes',
  'compression',
  'partitioner',
  'idempotent',
  'transactionalId',
  'transactionTimeoutMs',
  'signal',
]
const MAX_BYTES = Number.MAX_SAFE_INTEGER
/** Timers take an int32 of milliseconds; a larger one would fire at once. */
const MAX_MS = 0x7fff_ffff

/**
 * The settings that `options` ask for.
 * @throws {LogError} `INVALID_ARGUMENT` for an unknown name, a value out of its bounds, a codec
 * whose package is not installed, and for what this version does not have.
 */
export function checkProducerOptions(options: ProducerOptions | undefined): ProducerSettings {
  checkOptions(options, OPTION_NAMES, WHERE)
  const { compression = 'none', partitioner = partitioners.murmur2, ...given } = options ?? {}
  if (given.transactionalId !== undefined) {
    throw notAvailable('transactions', `${WHERE}({ transactionalId })`)
  }
  // Checked already, although they act only once sequences and transactions are there.
  checkFlag('idempotent', given.idempotent)
  checkInteger('transactionTimeoutMs', given.transactionTimeoutMs, 60_000, 1, MAX_MS)
  return {
    acks: checkAcks(given.acks),
    lingerMs: checkInteger('lingerMs', given.lingerMs, 0, 0, MAX_MS),
    batchBytes: checkInteger('batchBytes', given.batchBytes, 65_536, 1, MAX_BYTES),
    bufferBytes: checkInteger('bufferBytes', given.bufferBytes, 33_554_432, 1, MAX_BYTES),
    compression: checkCodec(compression, `${WHERE}: compression`),
    partitioner,
    signal: signalOf(given.signal, WHERE),
  }
}

/**
 * A codec that can compress here; `where` says who asks for it.
 * @throws {LogError} `INVALID_ARGUMENT`, naming the package that is missing.
 */
export function checkCodec(codec: unknown, where: string): Codec {
  const known = COMPRESSION_CODECS.find((one) => one === codec)
  if (known === undefined) {
    const allowed = COMPRESSION_CODECS.map((one) => `'${one}'`).join(', ')
    throw invalidArgument(`${where} is one of ${allowed}, not ${describeValue(codec)}`, {
      option: 'compression',
      value: codec,
      allowed: COMPRESSION_CODECS,
    })
  }
  const packageName = missingPackageOf(known, 'compress')
  if (packageName === null) return known
  throw invalidArgument(
    `${where} '${known}' needs the package ${packageName}: npm install ${packageName}`,
    { option: 'compression', value: known, package: packageName },
  )
}

function checkAcks(acks: unknown): 0 | 1 | 'all' {
  if (acks === undefined) return 'all'
  if (acks === 0 || acks === 1 || acks === 'all') return acks
  const hint = acks === -1 ? "; Kafka's -1 is acks: 'all'" : ''
  throw refusedOption('acks', acks, `0, 1 or 'all'`, hint)
}

function checkInteger(
  option: string,
  value: unknown,
  fallback: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return fallback
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value + 0 // No -0: it is shown to users.
  }
  throw refusedOption(option, value, `an integer from ${min} to ${max}`)
}

function checkFlag(option: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw refusedOption(option, value, 'true or false')
}

function refusedOption(
  option: string,
  value: unknown,
  allowed: string,
  hint = '',
): LogError<'INVALID_ARGUMENT'> {
  return invalidArgument(`${WHERE}: ${option} is ${allowed}, not ${describeValue(value)}${hint}`, {
    option,
    value,
    allowed,
  })
}
