/**
 * The same log, cleaned by a real broker and here: Kafka's producers write with its cleaner off,
 * the directory is copied, then each side cleans its own. What is left has to be the same, batch by
 * batch, as Kafka's tool prints it. In a second round more is written, by a broker to what we
 * cleaned and to what it cleaned itself, and both are cleaned again: by then tombstones and
 * markers of the first round are past their horizon. With STREAMBED_WRITE_VECTORS=1 what a broker
 * cleaned, and was killed while cleaning, becomes vectors for tests that run without Java.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  watch,
  type FSWatcher,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { parseOffsetCheckpoint } from '../../src/storage/offset-checkpoint.ts'
import { writeStoredLog } from '../support/stored-log.ts'
import {
  CLEANED_TOPICS,
  CLEANING_PRODUCERS,
  COMPACTED_TOPICS,
  EXPIRING_TOPICS,
  LAGGING_TOPIC,
  cleaningSteps,
} from './compaction-script.ts'
import { parseDump } from './dump-output.ts'
import { KafkaBroker } from './kafka-broker.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import { missingKafka, startDriver } from './provided-kafka.ts'
import { latestValues, readFromBroker, readFromLog, type ReadTopics } from './read-topics.ts'

const IDENTITY = { clusterId: 'MkU3OEVBNTcwNTJENDM2Qg', directoryId: null, topics: [] }
/** Of the records, whoever writes them. */
const START_MS = Date.now()
const NAMES = CLEANED_TOPICS.map(({ name }) => name)
/** Topics that both sides clean as soon as they look. */
const EAGER_NAMES = COMPACTED_TOPICS.map(({ name }) => name)
const AS_HEX = [
  '--deep-iteration',
  '--print-data-log',
  '--key-decoder-class',
  'HexDecoder',
  '--value-decoder-class',
  'HexDecoder',
]
/** Bytes a second: it sleeps for what it read too fast, so that a pass is met in its middle. */
const SLOW = ['log.cleaner.io.max.bytes.per.second=20000']
const CLEANER_OFFSETS = 'cleaner-offset-checkpoint'

/** A broker's home beside its directory, so that both are copied and moved together. */
interface Place {
  readonly home: string
  readonly directory: string
}

/** What is left of the topics, read here. */
interface Left {
  readonly uncommitted: ReadTopics
  readonly committed: ReadTopics
  readonly logStarts: Readonly<Record<string, number>>
}

