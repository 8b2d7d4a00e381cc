/** The checkpoint files that Kafka's own classes wrote; test/vectors/README.md says how. */

import { loadVectors } from '../format/vectors.ts'

interface SegmentVectors {
  readonly checkpointFiles: {
    readonly 'leader-epoch-checkpoint': string
    readonly 'leader-epoch-checkpoint.empty': string
    readonly 'partition.metadata': string
    readonly 'recovery-point-offset-checkpoint': string
  }
}

/** The bytes of one of them; '.empty' marks a file without entries. */
export function kafkaCheckpointFile(name: keyof SegmentVectors['checkpointFiles']): Buffer {
  return Buffer.from(loadVectors<SegmentVectors>('segment.json').checkpointFiles[name])
}
