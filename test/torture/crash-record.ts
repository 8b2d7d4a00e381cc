/**
 * The records of the crash tests. Everything in one follows from its sequence number, which is its
 * timestamp: whoever reads one can tell whether a child wrote just this.
 *
 * A sequence number is unique in a run and rises in the order of sending: the life that sent it,
 * and its number in that life.
 */
import type { LogRecord, RecordInput } from '../../src/index.ts'

const FIRST_TIMESTAMP = 1_700_000_000_000
const RECORDS_PER_LIFE = 1_000_000

/** What is sent. */
export type CrashRecord = RecordInput & { readonly timestamp: number }

/** The sequence number of the record that a life sends as its nth. */
export function sequenceOf(life: number, index: number): number {
  return life * RECORDS_PER_LIFE + index
}

/** The life that sent a record. */
export function lifeOf(sequence: number): number {
  return Math.floor(sequence / RECORDS_PER_LIFE)
}

/** The timestamp of a record. */
export function timestampOf(sequence: number): number {
  return FIRST_TIMESTAMP + sequence
}

/** The record of a sequence number. */
export function crashRecord(sequence: number): CrashRecord {
  return {
    timestamp: timestampOf(sequence),
    key: sequence % 7 === 0 ? null : `key ${sequence % 50}`,
    value: valueOf(sequence),
    headers:
      sequence % 3 === 0
        ? [
            ['sequence', String(sequence)],
            ['none', null],
          ]
        : [],
  }
}

/**
 * The sequence number of a record that was read.
 * @throws where it is not, in every part, the record of that number.
 */
export function checkedSequence(record: LogRecord): number {
  const sequence = record.timestamp - FIRST_TIMESTAMP
  const { key, value, headers } = crashRecord(sequence)
  const isSame =
    (key === null ? record.key === null : record.key?.toString() === key) &&
    (value === null ? record.value === null : record.value?.toString() === value) &&
    JSON.stringify(record.toJSON().headers) === JSON.stringify(headers)
  if (isSame) return sequence
  throw new Error(
    `${record.topic}-${record.partition}: offset ${record.offset} has no record of ours, ` +
      `though its timestamp is that of ${sequence}: ${JSON.stringify(record)}`,
  )
}

/** Nothing, little, some, and at times more than a segment of the tests holds. */
function valueOf(sequence: number): string | null {
  const mixed = Math.imul(sequence + 1, 0x9e3779b1) >>> 0
  const size = mixed % 1000
  const bytes = (mixed >>> 10) & 0xffff
  if (size < 30) return null
  if (size < 60) return ''
  const text = `${sequence}.`
  if (size < 800) return text.repeat(1 + (bytes % 20))
  if (size < 997) return text.repeat(1 + (bytes % 300))
  return text.repeat(4000)
}
