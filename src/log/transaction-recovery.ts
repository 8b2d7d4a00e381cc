/**
 * What recovery makes of transactions that a stop left open: it is found in what each partition
 * knows of its producers, not in the coordinator's log alone, which says of decided ones only.
 *
 *   I1  committed is what the last record of its id decided under the epoch of its batches, in the
 *       partitions that it lists; everything else is aborted
 *   I2  what cannot be written is kept, and tried again: the partition's last stable offset waits
 */
import type { StoredTransactionState } from '../format/transaction-state.ts'
import type { PartitionLog } from './partition-log.ts'
import type { OpenTransactionState } from './producer-state.ts'
import type { UpTo } from './staged-offsets.ts'
import type { TransactionLog } from './transaction-log.ts'
import type { UnwrittenMarkers } from './unwritten-markers.ts'

/** From this version of Kafka's clients on, a decision has the epoch behind that of its batches. */
const BUMPING_CLIENT_VERSION = 2

/** What writes markers. */
interface MarkerParts {
  readonly log: TransactionLog
  readonly markers: UnwrittenMarkers
}

/** Called when a marker of the id was written, or when its partition is gone. */
type Written = (upTo: UpTo | undefined) => void

/** Ends every open transaction in `partitions`; returns those in which there was one. */
export function endLeftOpen(
  parts: MarkerParts,
  partitions: readonly PartitionLog[],
  states: ReadonlyMap<string, StoredTransactionState>,
  markerDue: (transactionalId: string) => Written,
): readonly PartitionLog[] {
  const byProducer = producersOf(states)
  const touched: PartitionLog[] = []
  for (const log of partitions) {
    const open = [...log.producers.open()]
    if (open.length > 0) touched.push(log)
    for (const one of open) {
      const { producerId } = one
      const known = byProducer.get(producerId)
      const isCommitted = known !== undefined && isDecided(known.state, one, log)
      const isAwaited =
        isCommitted || (known !== undefined && known.state.status !== 'PrepareCommit')
      const written = isAwaited ? markerDue(known.name) : ignored
      parts.markers.write({
        producerId,
        producerEpoch: isCommitted ? known.state.producerEpoch : one.producerEpoch,
        outcome: isCommitted ? 'commit' : 'abort',
        coordinatorEpoch: known === undefined ? 0 : parts.log.coordinatorEpoch(known.name),
        log,
        isReserved: false,
        written: (offset) =>
          written(offset === undefined ? undefined : { log, offset: offset + 1 }),
      })
    }
  }
  return touched
}

/** What the last record of an id says. */
interface KnownState {
  readonly name: string
  readonly state: StoredTransactionState
}

/** By producer id. */
function producersOf(
  states: ReadonlyMap<string, StoredTransactionState>,
): ReadonlyMap<number, KnownState> {
  const known = new Map<number, KnownState>()
  for (const [name, state] of states) known.set(state.producerId, { name, state })
  return known
}

/** I1. */
function isDecided(
  state: StoredTransactionState,
  { producerEpoch }: OpenTransactionState,
  log: PartitionLog,
): boolean {
  const bump = state.clientTransactionVersion >= BUMPING_CLIENT_VERSION ? 1 : 0
  if (state.status !== 'PrepareCommit' || state.producerEpoch !== producerEpoch + bump) return false
  return (state.topics ?? []).some(
    ({ topic, partitions }) => topic === log.topic && partitions.includes(log.partition),
  )
}

function ignored(): void {
  // Its record, where there is one, decided another transaction: nothing waits for this marker.
}
