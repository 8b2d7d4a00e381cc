/**
 * What a log promised so far, as plain values, and what it may come back with (log-history.ts).
 */
import type { PartitionLog } from '../../src/log/partition-log.ts'
import type { ReadRecord } from './open-log.ts'

/** How a log was stopped before it was opened again. */
export type Stop = 'clean' | 'killed' | 'cut'

/** What is known of a partition. */
export interface PartitionModel {
  records: ReadRecord[]
  logStart: number
  logEnd: number
  /** A start that may or may not have become durable. */
  pendingStart: number
  durable: number
  /** Of any batch ever appended. */
  highestEpoch: number
}

/** What is known of a topic. */
export interface TopicModel {
  readonly partitions: readonly PartitionModel[]
}

/** Checks what came back against what may come back, and goes on from there. */
export function takeOver(where: string, log: PartitionLog, model: PartitionModel, how: Stop): void {
  const { logEndOffset, logStartOffset } = log
  if (how === 'killed' && logEndOffset !== Math.max(model.logEnd, logStartOffset))
    throw new Error(`${where}: ends at ${logEndOffset}, not at ${model.logEnd}`)
  if (logEndOffset < model.durable)
    throw new Error(`${where}: durable to ${model.durable}, ends at ${logEndOffset}`)
  if (logEndOffset > Math.max(model.logEnd, model.pendingStart))
    throw new Error(`${where}: invented up to ${logEndOffset}, not ${model.logEnd}`)
  if (logStartOffset !== model.logStart && logStartOffset !== model.pendingStart)
    throw new Error(`${where}: starts at ${logStartOffset}, not at ${model.logStart}`)
  if (log.durableOffset !== logEndOffset)
    throw new Error(`${where}: opened, but durable to ${log.durableOffset} only`)
  if (how !== 'clean' && log.leaderEpoch <= model.highestEpoch && model.records.length > 0)
    throw new Error(`${where}: epoch ${log.leaderEpoch} was used`)
  if (log.leaderEpoch < model.highestEpoch)
    throw new Error(`${where}: epoch fell to ${log.leaderEpoch}`)
  model.logStart = logStartOffset
  model.pendingStart = logStartOffset
  model.logEnd = logEndOffset
  model.durable = logEndOffset
  model.records = model.records.filter((record) => record.offset < logEndOffset)
}

/** A topic without a record. */
export function newTopicModel(partitions: number): TopicModel {
  return {
    partitions: Array.from({ length: partitions }, () => ({
      records: [],
      logStart: 0,
      logEnd: 0,
      pendingStart: 0,
      durable: 0,
      highestEpoch: -1,
    })),
  }
}

/** Throws unless both are the same values. */
export function same(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (a !== b)
    throw new Error(`${what}:\n  is        ${a.slice(0, 600)}\n  should be ${b.slice(0, 600)}`)
}
