/**
 * Loss of power, replayed: a trace is cut before every call that changes the disk, what the disk
 * may hold then is laid out in a real directory, and the library opens it. What it finds must be
 * what had been acknowledged by then, in order, nothing invented; and it must go on.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventLog } from '../../src/index.ts'
import { parsePartitionMetadata } from '../../src/storage/partition-metadata.ts'
import { SeededRandom } from '../support/seeded-random.ts'
import { CrashModel } from './crash-model.ts'
import { crashRecord, sequenceOf } from './crash-record.ts'
import { partitionName } from './crash-report.ts'
import { checkContents, readInto } from './crash-run.ts'
import { randomSurvival, survivalsOf, type Survival } from './disk-survival.ts'
import { type DiskImage, TraceDisk, type TracedCall } from './trace-disk.ts'
import { changesDisk, type TraceEvent } from './trace.ts'

/** Of the lives that look at what is left; no child has such a number. */
const CHECKING_LIFE = 9_000
/** One disk in so many is opened once more, after it was closed. */
const CHECKS_PER_REOPEN = 8
/** Opening one waits for syncs most of the time. */
const DISKS_AT_ONCE = 4
/** The log's directory below the root of a trace: the names above it are made by the library. */
export const LOG_BELOW_ROOT = 'above/log'

/** What happened, from a disk that was certain. */
export interface Recording {
  readonly start: DiskImage
  /** What lives before have told; nothing of their calls counts any more. */
  readonly before: readonly TraceEvent[]
  readonly events: readonly TraceEvent[]
}

/** How to replay it. */
export interface ReplayOptions {
  /** An empty directory, on whatever file system. */
  readonly directory: string
  readonly seed: number
  /** How many disks to open, all cuts together; the two extremes of a cut in any case. */
  readonly disks: number
  /** Calls that count as never made; cuts before the first of them are passed over. */
  readonly leavesOut?: (call: TracedCall) => boolean
}

/** One disk that was opened. */
export interface CutDisk {
  readonly cut: number
  readonly survival: string
  readonly image: DiskImage
}

/** What came of it. */
export interface ReplayResult {
  readonly cuts: number
  readonly disks: number
  readonly violation: string | null
}

/** A file system in memory where there is one: what survives is decided here, not by it. */
export function memoryDirectory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK)
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
}

/** Replays to the end, or to the first violation. `chosen` sees every disk. */
export async function replay(
  recording: Recording,
  options: ReplayOptions,
  chosen: (disk: CutDisk) => void = () => undefined,
): Promise<ReplayResult> {
  const { events, start } = recording
  const { leavesOut } = options
  const disk = new TraceDisk(start, leavesOut)
  const choice = new DiskChoice(disk, recording, options)
  let [cuts, disks] = [0, 0]
  for (let at = 0; at <= events.length; at++) {
    const event = events[at]
    const isSame = leavesOut !== undefined && disk.leftOutCount === 0
    if (!isSame && (event === undefined || changesDisk(event))) {
      cuts += 1
      const survivals = choice.next()
      for (let from = 0; from < survivals.length; from += DISKS_AT_ONCE) {
        const trials = survivals.slice(from, from + DISKS_AT_ONCE).map(async ({ name, image }) => {
          disks += 1
          const found: CutDisk = { cut: at, survival: name, image: image() }
          chosen(found)
          const failure = await tryDisk(recording, found, options.directory, disks)
          const where = `cut ${at} of ${events.length}, before ${shown(event)}, ${name}`
          return failure === null ? null : `${where}: ${failure}`
        })
        const violation = (await Promise.all(trials)).find((failure) => failure !== null)
        if (violation !== undefined) return { cuts, disks, violation }
      }
    }
    if (event?.is === 'report') choice.told()
    if (event !== undefined) disk.take(event)
  }
  return { cuts, disks, violation: null }
}

/** Which disks to open at a cut. */
class DiskChoice {
  readonly #disk: TraceDisk
  readonly #random: SeededRandom
  readonly #disksPerCut: number
  #reports = 0
  #last = ''

  constructor(disk: TraceDisk, { events }: Recording, { seed, disks }: ReplayOptions) {
    this.#disk = disk
    this.#random = new SeededRandom(seed)
    this.#disksPerCut = disks / (events.filter(changesDisk).length + 1)
  }

