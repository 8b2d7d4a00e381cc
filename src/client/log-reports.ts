/**
 * What a log tells about itself: what recovery did, what it holds, what it guarantees. Types only.
 */
import type { Damage } from '../log/damage.ts'
import type { CleanupPolicy, ResolvedTopicConfig } from '../log/log-config.ts'

export type { Damage } from '../log/damage.ts'

/** What opening the log found and did. */
export interface RecoveryReport {
  /** The log was closed properly before: nothing had to be checked. */
  readonly clean: boolean
  readonly durationMs: number
  /** Partitions where something was cut, rebuilt, damaged or adopted; none of the others. */
  readonly partitions: readonly {
    readonly topic: string
    readonly partition: number
    /** Bytes of torn writes that were moved into .salvaged files. */
    readonly cutBytes: number
    /** Where the log was cut short; null where it was not. */
    readonly cutAtOffset: number | null
    readonly rebuiltIndexes: number
    readonly damage: readonly Damage[]
  }[]
  /** Committed positions that were moved back to the end of their data. */
  readonly positions: readonly {
    readonly group: string
    readonly topic: string
    readonly partition: number
    readonly from: number
    readonly to: number
  }[]
}

/** How far a long call has come. */
export interface Progress {
  /** Bytes of .log files that were read, of `totalBytes`. */
  readonly bytes: number
  readonly totalBytes: number
  /** The file being read, relative to the log's directory; empty between files. */
  readonly file: string
}

/** What verifying a log found. */
export interface VerifyReport {
  /** Nothing is damaged. A torn end, which the next open cuts, is none. */
  readonly sound: boolean
  /** Batches that are as they were written, and the users' records in them. */
  readonly batches: number
  readonly records: number
  /** Bytes of these batches. */
  readonly bytes: number
  /** Bytes behind the end of the log that a crash left and the next open sets aside. */
  readonly tornBytes: number
  /**
   * What is not as it was written. For a file of the log's own directory `topic` is '' and
   * `partition` -1; where no offset is gone, as with an index, both offsets are null.
   */
  readonly damage: readonly Damage[]
  readonly durationMs: number
}

/** What repairing a log did, or would do. */
export interface RepairReport {
  /** Users' records that are as they were written: all of them are kept. */
  readonly kept: number
  /** What was damaged. The bytes are kept in .salvaged files, under `savedTo`. */
  readonly removed: readonly Damage[]
  /**
   * The log's directory, where .salvaged files beside the repaired ones hold what was removed; null
   * where there were no bytes to keep.
   */
  readonly savedTo: string | null
}

/** What a run of housekeeping did. */
export interface HousekeepingReport {
  /** Segments that retention took out of the log; their files follow after `fileDeleteDelayMs`. */
  readonly deletedSegments: number
  /** What these held, in bytes of .log files. */
  readonly deletedBytes: number
  /** Partitions of which something was compacted. */
  readonly cleanedPartitions: number
  /** What was asked to go and is still there, and why. `partition.why()` tells all of one. */
  readonly kept: readonly { readonly file: string; readonly reason: string }[]
  readonly durationMs: number
}

/** What taking a backup, or restoring one, did. */
export interface BackupReport {
  /**
   * Files that were made by it: those that were there already, as they had to be, are not counted.
   */
  readonly files: number
  /** Bytes that were copied. */
  readonly bytes: number
  /** Files of these that are hard links of the log's own: they take neither time nor space. */
  readonly linked: number
  readonly durationMs: number
}

/** Sizes and times of everything in the log. */
export interface LogDescription {
  /** Bytes of all .log files, without what is preallocated. */
  readonly bytes: number
  readonly topics: readonly {
    readonly name: string
    /** Kafka's topic id: 22 characters of base64url. */
    readonly id: string
    /** The settings in force. */
    readonly config: ResolvedTopicConfig
    /** `config.cleanupPolicy`, or 'none' for an adopted topic until `alterConfig` names one. */
    readonly appliedPolicy: CleanupPolicy | 'none'
    /** Log end minus log start, summed over the partitions, as are `bytes` and `segments`. */
    readonly offsets: number
    readonly bytes: number
    readonly segments: number
    /** The earliest of the partitions'. */
    readonly oldestTimestamp: number | null
    /** The latest of the partitions'. */
    readonly newestTimestamp: number | null
    /** Bytes of the largest partition over the mean: 1 where all are alike, or empty. */
    readonly skew: number
    readonly partitions: readonly {
      readonly partition: number
      readonly logStartOffset: number
      readonly logEndOffset: number
      /** First offset that a power cut could lose. */
      readonly durableOffset: number
      /** Log end minus log start. */
      readonly offsets: number
      readonly bytes: number
      readonly segments: number
      /** Timestamp of the first record still there; null where there is none. */
      readonly oldestTimestamp: number | null
      /** Largest timestamp; null where there is none. */
      readonly newestTimestamp: number | null
      /** Of the topic's bytes, from 0 to 1; 0 where there are none. */
      readonly share: number
      /** How far it is compacted; null where the topic is not. */
      readonly compaction: {
        /** Everything below was compacted. */
        readonly cleanedUpTo: number
        /** Of segments below `cleanedUpTo`. */
        readonly cleanBytes: number
        /** Of segments that compaction may take now. */
        readonly dirtyBytes: number
        /** `dirtyBytes` of both, which `minCleanableDirtyRatio` is compared with. */
        readonly dirtyRatio: number
        /** The next housekeeping compacts it. */
        readonly isDue: boolean
      } | null
    }[]
  }[]
}

/** What this log keeps on this machine. */
export interface Guarantees {
  /** What an acknowledged record survives, by `acks`. */
  readonly acks: Readonly<Record<'0' | '1' | 'all', 'nothing' | 'process-crash' | 'power-loss'>>
  readonly syncMethod: 'fdatasync' | 'fullfsync' | 'memory'
  /** Type of the file system, as the kernel names it; 'memory' for a log in memory. */
  readonly fileSystem: string
  /** How sealed segments are read; 'mmap' where any of the reads are through memory mappings. */
  readonly reads: 'mmap' | 'pread' | 'memory'
  /** Why they are read that way, for people. */
  readonly readsReason: string
  readonly lock: 'kernel' | 'portable' | 'none'
}
