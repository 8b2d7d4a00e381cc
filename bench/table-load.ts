/**
 * How fast is a table of a compacted topic loaded, how long does that hold the event loop at a
 * stretch, and how much memory does it take? 1,000,000 keys of 16 B with values of 100 B, each;
 * 200,000 in a quick run. What memory is added, over the number of keys, is the memory of a key.
 *
 * Map: the same by hand, as records are read, with keys as text and records kept for their values.
 * Limit: the same records scanned, and nothing kept.
 */
import type { Topic } from '../dist/index.js'
import { loadStreambed } from './contestants/streambed.ts'
import { mustEqual } from './runner/dataset.ts'
import type { Measurement, Question, Store } from './runner/question.ts'
import { strained } from './runner/strain.ts'

const TOPIC = 'bench'
const KEY_BYTES = 16
const VALUE = Buffer.alloc(100, 1)
const FULL_KEYS = 1_000_000
const QUICK_KEYS = 200_000
const BATCH_RECORDS = 500

/** The question. */
export const tableLoad: Question = {
  name: 'table-load',
  asks: 'loads the last value of each key of a topic',
  answer: 'throughput',
  cases: ({ quick }) => {
    const keyCount = quick ? QUICK_KEYS : FULL_KEYS
    const store = storeOf(keyCount)
    return [
      {
        name: `${keyCount.toLocaleString('en')} keys of 116 B`,
        contestants: [
          { name: 'table', role: 'ours', store, measure: (from) => loaded(from, keyCount, table) },
          { name: 'Map', role: 'peer', store, measure: (from) => loaded(from, keyCount, map) },
          { name: 'scan', role: 'limit', store, measure: (from) => loaded(from, keyCount, scan) },
        ],
      },
    ]
  },
}

/** Reads all of a topic; how many keys there are, and what has to be kept meanwhile. */
type Load = (topic: Topic) => Promise<{ readonly size: number }>

const table: Load = async (topic) => await topic.table()

const map: Load = async (topic) => {
  const values = new Map<string, { readonly value: Buffer | null }>()
  for await (const record of topic.read({ isolation: 'read_committed' })) {
    values.set(String(record.key), record)
  }
  return values
}

const scan: Load = async (topic) => {
  return { size: topic.partition(0).scan(() => undefined, { isolation: 'read_committed' }) }
}

async function loaded(directory: string, keyCount: number, load: Load): Promise<Measurement> {
  const { EventLog } = await loadStreambed()
  const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const topic = log.topic(TOPIC)
  const byteCount = keyCount * (KEY_BYTES + VALUE.length)
  let size = 0
  const measurement = await strained(keyCount, byteCount, async () => {
    const kept = await load(topic)
    ;({ size } = kept)
  })
  mustEqual(size, keyCount, 'the number of keys')
  await log.close()
  return measurement
}

function storeOf(keyCount: number): Store {
  return {
    name: `keys-${keyCount}`,
    async fill(directory) {
      const { EventLog } = await loadStreambed()
      const log = await EventLog.open(directory, { housekeepingIntervalMs: null })
      const topic = await log.createTopic(TOPIC, { cleanupPolicy: 'compact' })
      for (let first = 0; first < keyCount; first += BATCH_RECORDS) {
        const records = Array.from({ length: BATCH_RECORDS }, (_, index) => {
          return { key: String(first + index).padStart(KEY_BYTES, '0'), value: VALUE }
        })
        topic.partition(0).append(records)
      }
      await log.close()
    },
  }
}
