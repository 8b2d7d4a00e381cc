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
  const decisions = decisionsIn(states)
  const touched: PartitionLog[] = []
  for (const log of partitions) {
    const open = [...log.producers.open()]
    if (open.length > 0) touched.push(log)
    for (const one of open) {
      const { producerId } = one
      const decision = decisions.get(producerId)
      if (decision !== undefined && isDecided(decision, one, log)) {
        const { name, state } = decision
        const { producerEpoch } = state
        const coordinatorEpoch = parts.log.coordinatorEpoch(name)
        const marker = { producerId, producerEpoch, outcome: 'commit', coordinatorEpoch } as const
        parts.markers.write({ ...marker, ...whereTo(log, markerDue(name)) })
      } else {
        const { producerEpoch } = one
        const coordinatorEpoch = 0 // Whose it was is not known.
        const marker = { producerId, producerEpoch, outcome: 'abort', coordinatorEpoch } as const
        parts.markers.write({ ...marker, ...whereTo(log, () => undefined) })
      }
    }
  }
  return touched
}

interface Decision {
  readonly name: string
  readonly state: StoredTransactionState
}

/** By producer id. */
function decisionsIn(
  states: ReadonlyMap<string, StoredTransactionState>,
): ReadonlyMap<number, Decision> {
  const decisions = new Map<number, Decision>()
  for (const [name, state] of states) {
    if (state.status === 'PrepareCommit') decisions.set(state.producerId, { name, state })
  }
  return decisions
}

/** I1. */
function isDecided(
  { state }: Decision,
  { producerEpoch }: OpenTransactionState,
  log: PartitionLog,
): boolean {
  const bump = state.clientTransactionVersion >= BUMPING_CLIENT_VERSION ? 1 : 0
  if (state.producerEpoch !== producerEpoch + bump) return false
  return (state.topics ?? []).some(
    ({ topic, partitions }) => topic === log.topic && partitions.includes(log.partition),
  )
}

function whereTo(
  log: PartitionLog,
  written: Written,
): {
  readonly log: PartitionLog
  readonly isReserved: false
  readonly written: (offset: number | undefined) => void
} {
  return {
    log,
    isReserved: false,
    written: (offset) => written(offset === undefined ? undefined : { log, offset: offset + 1 }),
  }
}
