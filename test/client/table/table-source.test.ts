/**
 * When what a table has read counts for nothing: a log that was cut below it, and compaction that
 * may have taken a tombstone before it was read.
 */
import { describe, expect, it } from 'vitest'
import type { RecordSource } from '../../../src/client/record-source.ts'
import { TableSource } from '../../../src/client/table/table-source.ts'

const RETENTION_MS = 1_000

/** A log of which everything up to `read` was read, at time 0. */
class Log {
  end = 10
  read = 10
  activeBase = 0
  rewriteCount = 0
  readonly cuts: number[] = []
  readonly logStartOffset = 0
  readonly source: TableSource

  constructor() {
    const log = {
      cuts: this.cuts,
      logStartOffset: 0,
      segments: Object.assign([], { active: {} }),
    }
    define(log, 'rewriteCount', () => this.rewriteCount)
    define(log.segments.active, 'baseOffset', () => this.activeBase)
    const source = { log, isDone: false, needsLoad: true }
    define(source, 'nextOffset', () => this.read)
    define(source, 'visibleEnd', () => this.end)
    // `as`: all that is asked of a source.
    this.source = new TableSource(source as unknown as RecordSource, () => undefined, 0)
  }

  isVoid(nowMs: number = 0): boolean {
    return this.source.isVoid(nowMs, RETENTION_MS)
  }
}

function define(target: object, name: string, get: () => number): void {
  Object.defineProperty(target, name, { get })
}

describe('what was read of a partition', () => {
  it('counts where nothing but appends has happened', () => {
    const log = new Log()
    log.end = 20
    log.activeBase = 15
    expect([log.isVoid(), log.isVoid(9 * RETENTION_MS)]).toEqual([false, false])
    expect(log.source.hasMore).toBe(true)
  })

  it.each([
    [9, true],
    [10, false],
    [11, false],
  ])('up to 10 is void where the log was cut at %i: %o', (cut, isVoid) => {
    const log = new Log()
    log.cuts.push(12, cut)
    expect(log.source.isCut).toBe(true)
    expect(log.isVoid()).toBe(isVoid)
    expect([log.source.isCut, log.isVoid()]).toEqual([false, false])
  })

  it('is read on from where the log was cut, where nothing was found behind it before', () => {
    const log = new Log()
    log.source.readTo = 30
    log.cuts.push(10)
    log.end = 12
    expect([log.isVoid(), log.source.hasMore]).toEqual([false, true])
  })

  it('is void where what was not read may have been compacted twice since', () => {
    const log = new Log()
    log.end = 20
    log.activeBase = 15
    log.rewriteCount = 1
    expect(log.isVoid(RETENTION_MS - 1), 'once at most').toBe(false)
    log.rewriteCount = 2
    expect(log.isVoid(RETENTION_MS)).toBe(true)
    expect(log.isVoid(RETENTION_MS), 'it was said').toBe(false)
  })

  it('counts where all of it was read shortly before', () => {
    const log = new Log()
    log.source.note(RETENTION_MS)
    log.end = 20
    log.source.note(2 * RETENTION_MS) // Not all of it.
    log.activeBase = 15
    log.rewriteCount = 2
    expect(log.isVoid(2 * RETENTION_MS - 1)).toBe(false)
    log.rewriteCount = 3
    expect(log.isVoid(2 * RETENTION_MS)).toBe(true)
  })

  it('counts where what was not read is in the active segment, which is not compacted', () => {
    const log = new Log()
    log.end = 20
    log.activeBase = 10
    log.rewriteCount = 2
    expect(log.isVoid(RETENTION_MS)).toBe(false)
  })
})
