/**
 * streambed: Kafka's log as a library. The public entry: names and types, nothing computed.
 */
export { LogError, LOG_ERROR_CODES } from './errors/log-error.ts'
export type { DetailsOf, LogErrorCode, LogErrorDetails } from './errors/log-error.ts'
export type { Codec as Compression } from './format/compression.ts'
export type { Clock } from './log/clock.ts'
export type { CleanupPolicy, ResolvedTopicConfig, TopicConfig } from './log/log-config.ts'
export { EventLog } from './client/event-log.ts'
export type { EventLogOptions, LogWarning, MemoryLogOptions } from './client/log-options.ts'
export type {
  BackupReport,
  Damage,
  Guarantees,
  HousekeepingReport,
  LogDescription,
  Progress,
  RecoveryReport,
  RepairReport,
  VerifyReport,
} from './client/log-reports.ts'
export type { BackupOptions } from './client/backup.ts'
export type { CloseOptions } from './client/close-options.ts'
export type { HousekeepingOptions } from './client/housekeeping.ts'
export type { ExportOptions } from './client/record-export.ts'
export type { ImportOptions, ImportReport } from './client/record-import.ts'
export type { TextSource } from './client/text-lines.ts'
export type { RepairOptions } from './client/log-repair.ts'
export type { ScrubOptions } from './client/log-scrub.ts'
export type { VerifyOptions } from './client/log-verify.ts'
export type { LogRecord } from './client/log-record.ts'
export type { HeadersInput, RecordHeaders } from './client/record-headers.ts'
export type { RecordInput, SendInput, TopicRecord } from './client/record-input.ts'
export { Topic } from './client/topic.ts'
export type { TopicSize } from './client/topic.ts'
export { Partition } from './client/partition.ts'
export type { AppendOptions, AppendResult, RecordCursor } from './client/partition.ts'
export type { SegmentReason } from './log/segment-reasons.ts'
export type {
  Isolation,
  Position,
  RangeOptions,
  ReadOptions,
  TopicReadOptions,
  Visibility,
} from './client/position.ts'
export type { RecordStream } from './client/record-stream.ts'
export { Consumer } from './client/groups/consumer.ts'
export { ConsumerGroup } from './client/groups/consumer-group.ts'
export { Producer } from './client/producer.ts'
export type { RecordMetadata, Sender } from './client/producer.ts'
export type { ProducerOptions } from './client/producer-options.ts'
export { partitioners } from './client/partitioner.ts'
export type { Partitioner } from './client/partitioner.ts'
export { serdes } from './client/serde.ts'
export type { Serde, SerdeOrSchema } from './client/serde.ts'
export { defineTopic } from './client/topic-definition.ts'
export type {
  OrTombstone,
  ReadType,
  TopicDefinition,
  WriteType,
} from './client/topic-definition.ts'
export type { AnyTopicRef, Bytes, BytesInput, InputOf, TopicRef } from './client/topic-ref.ts'
export type { Jsonified, StandardSchemaV1 } from './client/standard-schema.ts'
export type {
  AnyRecord,
  Assignor,
  Batch,
  BatchOptions,
  ConsumerGroupOptions,
  Delivery,
  GroupAdmin,
  GroupDescription,
  JoinOptions,
  Lag,
  LogHandle,
  OpenTransaction,
  RebalanceListener,
  RecordsOf,
  RecordOf,
  RunContext,
  RunOptions,
  Running,
  ShareConsumer,
  ShareGroup,
  ShareGroupOptions,
  ShareRunOptions,
  Table,
  TopicPartition,
  TopicPartitionOffset,
  TopicSelection,
  Transaction,
} from './client/group-types.ts'
