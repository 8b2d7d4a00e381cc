/**
 * A log that others read, and were killed while they read it, is byte for byte the log that nobody
 * read: the same writer runs twice over the same clock and the same chance, once alone, once with
 * readers in processes of their own that are killed at whatever they do.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { systemClock } from '../../src/log/clock.ts'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { CONTROL_FILE, readControlFile } from '../../src/storage/control-file.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { runSeed, SeededRandom } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import type { ReaderLife } from './live-campaign.ts'
import { readEvents, type ReaderNote } from './live-events.ts'
import { recordOf } from './live-records.ts'

const READER = fileURLToPath(new URL('live-reader-child.ts', import.meta.url))
const ROUNDS = 30
const READERS = 2
const PAUSE_MS = 50
const NOW_MS = 1_750_000_000_000

/** The writer: the same calls in the same order each time, with pauses for those who read. */
async function write(directory: string): Promise<void> {
  const chance = new SeededRandom(7)
  const log = await EventLog.open(directory, {
    housekeepingIntervalMs: null,
    clock: { ...systemClock, now: () => NOW_MS },
    random: (bytes) => Uint8Array.from({ length: bytes }, () => chance.below(256)),
    onWarning: () => undefined,
  })
  const small = { segmentBytes: 32_768, fileDeleteDelayMs: 0 }
  await log.createTopic('plain', { ...small, partitions: 2, retentionBytes: 100_000 })
  await log.createTopic('state', { ...small, cleanupPolicy: 'compact', minCleanableDirtyRatio: 0 })
  const producer = log.producer({ transactionalId: 'one', lingerMs: 0 })
  let seq = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of ['plain', 'state']) {
      const topic = log.topic(name)
      for (const { index: partition } of topic.partitions) {
        const place = { id: topic.id, partition }
        const isCompacted = name === 'state'
        const records = Array.from({ length: 20 }, () => {
          return recordOf(place, { seq: seq++, tx: '' }, { isCompacted })
        })
        topic.partition(partition).append(records)
      }
    }
    const transaction = await producer.begin()
    const place = { id: log.topic('plain').id, partition: round % 2 }
    const record = recordOf(place, { seq: seq++, tx: String(round) }, { isCompacted: false })
    await transaction.send({ ...record, topic: 'plain', partition: place.partition })
    await (round % 3 === 0 ? transaction.abort() : transaction.commit())
    if (round % 10 === 3) await log.createTopic('comes')
    if (round % 10 === 8) await log.deleteTopic('comes')
    if (round % 8 === 5) await log.flush()
    if (round % 6 === 4) await log.runHousekeeping({ force: true })
    if (round % 9 === 7) {
      const partition = log.topic('plain').partition(0)
      await partition.deleteRecords(partition.logStartOffset + 5)
    }
    await delay(PAUSE_MS)
  }
  await producer.close()
  await log.close()
}

/** Every file with its bytes; of the control file what it says, not how often it was said. */
function contentsOf(directory: string): ReadonlyMap<string, string> {
  const contents = new Map<string, string>()
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const name = relative(directory, path)
    if (entry.isDirectory()) contents.set(name, 'a directory')
    else if (name === CONTROL_FILE) contents.set(name, publishedIn(directory))
    else contents.set(name, createHash('sha256').update(readFileSync(path)).digest('hex'))
  }
  return contents
}

function publishedIn(directory: string): string {
  const control = readControlFile(openDiskDriver(directory))
  // Its boot id has the directory's own number in it.
  const slots = [...(control?.slots ?? [])].map((slot) => JSON.stringify(slot)).toSorted()
  return JSON.stringify({ ...control, bootId: null, slots })
}

/** Readers of `directory` that come, are killed and come again, until `stop`. */
class KilledReaders {
  readonly #program: string
  readonly #directory: string
  readonly #notes: string
  readonly #random = new SeededRandom(runSeed)
  readonly #loops: Promise<void>[] = []
  #isOver = false
  kills = 0

  constructor(program: string, directory: string, notes: string) {
    this.#program = program
    this.#directory = directory
    this.#notes = notes
    for (let index = 0; index < READERS; index += 1) this.#loops.push(this.#loop(index))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#loops)
  }

  /** What they noted that is no record. */
  get failures(): readonly unknown[] {
    const notes = readEvents<ReaderNote>(`${this.#notes}0`).concat(readEvents(`${this.#notes}1`))
    return notes.filter(({ what }) => what === 'failed' || what === 'torn')
  }

  get seenRuns(): number {
    const notes = readEvents<ReaderNote>(`${this.#notes}0`)
    return notes.filter(({ what }) => what === 'saw').length
  }

  async #loop(index: number): Promise<void> {
    while (!this.#isOver) {
      const life: ReaderLife = {
        staysMs: index === 0 ? null : 300,
        plan: {
          name: `killed ${index}`,
          directory: this.#directory,
          notes: `${this.#notes}${index}`,
          seed: this.#random.below(2 ** 32),
          isolation: index === 0 ? 'read_committed' : 'read_uncommitted',
          visibility: 'written',
          how: index === 0 ? 'partitions' : 'ranges',
          isSlow: false,
          hasTable: false,
        },
      }
      const child = spawn(process.execPath, [this.#program, JSON.stringify(life)])
      child.stderr.pipe(process.stderr)
      const ended = once(child, 'exit')
      // It is killed while it opens the log now and then.
      if (this.#random.below(4) > 0) await Promise.race([once(child.stdout, 'data'), ended])
      await delay(this.#random.below(600))
      if (child.exitCode === null) this.kills += 1
      child.kill('SIGKILL')
      await ended
    }
  }
}

it(`a directory is byte for byte what it is without its readers, killed or not, seed ${runSeed}`, async () => {
  const root = temporaryDirectory()
  const [alone, read] = [join(root, 'alone'), join(root, 'read')]
  const program = compileToPlainSource(READER)
  onTestFinished(() => program.remove())
  const readers = new KilledReaders(program.path, read, join(root, 'notes'))
  await write(read)
  while (readers.seenRuns === 0) await delay(PAUSE_MS) // A slow machine.
  await readers.stop()
  await write(alone)
  expect(readers.failures).toEqual([])
  expect(readers.kills).toBeGreaterThan(0)
  expect(readers.seenRuns).toBeGreaterThan(0)
  expect(contentsOf(read)).toEqual(contentsOf(alone))
})
