/**
 * FollowedRead: one partition as a reader in another process sees it, call by call of the process
 * that writes, held against what that process is known to have written.
 *
 *   I1  records come in order, each once, whole, and none that was refused
 *   I2  watermarks are in order and never go back, while power and syncs do not fail
 *   I3  what is shown as committed is so, and nothing of it is passed over; what is shown as
 *       durable is that
 * What it read is held against the model when that has seen as much.
 */
import { RecordSource } from '../../src/client/record-source.ts'
import { RecordTypes } from '../../src/client/record-types.ts'
import type { ReadablePartition } from '../../src/log/readable-partition.ts'
import type { SeededRandom } from '../../src/testing/seeded-random.ts'
import type { Stage } from './actor.ts'
import type { PartitionModel } from './partition-model.ts'
import { must } from './simulation-failure.ts'

/** How a reader reads. */
interface Reading {
  readonly source: RecordSource
  readonly isCommitted: boolean
  readonly isDurable: boolean
  next: number
}

/** What a reader showed of a range, and what of it is not held against the model yet. */
interface Unchecked {
  readonly reading: Reading
  readonly from: number
  readonly to: number
  readonly ids: ReadonlyMap<number, number>
}

const WATERMARKS = [
  'logStartOffset',
  'lastStableOffset',
  'highWatermark',
  'logEndOffset',
  'durableOffset',
] as const
const WAYS = [
  { isCommitted: false, isDurable: false },
  { isCommitted: true, isDurable: false },
  { isCommitted: true, isDurable: true },
] as const

/** See the file's header. */
export class FollowedRead {
  readonly log: ReadablePartition
  readonly #stage: Stage
  readonly #readings: readonly Reading[]
  readonly #last: Record<(typeof WATERMARKS)[number], number> = {
    logStartOffset: 0,
    lastStableOffset: 0,
    highWatermark: 0,
    logEndOffset: 0,
    durableOffset: 0,
  }
  #unchecked: Unchecked[] = []

  constructor(stage: Stage, log: ReadablePartition) {
    this.#stage = stage
    this.log = log
    this.#readings = WAYS.map((way) => {
      const source = new RecordSource(log, new RecordTypes(log.topic, null, false), {
        range: {
          from: 'earliest',
          to: null,
          isolation: way.isCommitted ? 'read_committed' : 'read_uncommitted',
          visibility: way.isDurable ? 'durable' : 'written',
          onCorrupt: 'stop',
        },
        live: true,
        onDamage: () => undefined,
      })
      return { ...way, source, next: source.nextOffset }
    })
  }

  get name(): string {
    return `a reader in another process, ${this.log.topic}-${this.log.partition}`
  }

  /** Looks at the watermarks (I2), and reads some of what is there. */
  look(random: SeededRandom): void {
    this.log.refresh()
    this.#watermarks()
    const reading = this.#readings[random.below(this.#readings.length)]
    if (reading !== undefined) this.#read(reading, random.below(3) > 0)
  }

  /**
   * Reads everything that is visible, which is no more than there is; where `isAll` is so, all of
   * it: nothing is published late any more.
   */
  atRest(model: PartitionModel, isAll: boolean): void {
    const { log } = this
    log.refresh()
    this.#watermarks()
    this.notAhead(model)
    for (const mark of isAll ? WATERMARKS : []) {
      const right = model.handle[mark]
      must(log[mark] === right, () => `${this.name}: ${mark} is ${log[mark]}, not ${right}`)
    }
    for (const reading of this.#readings) {
      this.#read(reading, false)
      const end = reading.source.visibleEnd
      must(reading.next >= end, () => `${this.name}: reads end at ${reading.next}, not ${end}`)
    }
  }

  /** No watermark is beyond that of the process that writes. */
  notAhead(model: PartitionModel): void {
    const { log } = this
    for (const mark of WATERMARKS) {
      const right = model.handle[mark]
      must(log[mark] <= right, () => `${this.name}: ${mark} is ${log[mark]}, beyond ${right}`)
    }
  }

  /** Reads on to the end, in every way. */
  readAll(): void {
    this.log.refresh()
    this.#watermarks()
    for (const reading of this.#readings) this.#read(reading, false)
  }

  /** Holds what was read against what the model has seen by now. */
  check(model: PartitionModel): void {
    this.#unchecked = this.#unchecked.filter((one) => {
      if (one.to > model.ids.length) return true
      this.#checkOne(model, one)
      return false
    })
  }

  #watermarks(): void {
    const { log } = this
    const { logStartOffset, lastStableOffset, highWatermark, logEndOffset } = log
    must(
      logStartOffset <= lastStableOffset &&
        lastStableOffset <= highWatermark &&
        highWatermark <= logEndOffset &&
        log.durableOffset <= logEndOffset,
      () => `${this.name}: watermarks out of order`,
    )
    // It does not outlive a loss of power, and a kill takes nothing that it could have seen.
    must(log.cuts.length === 0, () => `${this.name}: was cut to ${log.cuts.join(', ')}`)
    for (const mark of WATERMARKS) {
      const before = this.#last[mark]
      must(
        log[mark] >= before || mark === 'durableOffset',
        () => `${this.name}: ${mark} from ${before} to ${log[mark]}`,
      )
      this.#last[mark] = log[mark]
    }
  }

  /** One batch, or all there is. */
  #read(reading: Reading, isPart: boolean): void {
    const { log } = this
    const { source } = reading
    const from = Math.max(reading.next, log.logStartOffset)
    const ids = new Map<number, number>()
    let last = from - 1
    while (source.load()) {
      for (let record = source.advance(); record !== undefined; record = source.advance()) {
        const { offset } = record
        must(offset > last, () => `${this.name}: ${offset} comes behind ${last}`)
        ids.set(offset, this.#stage.book.at(record, `${this.name} at ${offset}`).id)
        last = offset
      }
      if (isPart) break
    }
    const end = source.visibleEnd
    must(
      ids.size === 0 || last < end,
      () => `${this.name}: shows ${last}, though only ${end} is visible`,
    )
    reading.next = Math.max(from, source.nextOffset)
    this.#stage.count('read', ids.size)
    if (reading.next > from) this.#unchecked.push({ reading, from, to: reading.next, ids })
  }

  /** I1, I3. */
  #checkOne(model: PartitionModel, { reading, from, to, ids }: Unchecked): void {
    const { isCommitted, isDurable } = reading
    for (let offset = from; offset < to; offset++) {
      const known = model.ids[offset] ?? -1
      const id = ids.get(offset)
      const where = `${this.name} at ${offset}`
      if (known === -1) continue // Trimmed before the model saw it.
      if (known < -1) {
        must(id === undefined, () => `${where}: record ${id}, where a marker is`)
        continue
      }
      must(id === undefined || id === known, () => `${where}: record ${id}, where ${known} is`)
      const { transaction } = this.#stage.book.of(known)
      if (!isCommitted || transaction === null)
        must(id !== undefined, () => `${where}: passes over record ${known}`)
      else transaction.met(where, id !== undefined, isDurable)
    }
  }
}