  /** The children told something: more may have been promised. */
  told(): void {
    this.#reports += 1
  }

  /** The two extremes, then as many of the others as are wanted, then any. */
  next(): readonly Survival[] {
    const random = this.#random
    const [nothing, all, ...others] = survivalsOf(this.#disk)
    const key = `${this.#disk.syncCount} ${this.#reports}`
    // Where nothing was synced or told since the last cut, it is the same disk once more.
    const isKnown = key === this.#last
    this.#last = key
    const chosen = [isKnown ? undefined : nothing, all].filter((one) => one !== undefined)
    if (all === undefined) return chosen
    const count = Math.floor(this.#disksPerCut + random.fraction())
    while (chosen.length < count && others.length > 0) {
      // Half of them any others, where there is not room for all.
      const isRandom = count < others.length && random.below(2) === 0
      if (isRandom) chosen.push(randomSurvival(this.#disk, random))
      else chosen.push(...others.splice(random.below(others.length), 1))
    }
    while (chosen.length < count) chosen.push(randomSurvival(this.#disk, random))
    return chosen
  }
}

/** Null where the library makes of the disk what it has to. */
async function tryDisk(
  recording: Recording,
  disk: CutDisk,
  base: string,
  number: number,
): Promise<string | null> {
  const root = join(base, `disk-${number}`)
  layOut(disk.image, root)
  const model = modelOf(recording, disk.cut)
  try {
    const directory = join(root, LOG_BELOW_ROOT)
    await checkLog(directory, model, CHECKING_LIFE)
    if (number % CHECKS_PER_REOPEN === 0) await checkLog(directory, model, CHECKING_LIFE + 1)
    return null
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  } finally {
    rmSync(root, { recursive: true })
  }
}

/** A disk as files and directories. */
export function layOut(image: DiskImage, root: string): void {
  mkdirSync(root)
  for (const [path, bytes] of image) {
    if (bytes === null) mkdirSync(join(root, path), { mode: 0o700 })
    else writeFileSync(join(root, path), bytes, { mode: 0o600 })
  }
}

/** What was known when the power went. */
function modelOf({ before, events }: Recording, cut: number): CrashModel {
  const model = new CrashModel()
  for (const event of before) tell(model, event)
  for (let at = 0; at < cut; at++) tell(model, events[at])
  return model
}

function tell(model: CrashModel, event: TraceEvent | undefined): void {
  if (event?.is === 'life') model.begins(event.life, event.after)
  if (event?.is === 'report') model.take(event.report)
}

/** Opens it, reads all of it, appends to each partition and closes it. */
async function checkLog(directory: string, model: CrashModel, life: number): Promise<void> {
  const log = await EventLog.open(directory, { onWarning: () => undefined })
  try {
    readInto(model, log, life, life === CHECKING_LIFE ? 'power loss' : 'kill')
    checkContents(log, model)
    checkIdentities(directory, log)
    appendTo(log, model, life)
    await log.flush()
    model.take({ is: 'closing' })
  } finally {
    await log.close()
  }
  model.take({ is: 'closed' })
}

/** Should metadata.json get lost one day, this is where a topic is known from. */
function checkIdentities(directory: string, log: EventLog): void {
  for (const { name, id, partitions } of log.topics()) {
    for (const { index } of partitions) {
      const file = join(directory, `${name}-${index}`, 'partition.metadata')
      const found = existsSync(file) ? parsePartitionMetadata(readFileSync(file)) : 'nothing'
      if (found !== id) throw new Error(`${name}-${index}: its folder says ${found}, not ${id}`)
    }
  }
}

function appendTo(log: EventLog, model: CrashModel, life: number): void {
  let count = 0
  for (const { name: topic, partitions } of log.topics()) {
    for (const partition of partitions) {
      count += 1
      const sequence = sequenceOf(life, count)
      const name = partitionName(topic, partition.index)
      model.take({ is: 'sending', name, sequence })
      const { baseOffset: offset, leaderEpoch } = partition.append(crashRecord(sequence))
      model.take({ is: 'acknowledged', name, sequence, offset, isDurable: false })
      model.take({ is: 'epoch', name, leaderEpoch })
    }
  }
}

function shown(event: TraceEvent | undefined): string {
  if (event === undefined) return 'the end'
  return JSON.stringify(event, (key, value: unknown) => (key === 'bytes' ? undefined : value))
}
