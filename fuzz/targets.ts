/**
 * Every target, by name: a parser that is not in this list is not fuzzed.
 */
import type { FuzzTarget } from './fuzz-target.ts'
import {
  batchTarget,
  controlRecordsTarget,
  recordsTarget,
  varintsTarget,
} from './targets/batch-targets.ts'
import { binaryTargets } from './targets/binary-targets.ts'
import { codecTargets, lz4BlockTarget, snappyBlockTarget } from './targets/codec-targets.ts'
import { controlReaderTargets } from './targets/control-reader-targets.ts'
import { jsonTargets } from './targets/json-targets.ts'
import { offsetCommitTarget } from './targets/offset-commit-target.ts'
import { partitionTarget } from './targets/partition-target.ts'
import { textTargets } from './targets/text-targets.ts'
import { transactionStateTarget } from './targets/transaction-state-target.ts'

/** In the order in which they run. */
export const TARGETS: readonly FuzzTarget[] = [
  varintsTarget,
  controlRecordsTarget,
  offsetCommitTarget,
  transactionStateTarget,
  batchTarget,
  recordsTarget,
  lz4BlockTarget,
  snappyBlockTarget,
  ...codecTargets,
  ...binaryTargets,
  ...controlReaderTargets,
  ...textTargets,
  ...jsonTargets,
  partitionTarget,
]

/** The target of that name, which exists. */
export function targetNamed(name: string): FuzzTarget {
  const target = TARGETS.find((candidate) => candidate.name === name)
  if (target === undefined) throw new Error(`no target ${name}`)
  return target
}
