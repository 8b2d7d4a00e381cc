/**
 * One follower over many lives of a log: writers come, close, are killed and come again, topics are
 * made and deleted, and the control file is deleted or damaged under all of them. Whenever the
 * follower has looked, it shows the topics that there are, with every record.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { ReadablePartition } from '../../../src/log/readable-partition.ts'
import { CONTROL_FILE } from '../../../src/storage/control-file.ts'
import { runProcedure } from '../../../src/storage/procedure.ts'
import { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { appendMany, openLog, partitionOf, recordsOf, valueAt } from '../open-log.ts'
import { follow, type Follower } from './follower.ts'

const TOPICS = ['a', 'b'] as const
const KINDS = [
  'append',
  'append',
  'append',
  'create',
  'delete',
  'grow',
  'close',
  'kill',
  'open',
  'lose control',
  'damage control',
  'wake',
] as const

interface Step {
  readonly kind: (typeof KINDS)[number]
  readonly topic: (typeof TOPICS)[number]
  readonly count: number
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(...KINDS),
  topic: fc.constantFrom(...TOPICS),
  count: fc.integer({ min: 1, max: 5 }),
})

/** The log, whoever writes it. */
class Lives {
  driver = new FaultDriver()
  writer: LogDirectory | undefined
  /** Records of each partition, by topic. */
  readonly topics = new Map<string, number[]>()

  async open(): Promise<void> {
    if (this.writer !== undefined) return
    this.driver = new FaultDriver(this.driver.machine)
    this.writer = (await openLog(this.driver)).log
  }

  async take({ kind, topic, count }: Step, follower: Follower): Promise<void> {
    if (kind === 'open') await this.open()
    else if (kind === 'lose control' || kind === 'damage control') await this.#spoil(kind)
    else if (kind === 'wake') await follower.wake()
    else if (this.writer !== undefined) await this.#write(this.writer, { kind, topic, count })
  }

  async #write(writer: LogDirectory, { kind, topic, count }: Step): Promise<void> {
    const ends = this.topics.get(topic)
    if (kind === 'close') {
      await runProcedure(writer.close())
      this.writer = undefined
    } else if (kind === 'kill') {
      this.driver = this.driver.processKill()
      this.writer = undefined
    } else if (kind === 'create' && ends === undefined) {
      await runProcedure(writer.createTopic(topic, { segmentBytes: 1_024 }))
      this.topics.set(topic, [0])
    } else if (kind === 'delete' && ends !== undefined) {
      await runProcedure(writer.deleteTopic(topic))
      this.topics.delete(topic)
    } else if (kind === 'grow' && ends !== undefined) {
      await runProcedure(writer.addPartitions(topic, ends.length + 1))
      ends.push(0)
    } else if (kind === 'append' && ends !== undefined) {
      const last = ends.length - 1
      appendMany(partitionOf(writer, topic, last), count, 100)
      ends[last] = (ends[last] ?? 0) + count
    }
  }

  async #spoil(kind: Step['kind']): Promise<void> {
    const over = new FaultDriver(this.driver.machine)
    if (over.status(CONTROL_FILE) === undefined) return
    if (kind === 'lose control') await over.unlink(CONTROL_FILE)
    else {
      const file = over.openFile(CONTROL_FILE, 'write')
      file.write(Buffer.from('garbage'), 0, 7, 0)
      file.close()
    }
  }
}

/** What a reader gets of a partition; fails where a record is not what was written. */
function endOf(partition: ReadablePartition): number {
  let next = 0
  const end = partition.highWatermark
  const cursor = partition.cursor(0)
  for (let run = cursor.next(end); run !== undefined; run = cursor.next(end)) {
    for (const { offset, value } of recordsOf(run)) {
      expect([offset, value]).toEqual([next, valueAt(next, 100)])
      next += 1
    }
  }
  expect(next).toBe(end)
  return next
}

function shownBy({ log }: Follower): ReadonlyMap<string, readonly number[]> {
  return new Map(
    log.topics().map(({ name, partitions }) => [name, partitions.map((one) => endOf(one))]),
  )
}

describe('a follower', () => {
  it('shows every topic with every record, whoever wrote it', async () => {
    const run = async (steps: readonly Step[], isWaiting: boolean): Promise<void> => {
      const lives = new Lives()
      await lives.open()
      const follower = await follow(new FaultDriver(lives.driver.machine))
      const seen = new Map<ReadablePartition, string>()
      for (const one of steps) {
        await lives.take(one, follower)
        lives.writer?.publisher?.publishAll()
        follower.isWriterAlive = lives.writer !== undefined
        // What no wake tells of the poll finds, and who writes within a second.
        follower.clock.advance(1_000)
        expect(shownBy(follower)).toEqual(lives.topics)
        for (const { id, partitions } of follower.log.topics()) {
          for (const partition of partitions) {
            if (!seen.has(partition) && isWaiting) partition.onChange(() => undefined)
            seen.set(partition, id)
          }
        }
        const live = new Set(follower.log.topics().map(({ id }) => id))
        for (const [partition, id] of seen) {
          expect(partition.end).toBe(live.has(id) ? undefined : 'deleted')
          expect(partition.cuts).toEqual([])
        }
      }
      follower.log.close()
      expect(follower.clock.timerCount).toBe(0)
    }
    const steps = fc.array(step, { maxLength: 25 })
    await fc.assert(fc.asyncProperty(steps, fc.boolean(), run), { numRuns: 60 })
  })
})
