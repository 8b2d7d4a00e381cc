/**
 * Records of the topic of committed offsets, which any broker may have written.
 *
 *   offset-commits   byte 0 is the length of a key, which follows; the rest is a value
 */
import {
  OffsetCommitReader,
  encodeOffsetKey,
  offsetValueBytes,
  writeOffsetValue,
} from '../../src/format/offset-commit.ts'
import { type FuzzTarget, promise, promiseEqual } from '../fuzz-target.ts'
import { sameAnywhere } from './same-anywhere.ts'

/** See the file's header. */
export const offsetCommitTarget: FuzzTarget = {
  name: 'offset-commits',
  maxInputBytes: 256,
  allocationLimit: (input) => 64 * input.length + 4_096,
  run(input) {
    const keyEnd = Math.min(1 + (input[0] ?? 0), input.length)
    const key = sameAnywhere(input.subarray(1, keyEnd), readKey)
    const value = sameAnywhere(input.subarray(keyEnd), readValue)
    if (key !== undefined && key !== 'other') {
      const again = encodeOffsetKey(key.group, key.topic, key.partition)
      promiseEqual(sameAnywhere(again, readKey), key, 'a key means the same, written again')
    }
    if (value !== undefined && value !== 'other') {
      const again = Buffer.alloc(offsetValueBytes(Buffer.byteLength(value.metadata)))
      writeOffsetValue(again, value)
      promiseEqual(sameAnywhere(again, readValue), value, 'a value means the same, written again')
    }
  },
}

interface PlainKey {
  readonly group: string
  readonly topic: string
  readonly partition: number
}

function readKey(buffer: Buffer, at: number, length: number): PlainKey | 'other' {
  const reader = new OffsetCommitReader()
  if (!reader.readKey(buffer, at, length)) return 'other'
  const { groupStart, groupLength, topicStart, topicLength, partition } = reader
  promise(partition >= 0, 'no partition is negative')
  promise(topicStart + topicLength + 4 <= at + length, 'a key lies in its bytes')
  return {
    group: textOf(buffer, groupStart, groupLength),
    topic: textOf(buffer, topicStart, topicLength),
    partition,
  }
}

interface PlainValue {
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
}

function readValue(buffer: Buffer, at: number, length: number): PlainValue | 'other' {
  const reader = new OffsetCommitReader()
  if (!reader.readValue(buffer, at, length)) return 'other'
  const { offset, leaderEpoch, metadataStart, metadataLength, commitTimestampMs } = reader
  promise(Number.isSafeInteger(offset) && offset >= 0, 'an offset is one that can be')
  promise(metadataStart + metadataLength + 8 <= at + length, 'a value lies in its bytes')
  const metadata = textOf(buffer, metadataStart, metadataLength)
  return { offset, leaderEpoch, metadata, commitTimestampMs }
}

function textOf(buffer: Buffer, start: number, length: number): string {
  promise(start >= 0 && length >= 0, 'a string is somewhere')
  return buffer.toString('utf8', start, start + length)
}
