/**
 * streambed as the benchmarks use it: the built package, one topic, one partition. What is written
 * is read back and compared before a measurement counts.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as Package from '../../dist/index.js'
import { crc32Of, mustEqual, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { turn } from '../runner/turn.ts'

/**
 * Records of a batch while a store is filled: what a producer's batches of 64 KiB hold at 100 B.
 */
const FILL_BATCH_BYTES = 65_536
const BATCHES_A_TURN = 2
/** The topic's name. */
export const TOPIC = 'bench'
/** That of a topic beside it, where there is one. */
export const OTHER_TOPIC = 'other'
/** Not a log's: a file that is written and watched. */
export const BARE_FILE = 'bare'
/** A thousand records of 1 KiB in one batch are a little more than the default allows. */
const MAX_MESSAGE_BYTES = 2_097_152

/**
 * The directory of the build that is measured; another one than the default compares two builds.
 */
const BUILD: string =
  process.env['STREAMBED_BUILD'] ??
  join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'dist')

/** The address of the module that is measured. */
export const STREAMBED_MODULE: string = pathToFileURL(join(BUILD, 'index.js')).href

/** The package, built; the time that loading it takes is nobody's. */
export async function loadStreambed(): Promise<typeof Package> {
  const loaded: unknown = await import(STREAMBED_MODULE)
  return loaded as typeof Package // The declarations beside that file are those of every build.
}

/** An open log with the one topic that is measured. */
export class StreambedLog {
  readonly log: Package.EventLog
  readonly topic: Package.Topic
  readonly partition: Package.Partition

  private constructor(log: Package.EventLog, topic: Package.Topic) {
    this.log = log
    this.topic = topic
    this.partition = topic.partition(0)
  }

  /** Opens the log in `directory`, making its topic where there is none. */
  static async open(this: void, directory: string): Promise<StreambedLog> {
    const { EventLog } = await loadStreambed()
    const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
    const topic = await log.ensureTopic(TOPIC, { maxMessageBytes: MAX_MESSAGE_BYTES })
    return new StreambedLog(log, topic)
  }

  /** Throws unless the partition holds the first `recordCount` records, in order. */
  check(dataset: Dataset, recordCount: number): void {
    let crc = 0
    const visited = this.partition.scan(
      ({ buffer, keyStart, keyLength, valueStart, valueLength }) => {
        const key = buffer.subarray(keyStart, keyStart + keyLength)
        crc = crc32Of(crc, key, buffer.subarray(valueStart, valueStart + valueLength))
      },
    )
    mustEqual(visited, recordCount, 'records read back')
    mustEqual(crc, dataset.crc32(recordCount), 'checksum of what was read back')
  }

  /**
   * Appends records `from` to `to` in batches, a few in a turn of the event loop, as a server does
   * that has something else to do as well.
   */
  async appendRange(
    dataset: Dataset,
    batchRecords: number,
    from: number,
    to: number,
  ): Promise<void> {
    const batches = dataset.batches(batchRecords)
    for (let batch = from / batchRecords; batch < to / batchRecords; batch += 1) {
      this.partition.append(batches[batch % batches.length] ?? [])
      if (batch % BATCHES_A_TURN === 0) await turn()
    }
  }

  close(): Promise<void> {
    return this.log.close()
  }
}

/** A log of `recordCount` records, in batches as a producer makes them. */
export function streambedStore(dataset: Dataset, recordCount: number): Store {
  return {
    name: `streambed-${dataset.valueBytes}-${recordCount}`,
    async fill(directory) {
      const open = await StreambedLog.open(directory)
      const batchRecords = Math.max(1, Math.floor(FILL_BATCH_BYTES / (dataset.valueBytes + 32)))
      for (let from = 0; from < recordCount; from += batchRecords) {
        const length = Math.min(batchRecords, recordCount - from)
        open.partition.append(Array.from({ length }, (_, index) => dataset.at(from + index)))
      }
      open.check(dataset, recordCount)
      await open.close()
    },
  }
}
