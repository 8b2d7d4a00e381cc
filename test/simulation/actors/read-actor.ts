/**
 * ReadActor reads ranges in every way there is, and holds each against what was seen: the ways have
 * to agree with each other, and with what was written.
 */
import type { LogRecord, RangeOptions } from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import type { PartitionModel } from '../partition-model.ts'
import { valueOf } from '../record-book.ts'
import { must } from '../simulation-failure.ts'

/** What a read has to show: offsets from `start` up to, but not including, `end`. */
interface Range {
  readonly options: RangeOptions
  readonly start: number
  readonly end: number
}

/** See the file's header. */
export class ReadActor implements Actor {
  readonly name = 'reads'
  readonly steps: Readonly<Record<string, number>> = {
    records: 3,
    scan: 3,
    get: 2,
    time: 2,
    read: 3,
    'read topic': 1,
    'count records': 1,
    'read outside': 1,
  }
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  step(kind: string, random: SeededRandom): void {
    const partition = this.#stage.anyPartition(random)
    if (partition === undefined) return
    const what = `${kind} of ${partition.name}`
    this.#stage.say(what)
    const { life } = this.#stage
    switch (kind) {
      case 'records':
        return life.now(() => this.#records(what, partition, random), { what })
      case 'scan':
        return life.now(() => this.#scan(what, partition, random), { what })
      case 'get':
        return life.now(() => this.#get(what, partition, random), { what })
      case 'time':
        return life.now(() => this.#time(what, partition, random), { what })
      case 'read':
        return this.#read(what, partition, random)
      case 'read topic':
        return this.#readTopic(random)
      case 'count records':
        return this.#countRecords(random)
      default:
        return this.#outside(what, partition)
    }
  }

  #records(what: string, partition: PartitionModel, random: SeededRandom): void {
    const range = rangeOf(partition, random)
    let expected = range.start
    for (const record of partition.handle.records(range.options)) {
      this.#expect(what, partition, record, expected)
      expected = record.offset + 1
    }
    this.#ended(what, partition, range, expected)
  }

  #scan(what: string, partition: PartitionModel, random: SeededRandom): void {
    const range = rangeOf(partition, random)
    let expected = range.start
    const visited = partition.handle.scan((cursor) => {
      const { offset } = cursor
      this.#inTurn(what, partition, offset, expected)
      expected = offset + 1
      const record = this.#stage.book.at(cursor, `${what} at ${offset}`)
      partition.check(what, cursor, record.id)
    }, range.options)
    this.#stage.count('read', visited)
    this.#ended(what, partition, range, expected)
  }

  #get(what: string, partition: PartitionModel, random: SeededRandom): void {
    const { logStart, written } = partition
    if (written === logStart) return
    for (let count = 0; count < 4; count++) {
      const offset = logStart + random.below(written - logStart)
      const record = partition.handle.get(offset)
      const isMarker = partition.pastMarkers(offset) > offset
      // A fault may have kept it from sight, or taken it together with all that was behind it.
      const isKnown = !this.#stage.isTainted
      must(
        (record === undefined) === isMarker || !isKnown,
        () => `${what}: at ${offset} there is ${record === undefined ? 'no' : 'a'} record`,
      )
      if (record !== undefined) this.#expect(what, partition, record, offset)
    }
  }

  #time(what: string, partition: PartitionModel, random: SeededRandom): void {
    const { times, logStart, written } = partition
    for (let count = 0; count < 3; count++) {
      const near = times[logStart + random.below(Math.max(1, written - logStart))] ?? 0
      const time = Math.max(0, near + random.oneOf(-1, 0, 0, 1))
      const found = partition.handle.offsetForTimestamp(time)
      const right = partition.offsetAt(time)
      must(
        found === right || this.#stage.isTainted,
        () => `${what}: finds ${found} for ${time}, not ${right}`,
      )
    }
  }

  #read(what: string, partition: PartitionModel, random: SeededRandom): void {
    const range = rangeOf(partition, random)
    let expected = range.start
    const read = async (): Promise<void> => {
      for await (const record of partition.handle.read(range.options)) {
        expected = skipTrimmed(expected, record.offset, partition)
        this.#expect(what, partition, record, expected)
        expected = record.offset + 1
      }
      if (this.#stage.life.isClosing) return // It ends where the log does.
      const reached = Math.max(expected, Math.min(partition.logStart, range.end))
      this.#ended(what, partition, range, reached)
    }
    this.#stage.life.track(read(), { what, mayFailWith: ['TOPIC_NOT_FOUND', 'CLOSED'] })
  }

