/**
 * Sixteen producers on a disk that fills and empties again, several times, while the log stays
 * open. What is refused is refused with NO_SPACE and may be sent again; what was acknowledged is
 * there at the end, where it was said to be; and appends go on when there is room, without
 * anything being opened anew. In memory (tmpfs), where syncs never fail, and on a real file system.
 */
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog, LogError, type LogWarning } from '../../src/index.ts'
import { canMount, ownDisk } from '../support/own-disk.ts'

const PRODUCERS = 16
const PARTITIONS = 4
const FILLINGS = 3
/** Of each filling, before room is made, and after. */
const REFUSALS = 200
const MORE = 400
const VALUE_BYTES = 2_000
const DISK_BYTES: Readonly<Record<'tmpfs' | 'ext4', number>> = {
  tmpfs: 33_554_432,
  ext4: 50_331_648,
}

/** What the producers were told. */
class Told {
  /** By partition, value by offset. */
  readonly acknowledged: readonly Map<number, string>[] = Array.from(
    { length: PARTITIONS },
    () => new Map<number, string>(),
  )
  readonly sent = new Set<string>()
  readonly codes = new Map<string, number>()
  acknowledgedCount = 0
  refusedCount = 0

  take(error: unknown): void {
    if (!LogError.is(error)) throw error
    this.codes.set(error.code, (this.codes.get(error.code) ?? 0) + 1)
    this.refusedCount += 1
  }
}

describe.each(['tmpfs', 'ext4'] as const)('a full disk (%s)', (kind) => {
  const isPossible = canMount(kind)
  it.runIf(isPossible)(
    `takes nothing from ${PRODUCERS} producers that go on while it fills and empties`,
    async () => {
      const disk = ownDisk(kind, DISK_BYTES[kind])
      const directory = join(disk, 'log')
      const warnings: LogWarning[] = []
      const log = await EventLog.open(directory, { onWarning: (warning) => warnings.push(warning) })
      await log.createTopic('orders', { partitions: PARTITIONS, segmentBytes: 1_048_576 })
      const told = new Told()
      await fillAndEmpty(log, join(disk, 'filler'), told)
      expect([...told.codes.keys()]).toEqual(['NO_SPACE'])
      // A checkpoint that finds no room is tried again, and said; nothing else went wrong.
      for (const { code, cause } of warnings) {
        expect({ code, cause }).toMatchObject({
          code: 'HOUSEKEEPING_FAILED',
          cause: { code: 'NO_SPACE' },
        })
      }
      check(log, told)
      await log.close()
      const again = await EventLog.open(directory)
      expect(again.recovery.clean).toBe(true)
      check(again, told)
      await again.close()
      process.stdout.write(
        `full disk, ${kind}: ${told.acknowledgedCount} acknowledged, ` +
          `${told.refusedCount} refused, ${FILLINGS} fillings\n`,
      )
    },
    300_000,
  )
})

/** Runs the producers, and beside them fills the disk and makes room again. */
async function fillAndEmpty(log: EventLog, filler: string, told: Told): Promise<void> {
  const stop = new AbortController()
  const running = Array.from({ length: PRODUCERS }, (_, number) =>
    produce(log, number, told, stop.signal),
  )
  const until = async (isOver: () => boolean): Promise<void> => {
    while (!isOver()) await turn()
  }
  try {
    for (let filling = 0; filling < FILLINGS; filling += 1) {
      const before = told.acknowledgedCount
      await until(() => told.acknowledgedCount >= before + MORE)
      fill(filler)
      const refused = told.refusedCount
      await until(() => told.refusedCount >= refused + REFUSALS)
      rmSync(filler)
      const acknowledged = told.acknowledgedCount
      await until(() => told.acknowledgedCount >= acknowledged + MORE)
    }
  } finally {
    stop.abort()
    await Promise.all(running)
  }
}

/** Sends one record after the other; one that was refused is sent again, as somebody would. */
async function produce(
  log: EventLog,
  number: number,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  const producer = log.producer({ acks: number % 2 === 0 ? 'all' : 1 })
  for (let count = 0; !signal.aborted; count += 1) {
    const value = `${number}/${count}`.padEnd(VALUE_BYTES, '.')
    told.sent.add(value)
    for (;;) {
      try {
        const { partition, offset } = await producer.send({
          topic: 'orders',
          key: `${number}`,
          value,
        })
        told.acknowledged[partition]?.set(offset, value)
        told.acknowledgedCount += 1
        break
      } catch (error) {
        told.take(error)
        if (signal.aborted) break
        await turn()
      }
    }
  }
  await producer.close()
}

/** All that was acknowledged is where it was said to be; nothing is there that nobody sent. */
function check(log: EventLog, told: Told): void {
  for (const partition of log.topic('orders').partitions) {
    const acknowledged = told.acknowledged[partition.index] ?? new Map<number, string>()
    const found = new Map<number, string>()
    for (const { offset, value } of partition.records()) found.set(offset, String(value))
    for (const [offset, value] of acknowledged) expect(found.get(offset)).toBe(value)
    for (const value of found.values()) expect(told.sent.has(value)).toBe(true)
    expect(found.size).toBe(partition.logEndOffset)
  }
}

/** Takes all room that is left. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w')
  try {
    for (const bytes of [65_536, 4_096, 1]) while (writes(descriptor, bytes)) {}
  } finally {
    closeSync(descriptor)
  }
}

function writes(descriptor: number, bytes: number): boolean {
  try {
    return writeSync(descriptor, Buffer.alloc(bytes, 'x')) > 0
  } catch {
    return false
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => void setImmediate(resolve))
}
