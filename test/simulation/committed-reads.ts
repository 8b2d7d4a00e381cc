/**
 * What readers of what is committed have to show of a partition: every record of no transaction and
 * of those that were committed, none of the others, up to the last stable offset.
 */
import type { Stage } from './actor.ts'
import type { PartitionModel } from './partition-model.ts'
import { must } from './simulation-failure.ts'

/** What a reader showed of a range. */
export interface ShownRange {
  readonly from: number
  /** Up to here, and not including it. */
  readonly to: number
  readonly shown: ReadonlySet<number>
  /** It shows only what is on stable storage. */
  readonly isDurable: boolean
}

/** Reads what is committed from an offset on, and holds it against what everybody knows. */
export function readCommitted(
  stage: Stage,
  how: string,
  partition: PartitionModel,
  from: number,
): void {
  const what = `${how}: what is committed of ${partition.name}`
  const shown = new Set<number>()
  const first = Math.max(from, partition.logStart)
  const to = partition.handle.lastStableOffset
  const visited = stage.life.now(
    () =>
      partition.handle.scan(({ offset }) => void shown.add(offset), {
        from: first,
        isolation: 'read_committed',
      }),
    { what },
  )
  if (visited === undefined) return
  stage.count('read', visited)
  for (const offset of shown) must(offset < to, () => `${what}: ${offset} is not stable`)
  pass(stage, what, partition, { from: first, to, shown, isDurable: false })
}

/** Every record of the range was shown, or was not to be shown. */
export function pass(
  { book }: Stage,
  what: string,
  partition: PartitionModel,
  { from, to, shown, isDurable }: ShownRange,
): void {
  for (let offset = from; offset < to; offset++) {
    const id = partition.ids[offset] ?? -1
    const isShown = shown.has(offset)
    if (id < 0) {
      must(!isShown, () => `${what}: shows ${offset}, where no record is`)
      continue
    }
    const { transaction } = book.of(id)
    if (transaction !== null) transaction.met(`${what}: ${offset}`, isShown, isDurable)
    else must(isShown, () => `${what}: passes over ${offset}`)
  }
}

/** The first offset from `from` on that a reader of what is committed has to show. */
export function nextCommitted({ book }: Stage, partition: PartitionModel, from: number): number {
  let at = Math.max(from, partition.logStart)
  for (; at < partition.ids.length; at++) {
    const id = partition.ids[at] ?? -1
    if (id < 0) continue
    const { transaction } = book.of(id)
    if (transaction === null || transaction.outcome === 'committed') break
  }
  return at
}
