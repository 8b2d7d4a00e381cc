/**
 * What a user gives a transaction to commit: what was handed over to it, or positions of a group.
 * Whose they are and whether they may be committed is checked here, at the call, and by `check` of
 * what is returned again, right before they are appended (log/staged-offsets.ts).
 */
import { invalidArgument } from '../errors/log-error.ts'
import type { CommittedOffsets, TransactionOffsets } from '../log/committed-offsets.ts'
import { describeValue } from './check-options.ts'
import type { Coverage, Covered, CoveredGroup } from './groups/coverage.ts'
import { givenOffsets } from './groups/given-offsets.ts'

const WHERE = 'transaction.commitOffsets'

/**
 * The positions behind what a consumer, a batch or the context of a handler stands for; from now on
 * nothing but the transaction commits them. `offsets` are those of the transaction's log.
 * @throws {LogError} INVALID_ARGUMENT for anything else, and for the context of a run that is
 *   ordered by key; REBALANCED where the partition is not the member's any more; CLOSED; FENCED.
 */
export function deliveredOffsets(
  delivered: unknown,
  offsets: CommittedOffsets,
): TransactionOffsets {
  if (isCovered(delivered)) return ofThisLog(delivered.coveredOffsets(), offsets)
  throw invalidArgument(
    `${WHERE} takes a consumer, a batch or the context of a handler, or a group and offsets, not ` +
      describeValue(delivered),
    { value: delivered },
  )
}

/**
 * These positions of a group. The topic of committed offsets may be missing: it is made before they
 * are staged.
 * @throws {LogError} INVALID_ARGUMENT for what is no group, or no offsets; REBALANCED where the
 *   group has members, and none of them has the partition; OFFSET_OUT_OF_RANGE, TOPIC_NOT_FOUND,
 *   PARTITION_NOT_FOUND.
 */
export function givenGroupOffsets(
  group: unknown,
  given: unknown,
  offsets: CommittedOffsets,
): TransactionOffsets {
  if (isGroup(group)) return ofThisLog(group.coverGiven(givenOffsets(given, WHERE)), offsets)
  throw invalidArgument(
    `${WHERE} takes offsets of a consumer group, not of ${describeValue(group)}`,
    { value: group },
  )
}

function ofThisLog(coverage: Coverage, offsets: CommittedOffsets): TransactionOffsets {
  if (coverage.offsets === offsets) return coverage
  throw invalidArgument(
    `${WHERE}: group ${coverage.groupId} is of another log: a transaction is of one log, with all ` +
      'that it commits',
    { group: coverage.groupId },
  )
}

function isCovered(value: unknown): value is Covered {
  return typeof value === 'object' && value !== null && 'coveredOffsets' in value
}

function isGroup(value: unknown): value is CoveredGroup {
  return typeof value === 'object' && value !== null && 'coverGiven' in value
}
