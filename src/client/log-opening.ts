/**
 * Opening a log: everything that has to be there before there is a handle, in order, and given back
 * where a later step fails.
 *
 *   1  the directory, which is made where it is missing and refused where it is something else
 *   2  the writer lock: from here on nobody else writes
 *   3  the engine, with recovery
 *   4  the topics of the options
 */
import { join } from 'node:path'
import { invalidArgument } from '../errors/log-error.ts'
import { loadNativeCrc32cOncePaid } from '../format/crc32c.ts'
import { delay, holdProcess } from '../log/clock.ts'
import {
  isLogDirectory,
  NOTHING_FOUND,
  openLogDirectory,
  type OpenedDirectory,
  type OpenReport,
} from '../log/directory-open.ts'
import type { WakeSource } from '../log/follow/followed-log.ts'
import { checkTopicConfig, type TopicConfig } from '../log/log-config.ts'
import { LogDirectory, type LogEnvironment } from '../log/log-directory.ts'
import { bootId } from '../storage/boot-identity.ts'
import { openDiskDriver } from '../storage/disk-driver.ts'
import { fileSystemOf, type FileSystemKind } from '../storage/file-system.ts'
import { directoryKey, prepareLogDirectory } from '../storage/log-location.ts'
import { openMemoryDriver } from '../storage/memory-driver.ts'
import { META_PROPERTIES_FILE } from '../storage/meta-properties.ts'
import { emptyMetadata } from '../storage/metadata-file.ts'
import { performProcedure, runProcedure } from '../storage/procedure.ts'
import type { StorageDriver } from '../storage/storage-driver.ts'
import { acquireWriterLock, type WriterLock } from '../storage/writer-lock.ts'
import { enableZstdPackage } from '../storage/zstd-package.ts'
import type { LogHost } from './log-host.ts'
import type { CheckedLogOptions } from './log-options.ts'
import { MEMORY_READS, mappingsFor, tryMappings, type ReadMethod } from './log-reads.ts'
import { fellBackToReads, warnOfRecovery, warnTo, type Warn } from './log-warnings.ts'
import { openReadOnly } from './read-only-opening.ts'
import { type OwningLog, ReaderHost } from './reader-host.ts'
import { LogSharing } from './shared-log.ts'
import { settingsToChange } from './topic-catalog.ts'
import type { TopicDefinition } from './topic-definition.ts'
import { WriterHost } from './writer-host.ts'

/** Segments of a log in memory are small: memory is given back by whole segments. */
const MEMORY_DEFAULTS: TopicConfig = { segmentBytes: 16_777_216 }

/** What a log on disk holds besides its engine. */
interface DiskPlace {
  readonly directory: string
  readonly lock: WriterLock
  readonly fileSystem: FileSystemKind
}

/** Where a log that outlives its process lies. */
export interface OpenedPlace {
  /** Absolute; null where it lies in no directory of this machine. */
  readonly directory: string | null
  /** Null where nobody else can reach it. */
  readonly lock: WriterLock | null
  readonly fileSystem: Pick<FileSystemKind, 'name' | 'isVolatile'>
  readonly reads: ReadMethod
  /** Nothing is written, so nothing is kept. */
  readonly isReadOnly: boolean
}

/** Storage that a log is opened over in place of a directory. */
export interface GivenStorage {
  readonly driver: StorageDriver
  /** Of the machine that the storage is part of: another one after each loss of power. */
  readonly bootId: string
  /** What `guarantees()` calls it. */
  readonly name: string
  /** The process that has it has ended: it warns nobody any more. */
  readonly isGone: () => boolean
  /** Settings of topics that differ from the defaults. */
  readonly defaults: TopicConfig
}

/** An open log, before it has a handle. */
export interface OpenedLog<H extends LogHost = LogHost> {
  readonly host: H
  /** Null for a log in memory. */
  readonly place: OpenedPlace | null
  readonly report: OpenReport
}

