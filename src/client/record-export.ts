/**
 * `log.exportRecords`: the records of a topic as lines of text (record-text.ts), one at a time: it
 * reads as fast as they are taken.
 */
import { LogError } from '../errors/log-error.ts'
import { checkOptions } from './check-options.ts'
import type { LogRecord } from './log-record.ts'
import type { Isolation, TopicReadOptions } from './position.ts'
import type { RecordStream } from './record-stream.ts'
import { lineOf } from './record-text.ts'
import type { Topic } from './topic.ts'

/** Options of `log.exportRecords`. */
export interface ExportOptions {
  /** Where to begin, as in `topic.read`. Default 'earliest'. */
  from?: TopicReadOptions['from']
  /** Default: all of them, one after the other as they are read. */
  partitions?: readonly number[] | undefined
  /** Default 'read_committed': nothing of transactions that are open, or were aborted. */
  isolation?: Isolation | undefined
  /** Ends it with `ABORTED`. */
  signal?: AbortSignal | undefined
}

const CALL = 'log.exportRecords'
/** A string has no more than 2^29 characters, and text may take six for a byte. */
const MAX_RECORD_BYTES = 67_108_864

/**
 * See `EventLog.exportRecords`; `topic` reads bytes.
 * @throws {LogError} INVALID_ARGUMENT for options that cannot be.
 */
export function exportLines(
  topic: Topic,
  options: ExportOptions | undefined,
): AsyncGenerator<string, void, undefined> {
  checkOptions(options, ['from', 'partitions', 'isolation', 'signal'], CALL)
  const { isolation = 'read_committed', ...range } = options ?? {}
  // Read from here on, not from the first line that is asked for: it ends at the end of the call.
  return linesOf(topic.read({ ...range, isolation }))
}

async function* linesOf(records: RecordStream<LogRecord>): AsyncGenerator<string, void, undefined> {
  for await (const record of records) {
    const { topic: name, partition, offset } = record
    const sizeBytes = textBytesOf(record)
    if (sizeBytes > MAX_RECORD_BYTES) {
      const message = `${CALL}: record ${offset} of ${name}-${partition} has ${sizeBytes} bytes, too many for a line of text: use log.backup`
      throw new LogError('RECORD_TOO_LARGE', message, { sizeBytes, maxBytes: MAX_RECORD_BYTES })
    }
    yield lineOf(record)
  }
}

/** Bytes that the line of a record has to show. */
function textBytesOf({ keyBytes, valueBytes, headers }: LogRecord): number {
  let bytes = (keyBytes?.length ?? 0) + (valueBytes?.length ?? 0)
  for (const [name, value] of headers) bytes += name.length + (value?.length ?? 0)
  return bytes
}
