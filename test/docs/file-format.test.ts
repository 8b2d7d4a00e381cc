/**
 * The example of docs/file-format.md is what the code writes, and what it says of each byte is what
 * the code reads; a control file can be read by the offsets that the page gives.
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
import { crc32c } from '../../src/format/crc32c.ts'
import { readHeaders } from '../../src/format/record.ts'
import { CONTROL_FILE, ControlFile } from '../../src/storage/control-file.ts'
import { openMemoryDriver } from '../../src/storage/memory-driver.ts'
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

/** Where the page has each field of a part of the control file, by name. */
function fieldsOf(part: string): ReadonlyMap<string, number> {
  const page = readFileSync(join(CHECKOUT, 'docs/file-format.md'), 'utf8')
  const [, section = ''] = page.split('## The control file')
  const [, fence = ''] = section.split('```')
  const [, table = ''] = fence.split(`byte   ${part}`)
  const fields = new Map<string, number>()
  for (const line of table.split('\n').slice(1)) {
    const [, position, name] = /^ *(\d+) {3}(\w+)/.exec(line) ?? []
    if (position === undefined || name === undefined) break
    fields.set(name, Number(position))
  }
  return fields
}

/** Reads by the page alone: int32, int64 and text at `start` and what a field has there. */
class ByThePage {
  readonly #bytes: Buffer
  readonly #fields: ReadonlyMap<string, number>
  readonly #start: number

  constructor(bytes: Buffer, part: string, start: number) {
    this.#bytes = bytes
    this.#fields = fieldsOf(part)
    this.#start = start
  }

  at(name: string): number {
    const position = this.#fields.get(name)
    if (position === undefined) throw new Error(`the page has no ${name}`)
    return this.#start + position
  }

  int32(name: string): number {
    return this.#bytes.readUInt32BE(this.at(name))
  }

  offset(name: string): number {
    return Number(this.#bytes.readBigInt64BE(this.at(name)))
  }

  text(name: string, byteLength: number): string {
    return this.#bytes.toString('latin1', this.at(name), this.at(name) + byteLength)
  }
}

describe('the control file in docs/file-format.md', () => {
  const topicId = Buffer.from('0123456789abcdef')
  const state = {
    layoutEpoch: 6,
    logStartOffset: 2 ** 33,
    logEndOffset: 2 ** 33 + 5,
    highWatermark: 2 ** 33 + 4,
    lastStableOffset: 2 ** 33 + 3,
    durableOffset: 2 ** 33 + 2,
  }
  const driver = openMemoryDriver()
  const control = ControlFile.open(driver, { writerGeneration: 9, bootId: 'a boot', pid: 77 })
  control.slotFor(topicId, 4)
  const slot = control.slotFor(topicId, 5)
  for (const layoutEpoch of [2, 4, 6]) control.publish(slot, { ...state, layoutEpoch })
  const file = driver.openFile(CONTROL_FILE, 'read')
  const bytes = Buffer.alloc(file.sizeBytes)
  file.read(bytes, 0, bytes.length, 0)

  it('has the header that the page says', () => {
    const header = new ByThePage(bytes, 'header', 0)
    expect(header.text('magic', 8)).toBe('STRMBCTL')
    expect(header.text('bootId', 64)).toBe('a boot'.padEnd(64, '\0'))
    const names = ['format', 'slotBytes', 'writerGeneration', 'pid', 'clean'] as const
    expect(names.map((name) => header.int32(name))).toEqual([1, 128, 9, 77, 0])
    expect(header.int32('crc')).toBe(crc32c(bytes, 0, header.at('crc')))
    control.markClean()
    const clean = Buffer.alloc(128)
    file.read(clean, 0, 128, 0)
    expect(new ByThePage(clean, 'header', 0).int32('clean')).toBe(1)
  })

  it('has slots and copies of the fields that the page says', () => {
    expect(bytes.length % 4_096).toBe(0)
    const start = 128 + 128 * slot
    const place = new ByThePage(bytes, 'slot', start)
    expect(place.text('topicId', 16)).toBe(topicId.toString('latin1'))
    expect([place.int32('partition'), place.int32('writerGeneration')]).toEqual([5, 9])
    // Three publications: the even copy has the second one, the odd one, behind it, the third.
    const [even, odd] = [place.at('evenCopy'), place.at('oddCopy')].map(
      (at) => new ByThePage(bytes, 'copy', at),
    )
    expect([even?.int32('sequence'), odd?.int32('sequence')]).toEqual([2, 3])
    expect([even?.int32('layoutEpoch'), odd?.int32('layoutEpoch')]).toEqual([4, 6])
    for (const copy of [even, odd]) {
      for (const [name, value] of Object.entries(state)) {
        if (name !== 'layoutEpoch') expect(copy?.offset(name), name).toBe(value)
      }
      const copyAt = copy?.at('sequence') ?? 0
      const crcAt = copy?.at('crc') ?? 0
      const covered = Buffer.concat([
        bytes.subarray(start, start + 20),
        bytes.subarray(copyAt, crcAt),
      ])
      expect(copy?.int32('crc')).toBe(crc32c(covered, 0, covered.length))
    }
  })
})
