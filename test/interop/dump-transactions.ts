/**
 * What DumpLogSegments prints of transactions, as data: markers and the producers of batches in
 * .log files, .txnindex files, .snapshot files, and the coordinator's log.
 */

/** A batch, with what it says of its producer. */
export interface DumpedProducerBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly lastSequence: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly isValid: boolean
}

/** A commit or abort marker. */
export interface DumpedMarker {
  readonly offset: number
  readonly outcome: string
}

/** An entry of a .txnindex file. */
export interface DumpedAborted {
  readonly producerId: number
  readonly firstOffset: number
  readonly lastOffset: number
  readonly lastStableOffset: number
}

/** An entry of a .snapshot file. */
export interface DumpedProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly isOpen: boolean
  /** Of its last batch; null where there is none left. */
  readonly lastOffset: number | null
  readonly lastSequence: number | null
}

/** A record of the coordinator. */
export interface DumpedTransaction {
  readonly transactionalId: string
  /** Null where the id was taken back. */
  readonly status: number | null
  readonly producerId: number
  readonly producerEpoch: number
  /** As `orders-0`. */
  readonly folders: readonly string[]
}

/** Batches in the dump of .log files. */
export function producerBatches(printed: string): readonly DumpedProducerBatch[] {
  const fields = linesOf(printed, 'baseOffset:').map(fieldsOf)
  return fields.map((of) => ({
    baseOffset: Number(of['baseOffset']),
    lastOffset: Number(of['lastOffset']),
    lastSequence: Number(of['lastSequence']),
    producerId: Number(of['producerId']),
    producerEpoch: Number(of['producerEpoch']),
    isTransactional: of['isTransactional'] === 'true',
    isControl: of['isControl'] === 'true',
    isValid: of['isvalid'] === 'true',
  }))
}

/** Markers in the dump of .log files, which was deep. */
export function markersIn(printed: string): readonly DumpedMarker[] {
  return printed.split('\n').flatMap((line) => {
    const found = /^\| offset: (\d+) .* endTxnMarker: (\w+) coordinatorEpoch: \d+$/.exec(line)
    return found === null ? [] : [{ offset: Number(found[1]), outcome: found[2] ?? '' }]
  })
}

/** Entries in the dump of .txnindex files. */
export function abortedTransactions(printed: string): readonly DumpedAborted[] {
  return linesOf(printed, 'version: 0 ').map((line) => {
    const of = fieldsOf(line)
    return {
      producerId: Number(of['producerId']),
      firstOffset: Number(of['firstOffset']),
      lastOffset: Number(of['lastOffset']),
      lastStableOffset: Number(of['lastStableOffset']),
    }
  })
}

/** Entries in the dump of a .snapshot file. */
export function snapshotProducers(printed: string): readonly DumpedProducer[] {
  return linesOf(printed, 'producerId:').map((line) => {
    const of = fieldsOf(line)
    const numberOf = (name: string): number | null =>
      of[name] === undefined ? null : Number(of[name])
    return {
      producerId: Number(of['producerId']),
      producerEpoch: Number(of['producerEpoch']),
      isOpen: of['currentTxnFirstOffset'] !== 'OptionalLong.empty',
      lastOffset: numberOf('lastOffset'),
      lastSequence: numberOf('lastSequence'),
    }
  })
}

/** Records in the dump of the coordinator's log, in order. */
export function coordinatorRecords(printed: string): readonly DumpedTransaction[] {
  interface Key {
    readonly data: { readonly transactionalId: string }
  }
  interface Value {
    readonly data: {
      readonly producerId: number
      readonly producerEpoch: number
      readonly transactionStatus: number
      readonly transactionPartitions:
        | readonly { readonly topic: string; readonly partitionIds: readonly number[] }[]
        | null
    }
  }
  return linesOf(printed, '| offset:').map((line) => {
    const [, key = '', value = ''] = /key: (\{.*?\}) payload: (.*)$/.exec(line) ?? []
    // As Kafka's converters print them.
    const { transactionalId } = (JSON.parse(key) as Key).data
    const data = value.startsWith('{') ? (JSON.parse(value) as Value).data : undefined
    return {
      transactionalId,
      status: data?.transactionStatus ?? null,
      producerId: data?.producerId ?? -1,
      producerEpoch: data?.producerEpoch ?? -1,
      folders: (data?.transactionPartitions ?? []).flatMap(({ topic, partitionIds }) =>
        partitionIds.map((partition) => `${topic}-${partition}`),
      ),
    }
  })
}

function linesOf(printed: string, start: string): readonly string[] {
  return printed.split('\n').filter((line) => line.startsWith(start))
}

/** Pairs of a name with a colon and a word. */
function fieldsOf(line: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Array.from(line.matchAll(/(\w+): (\S+)/g), ([, name = '', word = '']) => [name, word] as const),
  )
}
