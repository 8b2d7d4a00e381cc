/**
 * FollowedDamage: what is not whole in the active segment of a followed partition although its
 * writer has published it, or synced it once.
 *
 *   | batches | bad | batches that were found behind it |          a whole one follows
 *   | batches | bad                                     |          none does, up to the known end
 *                   ^ `position`, where a search begins anew when more is known to be there
 *
 * It is left where it is for readers to meet, who report it or go on behind it as they were told.
 *   I1  what was admitted stays; the segment ends where the log is known to end
 */
import type { Segment } from '../../storage/segment.ts'
import { completeProcedure } from '../../storage/procedure.ts'
import type { StorageDriver } from '../../storage/storage-driver.ts'
import { BatchWalk } from '../batch-walk.ts'
import { SectorReads } from '../sector-reads.ts'
import type { SegmentList } from '../segment-list.ts'
import type { Tail } from '../tail.ts'

/** Damage that nothing whole was found behind. */
interface OpenEnd {
  readonly segment: Segment
  readonly position: number
  readonly offset: number
  /** How far the log went when nothing was found. */
  readonly limit: number
}

/** See the file's header. */
export class FollowedDamage {
  readonly #driver: StorageDriver
  readonly #segments: SegmentList
  readonly #tail: Tail
  #openEnd: OpenEnd | undefined

  /** Of the last one of `segments`. */
  constructor(driver: StorageDriver, segments: SegmentList, tail: Tail) {
    this.#driver = driver
    this.#segments = segments
    this.#tail = tail
  }

  /** Where more is there than before, behind damage that had no end, the search begins anew. */
  before(limit: number): void {
    const openEnd = this.#openEnd
    if (openEnd === undefined || openEnd.limit === limit) return
    this.#openEnd = undefined
    const { segment, position, offset } = openEnd
    if (this.#segments.active === segment) segment.restoreEnd(position, offset)
  }

  /** Goes on at the next whole batch below `knownEnd`, or says that the segment ends there. */
  pass(knownEnd: number, limit: number): void {
    const { active } = this.#segments
    const { sizeBytes: position, nextOffset: offset, baseOffset } = active
    const fileBytes = this.#driver.status(active.logPath)?.sizeBytes ?? position
    const log = new SectorReads(active)
    const walk = new BatchWalk({ log, baseOffset, fileBytes })
    const search = { position, offset, below: knownEnd, knownEnd }
    const found = completeProcedure(walk.findBatch(search))
    this.#tail.clear()
    active.markDamaged()
    if (found > position) {
      active.skipDamageTo(found)
      return
    }
    this.#openEnd = { segment: active, position, offset, limit }
    active.restoreEnd(Math.max(fileBytes, position + 1), knownEnd)
  }

  /** There is another active segment, or another log. */
  forget(): void {
    this.#openEnd = undefined
  }
}