/** Opens the log in `directory` for writing. On failure nothing stays open or locked. */
export async function openOnDisk(
  directory: string,
  options: CheckedLogOptions,
): Promise<OpenedLog> {
  const release = holdProcess() // Whoever awaits an open log wants to see it opened.
  try {
    const path = await prepareLogDirectory(directory, options.directoryMode, isLogDirectory)
    const fileSystem = fileSystemOf(path)
    if (fileSystem.isNetwork && !options.allowNetworkFs) throw networkRefused(path, fileSystem)
    const { clock, lockTimeoutMs, fileMode } = options
    const lock = await acquireWriterLock(path, {
      lockTimeoutMs,
      fileMode,
      now: () => clock.now(),
      monotonicNow: () => clock.monotonicNow(),
      wait: (ms) => delay(clock, ms),
    })
    try {
      return await openLocked({ directory: path, lock, fileSystem }, options)
    } catch (error) {
      await lock.release()
      throw error
    }
  } finally {
    release()
  }
}

/** Opens a log in memory, with its topics. */
export function openInMemory(options: CheckedLogOptions): OpenedLog {
  // Not the native checksum: loading it takes longer than all the rest, and a log in memory that
  // lives for one test gains nothing from it.
  enableZstdPackage()
  const driver = openMemoryDriver({ now: () => options.clock.now() })
  const events = new LateHost()
  const engine = new LogDirectory(environmentOf(driver, null, options, events), emptyMetadata())
  const host = new WriterHost(engine, options, MEMORY_DEFAULTS, warnTo(options.onWarning))
  events.host = host
  host.start()
  for (const topic of options.topics) host.ensureTopicNow(topic, 'EventLog.inMemory: topics')
  return { host, place: null, report: NOTHING_FOUND }
}

/**
 * Opens the log in `directory` to read what others write there; `wake` where another thread's log
 * wakes this one, and ends it.
 * @throws {LogError} As `openReadOnly`; TOPIC_NOT_FOUND, CONFIG_MISMATCH for topics of the options.
 */
export async function openToRead(
  directory: string,
  options: CheckedLogOptions,
  wake?: WakeSource & OwningLog,
): Promise<OpenedLog<ReaderHost>> {
  const opened = await openReadOnly(directory, options, wake)
  const host = new ReaderHost(opened, options, wake)
  try {
    for (const topic of options.topics) checkTopicThere(host, topic)
  } catch (error) {
    await host.close(0)
    throw error
  }
  const { fileSystem, reads } = opened
  const place = { directory: opened.directory, lock: null, fileSystem, reads, isReadOnly: true }
  return { host, place, report: NOTHING_FOUND }
}

/** Closes an open log, and gives its lock back. @throws {LogError} IO; all is released then too. */
export async function closeOpened(
  host: LogHost,
  place: OpenedPlace | null,
  timeoutMs: number,
): Promise<void> {
  const release = (place?.directory ?? null) === null ? () => undefined : holdProcess()
  try {
    await host.close(timeoutMs)
  } finally {
    await place?.lock?.release()
    release()
  }
}

/** Opens the log that `storage` holds; on failure its driver is closed. */
export async function openOver(
  storage: GivenStorage,
  options: CheckedLogOptions,
): Promise<OpenedLog> {
  const { driver, bootId: boot } = storage
  const events = new LateHost()
  try {
    enableZstdPackage()
    const opening = openLogDirectory(environmentOf(driver, boot, options, events))
    const opened = openedOver(storage, options, events, await runProcedure(opening))
    await ensureTopics(opened.host, options)
    return opened
  } catch (error) {
    await events.host?.close(0).catch(() => undefined) // It fails with what failed it.
    driver.close()
    throw error
  }
}

/** As `openOver`, at once: for storage whose calls neither take time nor fail, as a new one's. */
export function openOverNow(storage: GivenStorage, options: CheckedLogOptions): OpenedLog {
  const events = new LateHost()
  enableZstdPackage()
  const opening = openLogDirectory(environmentOf(storage.driver, storage.bootId, options, events))
  const opened = openedOver(storage, options, events, performProcedure(opening))
  for (const topic of options.topics) opened.host.ensureTopicNow(topic, 'testLog: topics')
  return opened
}

