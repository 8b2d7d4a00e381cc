/**
 * The example of docs/file-format.md is what the code writes, and what it says of each byte is what
 * the code reads.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  assignOffsets,
  baseOffsetOf,
  baseTimestampOf,
  batchSizeBytesOf,
  checkBatch,
  leaderEpochOf,
  maxTimestampOf,
  sealBatch,
} from '../../src/format/record-batch.ts'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { readHeaders } from '../../src/format/record.ts'
import { CHECKOUT } from '../support/source-text.ts'

const BASE_OFFSET = 4096
const LEADER_EPOCH = 1
const TIMESTAMP = Date.parse('2026-01-05T08:00:00.000Z')

/** The bytes of the page's example: two digits each, up to the explanation. */
function exampleOfPage(): Buffer {
  const page = readFileSync(join(CHECKOUT, 'docs/file-format.md'), 'utf8')
  const [, section = ''] = page.split('### One batch, byte by byte')
  const [, fence = ''] = section.split('```')
  const bytes = fence.split('\n').map((line) => /^(?:[0-9a-f]{2} )+/.exec(`${line} `)?.[0] ?? '')
  return Buffer.from(bytes.join('').replaceAll(' ', ''), 'hex')
}

describe('the batch in docs/file-format.md', () => {
  it('is what the builder writes for these two records', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(256), 0)
    builder.add(TIMESTAMP, 'o-1', 'paid', null)
    builder.add(TIMESTAMP + 250, 'o-2', null, ['by', 'ada'])
    builder.finish('none')
    const { buffer, start, sizeBytes } = builder
    assignOffsets(buffer, start, BASE_OFFSET, LEADER_EPOCH)
    sealBatch(buffer, start)
    expect(exampleOfPage().toString('hex')).toBe(buffer.toString('hex', start, start + sizeBytes))
  })

  it('reads as the page explains it', () => {
    const bytes = exampleOfPage()
    expect(checkBatch(bytes, 0, bytes.length)).toBe('ok')
    expect(batchSizeBytesOf(bytes, 0)).toBe(93)
    expect(baseOffsetOf(bytes, 0)).toBe(BASE_OFFSET)
    expect(leaderEpochOf(bytes, 0)).toBe(LEADER_EPOCH)
    expect(baseTimestampOf(bytes, 0)).toBe(TIMESTAMP)
    expect(maxTimestampOf(bytes, 0)).toBe(TIMESTAMP + 250)

    const reader = new RecordBatchReader()
    const text = (start: number, length: number): string | null =>
      length < 0 ? null : reader.buffer.toString('utf8', start, start + length)
    reader.reset(bytes, 0, bytes.length)
    const records: unknown[] = []
    while (reader.next()) {
      const { offset, timestamp, keyStart, keyLength, valueStart, valueLength } = reader
      const headers = readHeaders(reader.buffer, reader.headersStart, reader.headerCount)
      records.push({
        offset,
        timestamp,
        key: text(keyStart, keyLength),
        value: text(valueStart, valueLength),
        headers: headers.map(String),
      })
    }
    expect(records).toEqual([
      { offset: 4096, timestamp: TIMESTAMP, key: 'o-1', value: 'paid', headers: [] },
      { offset: 4097, timestamp: TIMESTAMP + 250, key: 'o-2', value: null, headers: ['by', 'ada'] },
    ])
  })
})
