/**
 * Entries of .txnindex: Kafka's bytes both ways, and what is refused.
 */
import { describe, expect, it } from 'vitest'
import {
  ABORTED_TRANSACTION_BYTES,
  readAbortedTransaction,
  writeAbortedTransaction,
} from '../../src/format/aborted-transaction.ts'
import { segmentFiles } from './segment-files.ts'

const files = segmentFiles('.txnindex')

describe('a .txnindex file of Kafka', () => {
  it.each(files)('lists the transaction that was aborted', (bytes) => {
    expect(bytes).toHaveLength(ABORTED_TRANSACTION_BYTES)
    expect(readAbortedTransaction(bytes, 0)).toEqual({
      producerId: 77,
      firstOffset: 1_003,
      lastOffset: 1_008,
      lastStableOffset: 1_005,
    })
  })

  it.each(files)('gives the same bytes when its entry is written', (bytes) => {
    const copy = Buffer.alloc(bytes.length + 2)
    writeAbortedTransaction(copy, 1, readAbortedTransaction(bytes, 0))
    expect(copy.subarray(1, -1)).toEqual(bytes)
    expect(readAbortedTransaction(copy, 1)).toEqual(readAbortedTransaction(bytes, 0))
  })
})

describe('an aborted transaction', () => {
  const [entry = Buffer.alloc(0)] = files

  it.each([1, -1])('of version %i is refused', (version) => {
    const other = Buffer.from(entry)
    other.writeInt16BE(version, 0)
    expect(() => readAbortedTransaction(other, 0)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'version' }),
    )
  })

  it('with an offset beyond 2^53 is refused', () => {
    const other = Buffer.from(entry).fill(0x7f, 10, 18)
    expect(() => readAbortedTransaction(other, 0)).toThrow(
      expect.objectContaining({ name: 'CorruptBytes', reason: 'number' }),
    )
  })
})