/** All together: they share what they wait for. @throws What the first failed with that did. */
async function ensureTopics(host: LogHost, { topics }: CheckedLogOptions): Promise<void> {
  const ensured = topics.map((topic) => host.ensureTopic(topic, undefined))
  for (const result of await Promise.allSettled(ensured)) {
    if (result.status === 'rejected') throw result.reason
  }
}

function openedOver(
  { name, defaults, isGone }: GivenStorage,
  options: CheckedLogOptions,
  events: LateHost,
  { log: engine, report }: OpenedDirectory,
): OpenedLog<WriterHost> {
  const tell = warnTo(options.onWarning)
  const warn: Warn = (warning) => {
    if (!isGone()) tell(warning)
  }
  const host = new WriterHost(engine, options, defaults, warn)
  host.groups.isGone = isGone
  events.host = host
  warnOfRecovery(warn, report)
  host.start()
  const fileSystem = { name, isVolatile: false }
  const place = { directory: null, lock: null, fileSystem, reads: MEMORY_READS, isReadOnly: false }
  return { host, place, report }
}

async function openLocked(place: DiskPlace, options: CheckedLogOptions): Promise<OpenedLog> {
  loadNativeCrc32cOncePaid() // Native helpers are looked for from the first open on.
  enableZstdPackage()
  const warn = warnTo(options.onWarning)
  const { host, report, reads } = await openEngine(place, options)
  try {
    warnOfRecovery(warn, report)
    if (options.io === 'mmap' && reads.kind !== 'mmap') warn(fellBackToReads(reads.reason))
    const sharing = new LogSharing(place.directory, place.lock)
    host.sharing = sharing
    host.start()
    await ensureTopics(host, options)
    const opened = { ...place, lock: sharing.lock, reads, isReadOnly: false }
    return { host, place: opened, report }
  } catch (error) {
    await host.close(0).catch(() => undefined) // It fails with what failed it.
    throw error
  }
}

async function openEngine(
  { directory, fileSystem }: DiskPlace,
  options: CheckedLogOptions,
): Promise<Omit<OpenedLog<WriterHost>, 'place'> & Pick<OpenedPlace, 'reads'>> {
  const mappings = mappingsFor(options.io, fileSystem)
  const driver = openDiskDriver(directory, { mappings, modes: options })
  try {
    const events = new LateHost()
    const boot = bootId()
    // A copy of a directory is another log: what was published for the one says nothing of the
    // other.
    const bootOfDirectory = boot === null ? null : `${boot.slice(0, 36)}@${directoryKey(directory)}`
    const environment = environmentOf(driver, bootOfDirectory, options, events)
    const { log: engine, report } = await runProcedure(openLogDirectory(environment))
    const host = new WriterHost(engine, options, {}, warnTo(options.onWarning))
    events.host = host
    const reads = tryMappings(options.io, mappings, join(directory, META_PROPERTIES_FILE))
    return { host, report, reads }
  } catch (error) {
    driver.close()
    throw error
  }
}

/** The host is made after the engine that calls it; nothing calls before. */
class LateHost {
  host: WriterHost | undefined
}

function environmentOf(
  driver: StorageDriver,
  boot: string | null,
  options: CheckedLogOptions,
  events: LateHost,
): LogEnvironment {
  return {
    driver,
    bootId: boot,
    clock: options.clock,
    randomBytes: options.randomBytes,
    producerIdExpirationMs: options.producerIdExpirationMs,
    onPartitionFailed: (partition, error) => events.host?.partitionFailed(partition, error),
    onRolled: () => events.host?.rolled(),
  }
}

/** What a log that is only read can do about a topic of its options. */
function checkTopicThere(host: LogHost, definition: TopicDefinition): void {
  host.topic(definition)
  const found = host.topics().find(({ name }) => name === definition.name)
  const where = `EventLog.open: topics: ${definition.name}`
  if (found !== undefined) settingsToChange(found, checkTopicConfig(definition.config, where))
}

function networkRefused(directory: string, { name }: FileSystemKind): Error {
  return invalidArgument(
    `EventLog.open: ${directory} lies on a network file system (${name}), where other machines ` +
      'can write beside this one and syncs promise less; allowNetworkFs: true opens it all the same',
    { option: 'allowNetworkFs', directory, fileSystem: name },
  )
}
