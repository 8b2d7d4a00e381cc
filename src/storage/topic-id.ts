/**
 * Topic ids: Kafka's Uuid, 16 bytes, written as 22 characters of base64url without padding, as in
 * partition.metadata. `cluster.id` and `directory.id` of meta.properties are made the same way.
 *
 * Pure: random bytes come from outside. A new id never starts with '-' (as Kafka's
 * Uuid.randomUuid), so it can stand alone on a command line; read ones may.
 */
import { assert } from '../errors/invariant.ts'

/** Bytes of a topic id. */
export const TOPIC_ID_BYTES = 16
const TEXT = /^[A-Za-z0-9_-]{22}$/

/** A new id: a random UUID (version 4) from `randomBytes`, drawn again while it starts with '-'. */
export function randomTopicId(randomBytes: (byteLength: number) => Uint8Array): string {
  for (;;) {
    const bytes = Buffer.from(randomBytes(TOPIC_ID_BYTES))
    assert(bytes.byteLength === TOPIC_ID_BYTES, 'topic id: 16 random bytes')
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6) // Version 4,
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8) // variant 1: never one Kafka reserves.
    const id = formatTopicId(bytes)
    if (!id.startsWith('-')) return id
  }
}

/** The text of 16 bytes. */
export function formatTopicId(bytes: Uint8Array): string {
  assert(bytes.byteLength === TOPIC_ID_BYTES, 'topic id: 16 bytes')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
}

/** The 16 bytes (owned) of a text; undefined unless it is one that `formatTopicId` gives. */
export function parseTopicId(text: string): Buffer | undefined {
  if (!TEXT.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64url')
  return formatTopicId(bytes) === text ? bytes : undefined
}
