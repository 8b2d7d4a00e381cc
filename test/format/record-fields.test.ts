/**
 * The fields of a record found a second time: where a reader of its batch found them the first.
 */
import { describe, expect, it } from 'vitest'
import { RecordBatchBuilder } from '../../src/format/record-batch-builder.ts'
import { RecordBatchReader } from '../../src/format/record-batch-reader.ts'
import { RecordFields } from '../../src/format/record-fields.ts'

describe('the fields of a record', () => {
  it('are none before a record was asked for', () => {
    expect(new RecordFields()).toMatchObject({ keyLength: -1, valueLength: -1, headerCount: 0 })
  })

  it('are found where they were when its batch was read, one record after the other', () => {
    const builder = new RecordBatchBuilder()
    builder.begin(Buffer.alloc(200), 30)
    const parts = [null, Buffer.alloc(0), Buffer.alloc(5, 'k'), Buffer.alloc(300, 'v')]
    for (const key of parts) {
      for (const value of parts) builder.add(1_000, key, value, value === null ? null : ['h', 'w'])
    }
    builder.finish('none')
    const reader = new RecordBatchReader()
    const fields = new RecordFields()
    reader.reset(builder.buffer, builder.start, 0)
    for (const key of parts) {
      for (const value of parts) {
        expect(reader.next()).toBe(true)
        const { buffer, fieldsStart, keyStart, keyLength, valueStart, valueLength } = reader
        fields.read(buffer, fieldsStart)
        expect(fields).toMatchObject({ keyStart, keyLength, valueStart, valueLength })
        const { headersStart, headerCount } = reader
        expect(fields).toMatchObject({ headersStart, headerCount })
        expect([keyLength, valueLength]).toEqual([key?.length ?? -1, value?.length ?? -1])
      }
    }
  })

  it('are refused where they do not end in the buffer', () => {
    const bytes = Buffer.from([4, 0x61])
    expect(() => new RecordFields().read(bytes, 0)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'record' }),
    )
  })
})
