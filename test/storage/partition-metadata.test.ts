/** partition.metadata: Kafka's bytes both ways, damage. */

import { describe, expect, it } from 'vitest'
import { InvariantError } from '../../src/errors/invariant.ts'
import {
  formatPartitionMetadata,
  parsePartitionMetadata,
} from '../../src/storage/partition-metadata.ts'
import { kafkaCheckpointFile } from './kafka-checkpoint-files.ts'

const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAKg'

describe('partition.metadata', () => {
  it('reads and writes what Kafka writes', () => {
    const bytes = kafkaCheckpointFile('partition.metadata')
    expect(parsePartitionMetadata(bytes)).toBe(TOPIC_ID)
    expect(formatPartitionMetadata(TOPIC_ID)).toEqual(bytes)
  })

  it('tolerates an end of the last line', () => {
    expect(parsePartitionMetadata(Buffer.from(`version: 0\ntopic_id: ${TOPIC_ID}\n`))).toBe(
      TOPIC_ID,
    )
  })

  it.each([
    '',
    'version: 0\n',
    `version: 1\ntopic_id: ${TOPIC_ID}`,
    'version: 0\ntopic_id: AAAA',
    `topic_id: ${TOPIC_ID}`,
    `version: 0\ntopic_id: ${TOPIC_ID}\nmore`,
  ])('%j is damage', (text) => {
    expect(parsePartitionMetadata(Buffer.from(text))).toBeUndefined()
  })

  it('does not write an id that is none', () => {
    expect(() => formatPartitionMetadata('orders')).toThrow(InvariantError)
  })
})