  #readTopic(random: SeededRandom): void {
    const topic = this.#stage.anyTopic(random)
    if (topic === undefined) return
    const { partitions, handle, name } = topic
    if (!partitions.every((one) => this.#stage.catchUp(one))) return
    const expected = partitions.map((one) => one.logStart)
    const ends = partitions.map((one) => one.written)
    const read = async (): Promise<void> => {
      for await (const record of handle.read()) {
        const partition = partitions[record.partition]
        must(partition !== undefined, () => `read of ${name}: of no partition`)
        const { index } = partition
        const next = skipTrimmed(expected[index] ?? 0, record.offset, partition)
        this.#expect(`read of ${name}`, partition, record, next)
        expected[index] = record.offset + 1
      }
      if (this.#stage.life.isClosing || this.#stage.isTainted) return
      for (const [index, end] of ends.entries()) {
        const { logStart = 0 } = partitions[index] ?? {}
        const last = Math.max(expected[index] ?? 0, logStart)
        const reached = partitions[index]?.pastMarkers(last) ?? last
        must(reached >= end, () => `read of ${name}-${index} ends at ${reached}, not at ${end}`)
      }
    }
    this.#stage.life.track(read(), {
      what: `read of ${name}`,
      mayFailWith: ['TOPIC_NOT_FOUND', 'CLOSED'],
    })
  }

  #countRecords(random: SeededRandom): void {
    const topic = this.#stage.anyTopic(random)
    if (!topic?.partitions.every((one) => this.#stage.catchUp(one))) return
    const least = topic.partitions.reduce(
      (sum, one) => sum + one.written - one.logStart - one.markerCount,
      0,
    )
    const trimmedBefore = topic.partitions.reduce((sum, one) => sum + one.logStart, 0)
    this.#stage.life.track(topic.handle.countRecords(), {
      what: `count records of ${topic.name}`,
      mayFailWith: ['TOPIC_NOT_FOUND', 'CLOSED'],
      done: (count) => {
        const trimmed = topic.partitions.reduce((sum, one) => sum + one.handle.logStartOffset, 0)
        must(
          count >= least - (trimmed - trimmedBefore) || this.#stage.isTainted,
          () => `${topic.name} counts ${count} records, not ${least}`,
        )
      },
    })
  }

  #outside(what: string, partition: PartitionModel): void {
    const { life } = this.#stage
    const beyond = partition.written + 1
    const outside = partition.logStart > 0 ? [beyond, partition.logStart - 1] : [beyond]
    for (const offset of outside) {
      let wasRefused = false
      life.now(() => partition.handle.get(offset), {
        what,
        mayFailWith: ['OFFSET_OUT_OF_RANGE'],
        failed: () => void (wasRefused = true),
      })
      must(wasRefused || life.faults.isStopped, () => `${what}: ${offset} was not refused`)
    }
  }

  /** The record that has to come next, whole. */
  #expect(what: string, partition: PartitionModel, record: LogRecord, expected: number): void {
    this.#inTurn(what, partition, record.offset, expected)
    const { book } = this.#stage
    const value = String(record.value)
    const id = Number.parseInt(value, 10)
    const written = book.of(id)
    must(value === valueOf(written), () => `${what}: record ${id} has another value`)
    const key = record.key === null ? null : String(record.key)
    must(key === written.key, () => `${what}: record ${id} has another key`)
    partition.check(what, record, id)
    this.#stage.count('read', 1)
  }

  #inTurn(what: string, partition: PartitionModel, offset: number, expected: number): void {
    // Who looks up a time in what is not all there may find another offset.
    must(
      offset === partition.pastMarkers(expected) || this.#stage.isTainted,
      () => `${what}: shows ${offset} instead of ${expected}`,
    )
  }

  #ended(what: string, partition: PartitionModel, { start, end }: Range, reached: number): void {
    const last = Math.max(start, end)
    must(
      (reached <= last && partition.pastMarkers(reached) >= last) || this.#stage.isTainted,
      () => `${what}: from ${start} ends at ${reached}, not at ${end}`,
    )
  }
}

/** A reader that was slow goes on where the log starts now. */
function skipTrimmed(expected: number, offset: number, { handle }: PartitionModel): number {
  return offset > expected && offset <= handle.logStartOffset ? offset : expected
}

/** A range in any of the ways to say it, and what it has to show. */
function rangeOf(partition: PartitionModel, random: SeededRandom): Range {
  const { logStart, written, handle } = partition
  const visibility = random.oneOf('written', 'written', 'durable')
  const visible = visibility === 'durable' ? Math.min(written, handle.durableOffset) : written
  const to = random.below(3) > 0 ? undefined : logStart + random.below(written - logStart + 1)
  const end = Math.min(visible, to ?? visible)
  const options: RangeOptions = { visibility, to }
  switch (random.below(5)) {
    case 0:
      return { options: { ...options, from: 'earliest' }, start: logStart, end }
    case 1: {
      const last = random.below(20)
      const first = Math.max(visible, logStart)
      return {
        options: { ...options, from: { last } },
        start: Math.max(logStart, first - last),
        end,
      }
    }
    case 2: {
      const offset = logStart + random.below(written - logStart + 1)
      const timestamp = Math.max(0, partition.times[offset] ?? 0)
      const start = partition.offsetAt(timestamp) ?? Math.max(visible, logStart)
      return { options: { ...options, from: { timestamp } }, start, end }
    }
    default: {
      const from = logStart + random.below(written - logStart + 1)
      return { options: { ...options, from }, start: from, end }
    }
  }
}
