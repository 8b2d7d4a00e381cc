/**
 * What a real broker is told to store for transactions, and what of it each isolation level shows:
 * transactions of several producers between one another, committed, aborted and left open, over
 * several partitions, codecs and segments, with positions of a group, beside records of none.
 */
import type { ProducerSettings, TopicToCreate, TransactionStep } from './kafka-broker.ts'
import type { RecordToSend } from './kafka-driver.ts'
import { recordsToSend } from './sample-records.ts'

/** Steps, and of every record they send where it belongs. */
export interface TransactionScript {
  readonly steps: readonly TransactionStep[]
  readonly sent: readonly { readonly folder: string; readonly isCommitted: boolean }[]
}

/** Sample records are 10 ms apart. */
const ROLLING = { 'segment.ms': '200', 'index.interval.bytes': '512' }

/** The topics of the script. */
export const TRANSACTION_TOPICS: readonly TopicToCreate[] = [
  { name: 'ledger', partitions: 1, config: ROLLING },
  { name: 'payments', partitions: 3, config: ROLLING },
]

/** Its group, and the positions that it has after the script. */
export const SCRIPT_GROUP = 'clerks'
export const SCRIPT_POSITIONS: readonly { topic: string; partition: number; offset: number }[] = [
  { topic: 'ledger', partition: 0, offset: 5 },
  { topic: 'payments', partition: 2, offset: 3 },
]

/** The transactional id of a producer that leaves its transaction open. */
export const OPEN_TRANSACTIONAL_ID = 'id-open'

const CODECS: Readonly<Record<string, string>> = {
  first: 'lz4',
  second: 'zstd',
  third: 'gzip',
  long: 'snappy',
  longer: 'none',
  open: 'lz4',
}

/** The producers of the script: each with a codec, all but `plain` with a transactional id. */
export const SCRIPT_PRODUCERS: ProducerSettings = {
  plain: {},
  ...Object.fromEntries(
    Object.entries(CODECS).map(([name, codec]) => [
      name,
      {
        'transactional.id': `id-${name}`,
        'transaction.timeout.ms': '900000',
        'compression.type': codec,
      },
    ]),
  ),
}

/** The whole script; with `rounds` transactions in a row, over about as many segments. */
export function transactionScript(rounds: number): TransactionScript {
  const script = new ScriptWriter()
  script.send('plain', true, ['ledger-0', 'payments-2'])
  interleaved(script)
  withOffsets(script)
  script.take('long', 'begin')
  script.send('long', false, ['ledger-0', 'payments-1', 'payments-2'])
  script.take('longer', 'begin')
  script.send('longer', true, ['ledger-0', 'payments-0'])
  for (let round = 0; round < rounds; round++) {
    const isCommitted = round % 3 !== 1
    script.take('third', 'begin')
    script.send('third', isCommitted, ['ledger-0', `payments-${round % 3}`])
    if (round % 4 === 2) script.send('plain', true, ['ledger-0'])
    script.take('third', isCommitted ? 'commit' : 'abort')
  }
  script.send('long', false, ['ledger-0'])
  script.take('longer', 'commit')
  script.take('long', 'abort')
  script.take('open', 'begin')
  script.send('open', false, ['ledger-0', 'payments-1'])
  script.offsets('open', [{ topic: 'ledger', partition: 0, offset: 11 }])
  // Behind the last stable offset, and not waiting for it in partition 0.
  script.take('first', 'begin')
  script.send('first', true, ['ledger-0', 'payments-0'])
  script.take('first', 'commit')
  script.send('plain', true, ['ledger-0'])
  return script
}

function interleaved(script: ScriptWriter): void {
  script.take('first', 'begin')
  script.send('first', true, ['ledger-0', 'payments-0', 'payments-1'])
  script.take('second', 'begin')
  script.send('second', false, ['ledger-0'])
  script.send('plain', true, ['ledger-0'])
  script.send('first', true, ['ledger-0'])
  script.send('second', false, ['ledger-0', 'payments-1'])
  script.take('second', 'abort')
  script.take('first', 'commit')
}

function withOffsets(script: ScriptWriter): void {
  script.take('first', 'begin')
  script.send('first', true, ['payments-0'])
  script.offsets('first', SCRIPT_POSITIONS)
  script.take('first', 'commit')
  script.take('second', 'begin')
  script.send('second', false, ['payments-0'])
  script.offsets('second', [{ topic: 'ledger', partition: 0, offset: 9 }])
  script.take('second', 'abort')
}

/** Writes a script down, and how far the sample records are used. */
class ScriptWriter implements TransactionScript {
  readonly steps: TransactionStep[] = []
  readonly sent: { folder: string; isCommitted: boolean }[] = []
  #number = 0

  take(producer: string, action: 'begin' | 'commit' | 'abort'): void {
    this.steps.push({ producer, action })
  }

  /** Three records to each folder, one batch there. */
  send(producer: string, isCommitted: boolean, folders: readonly string[]): void {
    const records: RecordToSend[] = []
    for (const folder of folders) {
      const at = folder.lastIndexOf('-')
      const place = { topic: folder.slice(0, at), partition: Number(folder.slice(at + 1)) }
      for (const record of recordsToSend(place, this.#number, this.#number + 3)) {
        records.push(record)
        this.sent.push({ folder, isCommitted })
      }
    }
    this.#number += 3
    this.steps.push({ producer, action: 'send', records })
  }

  offsets(
    producer: string,
    positions: readonly { topic: string; partition: number; offset: number }[],
  ): void {
    this.steps.push({ producer, action: 'offsets', group: SCRIPT_GROUP, offsets: positions })
  }
}

/** Of each folder the offsets that are committed, those of all records of the script given. */
export function committedOffsets(
  script: TransactionScript,
  offsets: readonly number[],
): Readonly<Record<string, readonly number[]>> {
  const committed: Record<string, number[]> = {}
  for (const [index, { folder, isCommitted }] of script.sent.entries()) {
    const list = (committed[folder] ??= [])
    if (isCommitted) list.push(offsets[index] ?? -1)
  }
  return committed
}
