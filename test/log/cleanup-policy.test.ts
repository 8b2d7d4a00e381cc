/** Which policy applies to a topic, wherever it came from. */
import { describe, expect, it } from 'vitest'
import { appliedPolicy } from '../../src/log/cleanup-policy.ts'

const id = 'AAAAAAAAAAAAAAAAAAAAAA'

describe('what may happen to old records of a topic', () => {
  it('is what its settings say, and deletion where they say nothing', () => {
    const stored = { id, partitions: 1 }
    expect(appliedPolicy('t', { ...stored, config: {} })).toBe('delete')
    for (const cleanupPolicy of ['delete', 'compact', 'compact,delete'] as const) {
      expect(appliedPolicy('t', { ...stored, config: { cleanupPolicy } })).toBe(cleanupPolicy)
    }
  })

  it('is nothing where it was found as folders, until its settings name a policy', () => {
    const stored = { id, partitions: 1, adopted: true }
    expect(appliedPolicy('t', { ...stored, config: {} })).toBe('none')
    expect(appliedPolicy('t', { ...stored, config: { retentionMs: 1 } })).toBe('none')
    expect(appliedPolicy('t', { ...stored, config: { cleanupPolicy: 'burn' } })).toBe('none')
    expect(appliedPolicy('t', { ...stored, config: { cleanupPolicy: 'delete' } })).toBe('delete')
  })

  it('is compaction for the topics of the log itself, found as folders or not', () => {
    for (const name of ['__consumer_offsets', '__transaction_state']) {
      for (const adopted of [false, true]) {
        expect(appliedPolicy(name, { id, partitions: 1, config: {}, adopted })).toBe('compact')
      }
    }
  })
})
