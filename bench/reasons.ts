/**
 * Why targets are missed (targets.ts), where that is known: by what was measured. Numbers in here
 * are those of the runs in bench/results, unless it says where they are from.
 */

/** Whoever does not block the event loop pays for it with every single wait. */
export const ONE_WAIT: string =
  'A sync that does not block the event loop is handed to a thread and back, which wakes up an ' +
  'idle thread twice; SQLite syncs in the thread that called and stops everything else meanwhile.'

/** Of the consumer in the same process. */
export const HANDED_OVER_FIRST: string =
  'event-storage hands a record to its consumer before it writes it, which is not acks 1: the ' +
  'row to compare is the one where it writes first. Of what this takes here, more than half is ' +
  'the append with its positioned write.'

/** Of records of kilobytes. */
export const CRC_OF_LARGE: string =
  'Raw writes copy a record and do no more. Its CRC-32C takes as long as copying it does, and ' +
  'its lengths, offsets and checks as long again.'

/** Of what is over before V8 has compiled it. */
export const NOT_WARM_YET: string =
  'A quick run is over in a fraction of a second, and V8 compiles for a good part of it, in ' +
  'threads whose CPU counts too: the more of the work is JavaScript, the more that is. In a ' +
  'process that goes on, a record in a batch of 100 took 148 ns.'

/** Of three times what lmdb appends. */
export const LMDB_HERE: string =
  'Where the target was set lmdb appended 1.1 to 1.5 million records a second, here 1.9 to 2.4: ' +
  'three times that is three quarters of what raw writes do, or all of it.'

/** Of reading what is to be kept. */
export const LENDS: string =
  "lmdb's fastest loop lends one buffer and overwrites it, as scan does. Who keeps what he reads " +
  'there (lmdb, to keep) gets a quarter of that, and far less than records() and for await give.'

/** Of opening after a kill. */
export const RECOVERS: string =
  'What nobody had synced is read three times: to be checked, for its producers, and to be ' +
  'written and forced once more, because a sync that failed may have left it in memory alone. ' +
  'SQLite and lmdb take what they find and force nothing.'

/** Of a transaction over four partitions. */
export const FIVE_SYNCS: string =
  'A commit over four partitions forces five files, those of the partitions side by side and ' +
  'then the decision; SQLite forces one. Raw writes and syncs in that order do not meet it ' +
  'either. A journal of all partitions would, and would write everything twice ' +
  '(docs/decisions/114-decided-together.md).'

/** Of transactions at the same time. */
export const ONE_CORE: string =
  'The syncs are shared; what is left is the JavaScript of a transaction, its promises and its ' +
  'batches, on the one core that the event loop has.'

/** Of more than the best who gathers. */
export const SAME_SYNCS: string =
  'Whoever gathers what waits and syncs once for all of it does as many syncs: the device ' +
  'decides, not the log. Peers that do that by a queue written by hand are as fast.'

/** Of appends with lz4. */
export const ADDON_EACH: string =
  'Compressing an event, with the copies of its batch to the addon and back into memory outside ' +
  'of the heap, takes as long as all the rest of an append, or twice as long.'

/** Of 256 senders beside raw writes. */
export const ONE_SYNC_FOR_ALL: string =
  'All senders wait for the same sync, so its wait and the CPU of 256 sends come one after the ' +
  'other. Telling half of them a turn earlier would let the two overlap; that is not built.'

/** Of the tail of their latency. */
export const SLOW_SYNCS: string =
  'One sync in a hundred takes 2 to 4 ms here, where half of them take 0.2, and all 256 senders ' +
  'wait for the same one. Raw writes, SQLite and lmdb have a tail of 1.4 to 1.8 ms; why ours is ' +
  'longer is not explained: without zeros ahead of the batches it is as long.'

/** Of a clean open. */
export const OPENS_COLD: string =
  'An open is nearly all JavaScript that runs for the first time, in some hundred functions, and ' +
  'it removes the clean marker durably; no part dominates. SQLite and lmdb run compiled code and ' +
  'make nothing durable when they open.'

/** Of the bytes of lz4. */
export const NO_ENTROPY_CODING: string =
  'LZ4 has no entropy coding: the random characters of an id take as many bytes as there are, ' +
  'and what repeats is found already.'