describe.skipIf(missingKafka !== null)(
  'a log that a broker cleans, and that is cleaned here',
  () => {
    let root: string
    let kafka: KafkaDriver
    let theirs: Place
    let ours: Place
    let running: KafkaBroker | undefined

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), 'streambed-interop-'))
      kafka = startDriver()
      theirs = placeIn(root, 'theirs')
      ours = placeIn(root, 'ours')
      const broker = brokerAt(theirs, 'off')
      await broker.format(IDENTITY)
      await broker.start()
      await broker.createTopics(CLEANED_TOPICS)
      await broker.transact(CLEANING_PRODUCERS, cleaningSteps(0, START_MS))
      await broker.stop()
      cpSync(theirs.home, ours.home, { recursive: true })
    })

    afterAll(async () => {
      await running?.kill()
      await kafka.close()
      rmSync(root, { recursive: true, force: true })
    })

    function brokerAt(
      place: Place,
      cleaner: 'on' | 'off',
      more: readonly string[] = [],
    ): KafkaBroker {
      running = new KafkaBroker(kafka, {
        ...place,
        properties: [
          ...more,
          `log.cleaner.enable=${cleaner === 'on'}`,
          // While it is off, nothing else is removed either.
          `log.retention.check.interval.ms=${cleaner === 'on' ? 100 : 3_600_000}`,
          'log.index.size.max.bytes=4096',
        ],
      })
      return running
    }

    /** Lets a broker clean all that it will. */
    async function cleanThere(place: Place): Promise<void> {
      const broker = brokerAt(place, 'on')
      await broker.start()
      while (!isCleaned(place.directory)) await broker.consume('keyed')
      await broker.stop()
    }

    async function writeMore(place: Place): Promise<void> {
      const broker = brokerAt(place, 'off')
      await broker.start()
      await broker.transact(CLEANING_PRODUCERS, cleaningSteps(1, START_MS))
      await broker.stop()
    }

    const dumped = (place: Place, topic: string): Promise<readonly string[]> =>
      dumpedLines(kafka, join(place.directory, `${topic}-0`))

    it('has the same records left on both sides, and was longer', async () => {
      const before = await leftIn(theirs.directory)
      await cleanThere(theirs)
      await cleanHere(ours.directory)
      const left = await leftIn(ours.directory)
      expect(left).toEqual(await leftIn(theirs.directory))
      if (process.env['STREAMBED_WRITE_VECTORS'] === '1') {
        writeStoredLog('broker-compacted', theirs.directory, left)
      }
      for (const topic of EAGER_NAMES) {
        const countOf = (read: ReadTopics): number => read[`${topic}-0`]?.records.length ?? 0
        expect(countOf(left.uncommitted)).toBeLessThan(countOf(before.uncommitted))
      }
      expect(left.logStarts['aged-0']).toBeGreaterThan(0)
      expect(left.logStarts['sized-0']).toBeGreaterThan(0)
    })

    it('has the same batches left, but for empty ones that end what was one segment', async () => {
      for (const topic of NAMES) {
        const [mine, kafkas] = [await dumped(ours, topic), await dumped(theirs, topic)]
        expect({
          topic,
          lines: mine.filter((line) => !kafkas.includes(line)).filter(isNotEmpty),
        }).toEqual({ topic, lines: [] })
        expect({ topic, lines: kafkas.filter((line) => !mine.includes(line)) }).toEqual({
          topic,
          lines: [],
        })
      }
    })

    it('has indexes that Kafka finds right where we cleaned', async () => {
      for (const topic of NAMES) {
        const folder = join(ours.directory, `${topic}-0`)
        const names = readdirSync(folder).filter((name) => /^\d+\.(index|timeindex)$/.test(name))
        const paths = names.map((name) => join(folder, name)).join(',')
        const files = parseDump(await kafka.dump(['--files', paths]))
        expect(files.flatMap(({ complaints }) => complaints)).toEqual([])
      }
    })

    it('is served by a broker as we left it, which goes on cleaning it', async () => {
      const left = await leftIn(ours.directory)
      const broker = brokerAt(ours, 'off')
      await broker.start()
      expect(broker.said).not.toContain('rebuilding index files')
      expect(await readFromBroker(broker, NAMES)).toEqual(left.uncommitted)
      expect(await readFromBroker(broker, NAMES, 'read_committed')).toEqual(left.committed)
      await broker.stop()
      await writeMore(ours)
      const again = placeIn(root, 'again')
      cpSync(ours.home, again.home, { recursive: true })
      await cleanThere(ours)
      await cleanHere(again.directory)
      expect(await leftIn(again.directory)).toEqual(await leftIn(ours.directory))
    })

    it('comes back from a broker that was killed while it cleaned', async () => {
      const killed = placeIn(root, 'killed')
      cpSync(theirs.home, killed.home, { recursive: true })
      await writeMore(killed)
      const before = latestIn(await leftIn(killed.directory))
      const broker = brokerAt(killed, 'on', SLOW)
      // A pass may be over before this process is told that the broker is up.
      const beingCleaned = untilBeingCleaned(killed.directory)
      await broker.start()
      await beingCleaned
      await broker.kill()
      if (process.env['STREAMBED_WRITE_VECTORS'] === '1') {
        writeStoredLog('broker-compacting-killed', killed.directory, before)
      }
      expect(await EventLog.verify(killed.directory)).toMatchObject({ damage: [] })
      expect(latestIn(await leftIn(killed.directory))).toEqual(before)
      await cleanHere(killed.directory)
      expect(latestIn(await leftIn(killed.directory))).toEqual(before)
    })
  },
)

