/** What a mistyped name most likely meant. */
import { describe, expect, it } from 'vitest'
import { nearestName } from '../../src/errors/nearest-name.ts'

const SETTINGS = [
  'partitions',
  'cleanupPolicy',
  'retentionMs',
  'retentionBytes',
  'segmentBytes',
  'segmentMs',
]

describe('nearestName', () => {
  it.each([
    ['partions', 'partitions'],
    ['partitoins', 'partitions'],
    ['retention.ms', 'retentionMs'],
    ['retention_bytes', 'retentionBytes'],
    ['CLEANUPPOLICY', 'cleanupPolicy'],
    ['segmentSize', 'segmentBytes'],
  ])('takes %s for %s', (mistyped, meant) => {
    expect(nearestName(mistyped, SETTINGS)).toBe(meant)
  })

  it('prefers the same beginning over an ending that happens to fit', () => {
    expect(nearestName('batchSize', ['maxSize', 'batchBytes'])).toBe('batchBytes')
  })

  it('gives the first of two that are equally near', () => {
    expect(nearestName('c', ['a', 'b'])).toBe('a')
  })

  it('gives something for a name that is nothing like the known ones', () => {
    expect(SETTINGS).toContain(nearestName('x'.repeat(100_000), SETTINGS))
    expect(nearestName('', SETTINGS)).toBeDefined()
  })

  it('gives undefined only where no name is known', () => {
    expect(nearestName('anything', [])).toBeUndefined()
  })
})
