/**
 * The records that Kafka's perf tools send: what they read from a file has to be what others send.
 */
import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { LineRecords } from '../../../bench/contestants/line-records.ts'

const RECORDS = 500

describe('records as lines', () => {
  const lines = new LineRecords(100)

  it('are as long as a key and a value', () => {
    const lengths = Array.from({ length: RECORDS }, (_, index) => lines.at(index).length)
    expect(new Set(lengths)).toEqual(new Set([lines.lineBytes]))
    expect(lines.lineBytes).toBe(116)
    expect(lines.byteCount(3)).toBe(3 * 116)
  })

  it('are in the file what they are in memory, one a line', () => {
    const inFile = lines.text.trimEnd().split('\n')
    expect(inFile).toEqual(
      Array.from({ length: RECORDS }, (_, index) => lines.at(index).toString()),
    )
  })

  it('begin anew after the last of them', () => {
    expect(lines.at(RECORDS + 7)).toBe(lines.at(7))
  })

  it('are told from others by their checksums', () => {
    const known = lines.checksums()
    expect(known.size).toBe(RECORDS)
    expect(known.has(crc32(lines.at(3)))).toBe(true)
    expect(known.has(crc32('something else'))).toBe(false)
  })
})
