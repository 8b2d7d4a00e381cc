/**
 * streambed while it is looked after: a compacted topic whose keys come again and again, and topics
 * of many small segments. What is measured changes files, so each measurement works on a copy.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type * as Package from '../../dist/index.js'
import { KEY_BYTES, mustEqual, type Dataset } from '../runner/dataset.ts'
import type { Store } from '../runner/question.ts'
import { loadStreambed } from './streambed.ts'

const TOPIC = 'bench'
const FILL_BATCH_RECORDS = 500
const BATCHES_IN_TURN = 64
/** Nothing rolls by a clock here. */
const FIRST_TIMESTAMP = 1_700_000_000_000
const STEP_MS = 10

/** How many records there are, and how many of their keys are different. */
export interface KeyedPlan {
  readonly dataset: Dataset
  readonly recordCount: number
  readonly keyCount: number
  readonly segmentBytes: number
}

/** The key of record `index`: the same in every process, without any order. */
export function keyOf(index: number, keyCount: number): string {
  const mixed = Math.imul(index ^ (index >>> 15), 0x2c1b_3c6d) >>> 0
  return `key-${String((mixed ^ (mixed >>> 13)) % keyCount).padStart(KEY_BYTES - 4, '0')}`
}

/** Of each key the record that was written last. */
export function lastWritten({ recordCount, keyCount }: KeyedPlan): ReadonlyMap<string, number> {
  const last = new Map<string, number>()
  for (let index = 0; index < recordCount; index += 1) last.set(keyOf(index, keyCount), index)
  return last
}

/** A compacted topic that nobody has compacted yet. */
export function keyedStore(plan: KeyedPlan): Store {
  const { dataset, recordCount, keyCount, segmentBytes } = plan
  return {
    name: `streambed-keyed-${recordCount}-${keyCount}`,
    async fill(directory) {
      const log = await openQuietly(directory)
      const config = { cleanupPolicy: 'compact', segmentBytes } as const
      const partition = (await log.createTopic(TOPIC, config)).partition(0)
      for (let from = 0; from < recordCount; from += FILL_BATCH_RECORDS) {
        const length = Math.min(FILL_BATCH_RECORDS, recordCount - from)
        partition.append(
          Array.from({ length }, (_, at) => ({
            key: keyOf(from + at, keyCount),
            value: dataset.at(from + at).value,
          })),
        )
        if ((from / FILL_BATCH_RECORDS) % BATCHES_IN_TURN === 0) await log.flush()
      }
      await log.close()
    },
  }
}

/** A topic of `segmentCount` segments of one small batch each. */
export function segmentsStore(segmentCount: number): Store {
  return {
    name: `streambed-segments-${segmentCount}`,
    async fill(directory) {
      const log = await openQuietly(directory)
      const partition = (await log.createTopic(TOPIC, { segmentMs: 1 })).partition(0)
      for (let index = 0; index < segmentCount; index += 1) {
        const timestamp = FIRST_TIMESTAMP + index * STEP_MS
        partition.append([{ value: Buffer.alloc(100, 1), timestamp }])
        if (index % BATCHES_IN_TURN === 0) await log.flush()
      }
      await log.close()
    },
  }
}

/** An open copy of a store, which is removed when it is closed. */
export class HousekeptLog {
  readonly log: Package.EventLog
  readonly partition: Package.Partition
  readonly #directory: string

  private constructor(log: Package.EventLog, directory: string) {
    this.log = log
    this.partition = log.topic(TOPIC).partition(0)
    this.#directory = directory
  }

  /** Copies what `store` holds, and opens it; `options` besides that nothing runs by itself. */
  static async openCopy(
    store: string,
    options: Package.EventLogOptions = {},
  ): Promise<HousekeptLog> {
    const directory = mkdtempSync(join(dirname(store), 'copy-'))
    cpSync(store, directory, { recursive: true })
    return new HousekeptLog(await openQuietly(directory, options), directory)
  }

  /** Lets go of what retention may take from now on. */
  async keepBytes(retentionBytes: number, fileDeleteDelayMs: number): Promise<void> {
    await this.log.topic(TOPIC).alterConfig({ retentionBytes, fileDeleteDelayMs })
  }

  /** Throws unless each key has one record left below the active segment, and it is the last. */
  checkCompacted({ dataset, ...plan }: KeyedPlan): void {
    const last = lastWritten({ dataset, ...plan })
    let found = 0
    this.partition.scan(({ buffer, offset, keyStart, keyLength, valueStart, valueLength }) => {
      const key = buffer.toString('latin1', keyStart, keyStart + keyLength)
      if (last.get(key) !== offset) return
      found += 1
      const { value } = dataset.at(offset)
      mustEqual(value.compare(buffer, valueStart, valueStart + valueLength), 0, 'the value left')
    })
    mustEqual(found, last.size, 'keys that are left')
  }

  async close(): Promise<void> {
    await this.log.close()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

async function openQuietly(
  directory: string,
  options: Package.EventLogOptions = {},
): Promise<Package.EventLog> {
  const { EventLog } = await loadStreambed()
  const quiet = { housekeepingIntervalMs: null, onWarning: () => undefined }
  return EventLog.open(directory, { ...options, ...quiet })
}
