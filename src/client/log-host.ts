/**
 * LogHost: what an open log is to its public handle and to tests, whoever writes it: this process
 * (writer-host.ts), or another one (reader-host.ts). Between the handles that users hold and the
 * engine; what each call does and fails with is said at `EventLog`.
 */
import type { TopicConfig } from '../log/log-config.ts'
import type { ReadableTopic } from '../log/readable-partition.ts'
import type { BackupOptions } from './backup.ts'
import type { LogHandle } from './group-types.ts'
import type { GroupCoordinator } from './groups/group-coordinator.ts'
import type { HousekeepingOptions } from './housekeeping.ts'
import type {
  BackupReport,
  HousekeepingReport,
  LogDescription,
  VerifyReport,
} from './log-reports.ts'
import type { ScrubOptions } from './log-scrub.ts'
import type { Producer } from './producer.ts'
import type { ProducerOptions } from './producer-options.ts'
import type { ExportOptions } from './record-export.ts'
import type { ImportOptions, ImportReport } from './record-import.ts'
import type { Topic } from './topic.ts'

/** One open log, below its public handle. */
export interface LogHost {
  /** Called for each record that is sent, and may refuse it: for tests of whoever sends. */
  onSend: (() => void) | undefined
  readonly groups: GroupCoordinator
  /** Records that producers have taken and that are not settled. */
  readonly hasPendingSends: boolean
  /** @throws {LogError} CLOSED. */
  checkOpen(call: string): void
  /** Topics that users see, by name. */
  topics(): readonly ReadableTopic[]
  /** Their handles. */
  handles(): readonly Topic[]
  topic(ref: unknown): Topic
  createTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic>
  ensureTopic(ref: unknown, config: TopicConfig | undefined): Promise<Topic>
  deleteTopic(ref: unknown): Promise<void>
  producer(options: ProducerOptions | undefined): Producer
  describe(): LogDescription
  /** The handle of a log on disk that is written here. */
  share?(): LogHandle | undefined
  flush(): Promise<void>
  runHousekeeping(options: HousekeepingOptions | undefined): Promise<HousekeepingReport>
  scrub(options: ScrubOptions | undefined): Promise<VerifyReport>
  /** `own` is the log's directory, null where it has none. */
  backup(
    destination: string,
    options: BackupOptions | undefined,
    own: string | null,
  ): Promise<BackupReport>
  exportRecords(
    ref: unknown,
    options: ExportOptions | undefined,
  ): AsyncGenerator<string, void, undefined>
  importRecords(
    ref: unknown,
    source: unknown,
    options: ImportOptions | undefined,
  ): Promise<ImportReport>
  /** @throws {LogError} IO where a sync failed, now or before; everything is released. */
  close(timeoutMs: number): Promise<void>
}
