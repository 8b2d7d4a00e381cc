/**
 * ProducerOptions: what a producer can be told, checked once when it is made. Owns the defaults and
 * the bounds; below here no option is optional. Whether a codec can compress on this machine is
 * asked here too, for producers and for topics that have a codec of their own.
 */
import { invalidArgument, type LogError } from '../errors/log-error.ts'
import { COMPRESSION_CODECS, missingPackageOf, type Codec } from '../format/compression.ts'
import { checkTransactionalId } from '../log/transactional-id.ts'
import { checkOptions, describeValue } from './check-options.ts'
import { partitioners, type Partitioner } from './partitioner.ts'
import { signalOf } from './position.ts'

/** Options of `log.producer`; what is absent or undefined takes its default. */
export interface ProducerOptions {
  /**
   * What a resolved send survives. 0: nothing. 1: the process. 'all' (default): a power cut, as a
   * committed transaction does whatever is given here.
   */
  acks?: 0 | 1 | 'all' | undefined
  /** Milliseconds a batch waits for more records. Default 0: it goes with the turn it began in. */
  lingerMs?: number | undefined
  /** Bytes of a batch before compression; a larger record gets one of its own. Default 65,536. */
  batchBytes?: number | undefined
  /**
   * Bytes of records that may be on their way; beyond them `send` waits. A transaction has as many
   * for itself. Default 33,554,432.
   */
  bufferBytes?: number | undefined
  /** Default 'none'. A topic with a `compressionType` of its own has its way. */
  compression?: Codec | undefined
  /** Where records without a partition go. Default `partitioners.murmur2`. */
  partitioner?: Partitioner | undefined
  /**
   * Whether batches say who wrote them, and in which order: so that one that comes twice is kept
   * once, and a missing one shows. Transactions need it. Default true.
   */
  idempotent?: boolean | undefined
  /**
   * Names the producer across restarts, for transactions: whoever begins one under the same name
   * later fences this one, and what this one left open is aborted. Up to 32,767 bytes of UTF-8.
   * Default: one is made up, which nobody else has.
   */
  transactionalId?: string | undefined
  /** Milliseconds after which a transaction that is still open is aborted. Default 60,000. */
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
  readonly idempotent: boolean
  /** Null: one is made up. */
  readonly transactionalId: string | null
  readonly transactionTimeoutMs: number
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
 * whose package is not installed, and a transactionalId of a producer that is not idempotent.
 */
export function checkProducerOptions(options: ProducerOptions | undefined): ProducerSettings {
  checkOptions(options, OPTION_NAMES, WHERE)
  const { compression = 'none', partitioner = partitioners.murmur2, ...given } = options ?? {}
  const idempotent = checkFlag('idempotent', given.idempotent, true)
  return {
    acks: checkAcks(given.acks),
    lingerMs: checkInteger('lingerMs', given.lingerMs, 0, 0, MAX_MS),
    batchBytes: checkInteger('batchBytes', given.batchBytes, 65_536, 1, MAX_BYTES),
    bufferBytes: checkInteger('bufferBytes', given.bufferBytes, 33_554_432, 1, MAX_BYTES),
    compression: checkCodec(compression, `${WHERE}: compression`),
    partitioner,
    idempotent,
    transactionalId: idOf(given.transactionalId, idempotent),
    transactionTimeoutMs: checkInteger(
      'transactionTimeoutMs',
      given.transactionTimeoutMs,
      60_000,
      1,
      MAX_MS,
    ),
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

function checkFlag(option: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value === 'boolean') return value
  throw refusedOption(option, value, 'true or false')
}

function idOf(value: unknown, idempotent: boolean): string | null {
  if (value === undefined) return null
  if (typeof value !== 'string') throw refusedOption('transactionalId', value, 'a string')
  checkTransactionalId(value)
  if (idempotent) return value
  throw invalidArgument(
    `${WHERE}: a producer with a transactionalId is idempotent: leave idempotent: false out`,
    { option: 'idempotent', value: false, allowed: 'true' },
  )
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