function placeIn(root: string, name: string): Place {
  const home = join(root, name)
  mkdirSync(home)
  return { home, directory: join(home, 'data') }
}

/** Taking topics in and recovering are warned of; here they are what is tested. */
function openQuietly(directory: string): Promise<EventLog> {
  return EventLog.open(directory, { onWarning: () => undefined })
}

async function cleanHere(directory: string): Promise<void> {
  const log = await openQuietly(directory)
  for (const { name, ours } of CLEANED_TOPICS) {
    await log.topic(name).alterConfig({ ...ours, minCleanableDirtyRatio: 0.01 })
  }
  await log.runHousekeeping({ force: true })
  await log.close()
  expect(await EventLog.verify(directory)).toMatchObject({ sound: true, damage: [] })
}

async function leftIn(directory: string): Promise<Left> {
  const log = await openQuietly(directory)
  const partitions = NAMES.map((name) => log.topic(name).partition(0))
  const left = {
    uncommitted: readFromLog(log, NAMES),
    committed: readFromLog(log, NAMES, 'read_committed'),
    logStarts: Object.fromEntries(
      partitions.map(({ topic, logStartOffset }) => [`${topic}-0`, logStartOffset]),
    ),
  }
  await log.close()
  return left
}

/** Whether every segment before the last one was cleaned, and what is too old is gone. */
function isCleaned(directory: string): boolean {
  const path = join(directory, CLEANER_OFFSETS)
  const entries = existsSync(path) ? parseOffsetCheckpoint(readFileSync(path)) : undefined
  const offsetOf = (name: string): number =>
    entries?.find(({ topic }) => topic === name)?.offset ?? -1
  return (
    EAGER_NAMES.every((name) => offsetOf(name) === basesIn(directory, name).at(-1)) &&
    offsetOf(LAGGING_TOPIC.name) > 0 &&
    EXPIRING_TOPICS.every(({ name }) => (basesIn(directory, name)[0] ?? 0) > 0)
  )
}

function basesIn(directory: string, topic: string): readonly number[] {
  const logs = readdirSync(join(directory, `${topic}-0`)).filter((name) => name.endsWith('.log'))
  return logs.map((name) => Number.parseInt(name, 10)).toSorted((a, b) => a - b)
}

/** Until the file appears that a pass writes; it is gone again within milliseconds, or seconds. */
async function untilBeingCleaned(directory: string): Promise<void> {
  const watchers: FSWatcher[] = []
  await new Promise<void>((resolve) => {
    for (const name of EAGER_NAMES) {
      const watcher = watch(join(directory, `${name}-0`), (_, file) => {
        if (file?.endsWith('.log.cleaned') === true) resolve()
      })
      watchers.push(watcher)
    }
  })
  for (const watcher of watchers) watcher.close()
}

function latestIn({ committed }: Left): ReturnType<typeof latestValues> {
  return latestValues(committed, EAGER_NAMES)
}

/** Batches and records as Kafka prints them, but for where they lie and when a horizon is. */
async function dumpedLines(kafka: KafkaDriver, folder: string): Promise<readonly string[]> {
  const names = readdirSync(folder).filter((name) => /^\d+\.log$/.test(name))
  const paths = names.toSorted().map((name) => join(folder, name))
  const printed = await kafka.dump(['--files', paths.join(','), ...AS_HEX])
  return printed
    .split('\n')
    .filter((line) => /^(\| offset|baseOffset): /.test(line))
    .map((line) =>
      line
        .replace(/ (position|size|crc): \d+/g, '')
        .replace(/deleteHorizonMs: OptionalLong\[\d+\]/, 'deleteHorizonMs: set'),
    )
}

function isNotEmpty(line: string): boolean {
  return !line.includes(' count: 0 ')
}
