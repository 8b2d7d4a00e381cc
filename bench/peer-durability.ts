/**
 * Who keeps what it acknowledged? Each way of writing sends a number of records, waits for each to
 * be acknowledged, and is killed by SIGKILL in the turn in which the last one was. Then its store
 * is opened again, as its manual says to after a crash, and read: `lost` is what was acknowledged
 * and is not there, and what is there has to be what was written. Timed is that opening and
 * reading.
 *
 * A kill leaves the kernel's page cache alone: it says whether records had left the process, not
 * whether they were synced. A peer that loses records here is no durable peer whatever it syncs:
 * of event-storage the other questions time the one that flushes, because what it calls committed
 * is not in the indexes by which it is found.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadPeers } from './contestants/peer-packages.ts'
import { peerWriters, type KilledErrand, type PeerWriter } from './contestants/peer-writers.ts'
import { loadStreambed } from './contestants/streambed.ts'
import { Dataset, mustEqual } from './runner/dataset.ts'
import type { Contestant, Measurement, Question } from './runner/question.ts'
import { timed } from './runner/stopwatch.ts'

const RECORDS = 300
const VALUE_BYTES = 100
const PROGRAM = join(fileURLToPath(import.meta.url), '..', 'killed-writer.js')

/** The question. */
export const peerDurability: Question = {
  name: 'peer-durability',
  asks: `opens what a writer left that was killed after ${RECORDS} acknowledged records`,
  answer: 'time',
  cases: () => [
    { name: `${RECORDS} records of 100 B`, contestants: peerWriters.map(contestantOf) },
  ],
}

function contestantOf(writer: PeerWriter): Contestant {
  const { name, role, needs } = writer
  const base = { name, role, measure: (directory: string) => survived(writer, directory) }
  return needs === undefined ? base : { ...base, needs }
}

async function survived(writer: PeerWriter, directory: string): Promise<Measurement> {
  const dataset = new Dataset(VALUE_BYTES)
  await killed({
    writer: writer.name,
    directory,
    valueBytes: VALUE_BYTES,
    recordCount: RECORDS,
  })
  loadPeers()
  await loadStreambed()
  let found = 0
  let crc = 0
  const measurement = await timed(RECORDS, dataset.byteCount(RECORDS), async () => {
    const survivors = await writer.survivors(directory)
    found = survivors.recordCount
    crc = survivors.crc
  })
  mustEqual(crc, dataset.crc32(found), 'checksum of the records found')
  return { ...measurement, also: { acknowledged: RECORDS, found, lost: RECORDS - found } }
}

/** Resolves when the process was ended by its own signal; rejects where it ended otherwise. */
function killed(errand: KilledErrand): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(errand)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve()
      else reject(new Error(`the writer ended by ${signal ?? code}, not by the kill`))
    })
  })
}
