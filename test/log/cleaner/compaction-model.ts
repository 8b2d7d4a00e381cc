/**
 * What a compacted partition has to hold, by a list of everything that was ever appended: which
 * records must be there, which may be, which must be gone.
 */
import { latest, type SeenRecord } from './compacting.ts'

interface ModelBatch {
  readonly lastOffset: number
  readonly producerId: number
  outcome: 'none' | 'open' | 'abort' | 'commit'
  /** When a pass may have given it its horizon first. */
  firstPassMs: number
  /** When one has for sure. */
  surePassMs: number
}

interface ModelRecord {
  readonly seen: SeenRecord
  readonly batch: ModelBatch
  state: 'there' | 'may be gone' | 'gone'
}

/** A pass over what lies below `endOffset`. */
export interface ModelPass {
  readonly nowMs: number
  readonly endOffset: number
  readonly deleteRetentionMs: number
  /** It came to its end. */
  readonly isComplete: boolean
}

/** See the file's header. */
export class CompactionModel {
  readonly #records: ModelRecord[] = []
  logStartOffset = 0

  /** A batch was appended. */
  appended(records: readonly SeenRecord[], producerId: number, transactional: boolean): void {
    const lastOffset = records.at(-1)?.offset ?? -1
    const outcome = transactional ? 'open' : 'none'
    const passes = { firstPassMs: Infinity, surePassMs: Infinity }
    const batch: ModelBatch = { lastOffset, producerId, outcome, ...passes }
    for (const seen of records) this.#records.push({ seen, batch, state: 'there' })
  }

  /** The producer's transaction ended. */
  ended(producerId: number, outcome: 'abort' | 'commit'): void {
    for (const { batch } of this.#records) {
      if (batch.producerId === producerId && batch.outcome === 'open') batch.outcome = outcome
    }
  }

  /** A pass went over the log, or over some of it. */
  passed({ nowMs, endOffset, deleteRetentionMs, isComplete }: ModelPass): void {
    const lasts = new Map<string, ModelRecord>()
    const below = this.#records.filter(({ seen }) => seen.offset < endOffset)
    for (const record of below) {
      const { key } = record.seen
      if (key !== null && record.batch.outcome !== 'abort') lasts.set(key, record)
    }
    const isOver = (record: ModelRecord, passMs: number): boolean => {
      const { key, value, offset } = record.seen
      if (record.batch.outcome === 'abort' || offset < this.logStartOffset) return true
      if (key === null) return false
      if (lasts.get(key) !== record) return true
      return value === null && nowMs >= passMs + deleteRetentionMs
    }
    for (const record of below) {
      const { batch } = record
      if (isComplete && isOver(record, batch.surePassMs)) record.state = 'gone'
      else if (record.state === 'there' && isOver(record, batch.firstPassMs)) {
        record.state = 'may be gone'
      }
    }
    for (const { seen, batch, state } of below) {
      if (seen.key === null || seen.value !== null) continue
      batch.firstPassMs = Math.min(batch.firstPassMs, nowMs)
      const isSure = isComplete && state === 'there' && batch.lastOffset < endOffset
      if (isSure) batch.surePassMs = Math.min(batch.surePassMs, nowMs)
    }
  }

  /** What is wrong with what was read; what is gone may not come back. */
  findings(
    read: readonly SeenRecord[],
    readsCommitted: boolean,
    isVisible: (record: SeenRecord) => boolean,
  ): readonly string[] {
    const found: string[] = []
    const byOffset = new Map(read.map((one) => [one.offset, one]))
    const wanted: SeenRecord[] = []
    for (const record of this.#records) {
      const { seen, batch } = record
      const one = byOffset.get(seen.offset)
      byOffset.delete(seen.offset)
      const isAborted = batch.outcome === 'abort'
      const isPassed = seen.offset < this.logStartOffset || !isVisible(seen)
      const isHidden = isPassed || (readsCommitted && isAborted)
      if (!isHidden && !isAborted) wanted.push(seen)
      const shown = JSON.stringify(record)
      if (one === undefined) {
        if (record.state === 'there' && !isHidden) found.push(`lost: ${shown}`)
        if (!isHidden) record.state = 'gone'
      } else if (record.state === 'gone' || isHidden) found.push(`there: ${shown}`)
      else if (JSON.stringify(one) !== JSON.stringify(seen)) found.push(`changed: ${shown}`)
    }
    for (const one of byOffset.values()) found.push(`invented: ${JSON.stringify(one)}`)
    if (!readsCommitted) return found
    const [values, expected] = [latest(read), latest(wanted)]
    for (const key of new Set([...values.keys(), ...expected.keys()])) {
      const [is, was] = [values.get(key), expected.get(key)]
      if (is !== was) found.push(`${key} is ${is}, not ${was}`)
    }
    return found
  }
}
