/**
 * The records of the readers' campaign: each says in a header whose it is, and has a checksum over
 * that, its key and its value, so that whoever is given one knows that it is whole, and that it is
 * one of the partition that it was asked of.
 */
import { crc32 } from 'node:zlib'
import type { LogRecord, RecordInput } from '../../src/index.ts'

const KEYS = 53
/** Every so many records a large one. */
const LARGE_EVERY = 41
const LARGE_BYTES = 20_000

/** A partition: topics of one name have different ids. */
export interface Place {
  readonly id: string
  readonly partition: number
}

/** What a record says of itself. */
export interface Identity {
  readonly seq: number
  /** The transaction that it was sent in; empty for none. */
  readonly tx: string
}

/** For maps. */
export function nameOf({ id, partition }: Place): string {
  return `${id}/${partition}`
}

/** Keys come again in no order. */
export function keyOf(seq: number): string {
  return `key-${(Math.imul(seq, 0x9e37_79b1) >>> 7) % KEYS}`
}

/** Of the last record of all in a partition. */
export function lastKey({ partition }: Place): string {
  return `last-${partition}`
}

/** Whether it deletes its key, where `isCompacted`. */
export function isDeletion(seq: number): boolean {
  return seq % 7 === 3
}

/** Record number `seq` of a partition. */
export function recordOf(
  place: Place,
  { seq, tx }: Identity,
  options: { readonly isCompacted: boolean; readonly key?: string },
): RecordInput {
  const key = options.key ?? `${place.partition}/${keyOf(seq)}`
  const isNull = options.isCompacted && options.key === undefined && isDeletion(seq)
  const value = isNull ? null : Buffer.alloc(sizeOf(seq), `${seq}.`)
  const who = `${nameOf(place)}/${seq}/${tx}`
  return { key, value, headers: { who, sum: String(sumOf(who, key, value)) } }
}

/** What `record` says; a text where it is torn, or foreign to `place`. */
export function identityOf(place: Place, record: LogRecord): Identity | string {
  const [who, sum] = [record.headers.text('who'), record.headers.text('sum')]
  const where = `${nameOf(place)}@${record.offset}`
  if (typeof who !== 'string' || typeof sum !== 'string') return `${where} has no headers`
  const own = sumOf(who, String(record.key), record.value)
  if (String(own) !== sum) return `${where}, ${who}: its checksum is ${own}, not ${sum}`
  const [id = '', partition = '', seq = '', tx = ''] = who.split('/')
  if (id !== place.id || Number(partition) !== place.partition) return `${where} is ${who}`
  return { seq: Number(seq), tx }
}

/** Folds a record into the checksum of those before it. */
export function foldRecord(sum: number, record: LogRecord): number {
  const head = `${record.offset}/${record.headers.text('sum') ?? ''}/${String(record.key)}`
  const folded = crc32(head, sum)
  return record.value === null ? folded : crc32(record.value, folded)
}

function sizeOf(seq: number): number {
  return seq % LARGE_EVERY === 0 ? LARGE_BYTES - (seq % 5_000) : 10 + (seq % 200)
}

function sumOf(who: string, key: string, value: Buffer | null): number {
  const sum = crc32(key, crc32(who))
  return value === null ? sum : crc32(value, sum)
}
