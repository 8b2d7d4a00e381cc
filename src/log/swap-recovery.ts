/**
 * Settles a partition's folder in which a swap of segments was under way, before anybody asks which
 * segments there are: as swap-plan.ts says, so that none is there twice and none is missing.
 *
 *   I1  the names of what a swap replaces are gone for good before its .log gets its own
 *   I2  old segments have their names back, for good, before the .log.swap that is not to be
 *       trusted gets another: without it nobody would look for them
 *   I3  of files that go the .log goes last: what is left must not take another for its own
 * A stop at any call leaves what the next plan goes on with.
 */
import {
  parsePassingFileName,
  parseSegmentFileName,
  segmentFileName,
  type SegmentSuffix,
} from '../format/segment-name.ts'
import type { Procedure } from '../storage/procedure.ts'
import type { FoundFlaw } from './damage-list.ts'
import { salvagedName } from './segment-rewrite.ts'
import {
  hasSwapFiles,
  type NamedSegment,
  planSwaps,
  type SwapFolder,
  type SwapStep,
} from './swap-plan.ts'

const INDEXES: readonly SegmentSuffix[] = ['.index', '.timeindex', '.txnindex']
/** I3. */
const FILES: readonly SegmentSuffix[] = [...INDEXES, '.log']

/** A folder without a swap. */
export interface SettledFolder {
  /** The names in it. */
  readonly names: readonly string[]
  /** Swaps that were not what had been written: the old segments are there. */
  readonly flaws: readonly FoundFlaw[]
}

/**
 * Brings every swap in the folder to its end, or undoes it, durably.
 * @throws {LogError} IO or NO_SPACE: it may be called again.
 */
export function* completeSwaps(folder: SwapFolder): Procedure<SettledFolder> {
  const { driver, directory } = folder
  const names = driver.list(directory)
  if (!hasSwapFiles(names)) return { names, flaws: [] }
  return yield* new SwapRecovery(folder, names).run()
}

class SwapRecovery {
  readonly #folder: SwapFolder
  readonly #names: readonly string[]
  readonly #flaws: FoundFlaw[] = []

  constructor(folder: SwapFolder, names: readonly string[]) {
    this.#folder = folder
    this.#names = names
  }

  *run(): Procedure<SettledFolder> {
    const { driver, directory } = this.#folder
    const { steps, leftovers } = yield* planSwaps(this.#folder, this.#names)
    for (const step of steps) yield* this.#perform(step)
    yield* this.#remove(leftovers)
    return { names: driver.list(directory), flaws: this.#flaws }
  }

  *#perform(step: SwapStep): Procedure<void> {
    switch (step.kind) {
      case 'drop':
        return yield* this.#remove(this.#swapNames(step.baseOffset))
      case 'finish':
        return yield* this.#finish(step.baseOffset)
      case 'complete':
        return yield* this.#complete(step.baseOffset, step.nextOffset)
      case 'undo':
        return yield* this.#undo(step.baseOffset, step.restored)
    }
  }

  *#complete(baseOffset: number, nextOffset: number): Procedure<void> {
    const isOldThere = this.#exists(segmentFileName(baseOffset, '.log'))
    for (const name of this.#oldNames(baseOffset, nextOffset)) {
      const isOfNew = name.startsWith(segmentFileName(baseOffset, '.log').slice(0, -3))
      // Without the old .log, an index that is there once is the new one's.
      if (isOfNew && !isOldThere && !this.#exists(`${name}.swap`)) continue
      yield* this.#unlink(name)
    }
    yield* this.#flush() // I1
    yield* this.#finish(baseOffset)
    const log = segmentFileName(baseOffset, '.log')
    this.#rename(`${log}.swap`, log)
    yield* this.#flush()
  }

  /** Indexes of a segment get their names, where these are free. */
  *#finish(baseOffset: number): Procedure<void> {
    for (const suffix of INDEXES) {
      const name = segmentFileName(baseOffset, suffix)
      if (!this.#exists(`${name}.swap`)) continue
      if (this.#exists(name)) yield* this.#unlink(`${name}.swap`)
      else this.#rename(`${name}.swap`, name)
    }
    yield* this.#flush()
  }

  *#undo(baseOffset: number, restored: readonly NamedSegment[]): Procedure<void> {
    for (const { baseOffset: base, ending } of restored) {
      for (const suffix of FILES) {
        const name = segmentFileName(base, suffix)
        const from = suffix === '.log' ? name + ending : this.#newestRemoved(name)
        if (from !== undefined && !this.#exists(name)) this.#rename(from, name)
      }
    }
    yield* this.#flush() // I2
    const log = `${segmentFileName(baseOffset, '.log')}.swap`
    const { driver } = this.#folder
    const file = this.#path(log)
    const bytes = driver.status(file)?.sizeBytes ?? 0
    this.#flaws.push({ file, position: 0, bytes, reason: 'it is not what was written' })
    yield* this.#remove(this.#swapNames(baseOffset).filter((name) => name !== log))
    driver.rename(file, salvagedName(driver, file))
    yield* this.#flush()
  }

  /** Files of segments that start there or behind it, and below `nextOffset`; I3. */
  #oldNames(baseOffset: number, nextOffset: number): readonly string[] {
    const { driver, directory } = this.#folder
    const names = driver.list(directory).filter((name) => {
      const file = parseSegmentFileName(name)
      const isOfSegment = file !== undefined && file.suffix !== '.snapshot'
      return isOfSegment && file.baseOffset >= baseOffset && file.baseOffset < nextOffset
    })
    const logs = names.filter((name) => name.endsWith('.log'))
    return [...names.filter((name) => !name.endsWith('.log')), ...logs]
  }

  /** What had that name last, of what waits for its removal. */
  #newestRemoved(name: string): string | undefined {
    const { driver, directory } = this.#folder
    let newest: { readonly name: string; readonly copy: number } | undefined
    for (const found of driver.list(directory)) {
      const file = found.startsWith(`${name}.`) ? parsePassingFileName(found) : undefined
      if (file?.state !== 'deleted' || file.copy < (newest?.copy ?? 0)) continue
      newest = { name: found, copy: file.copy }
    }
    return newest?.name
  }

  /** I3. */
  *#remove(names: readonly string[]): Procedure<void> {
    for (const name of names) if (!isLog(name)) yield* this.#unlink(name)
    yield* this.#flush()
    for (const name of names) if (isLog(name)) yield* this.#unlink(name)
    yield* this.#flush()
  }

  #swapNames(baseOffset: number): readonly string[] {
    const names = FILES.map((suffix) => `${segmentFileName(baseOffset, suffix)}.swap`)
    return names.filter((name) => this.#exists(name))
  }

  *#unlink(name: string): Procedure<void> {
    if (!this.#exists(name)) return
    // Begun here, not in the wait: over memory nobody waits (`completeProcedure`).
    const removal = this.#folder.driver.unlink(this.#path(name))
    // Where another partition ends the open, nobody comes to the wait to hear of it.
    removal.catch(() => undefined)
    yield () => removal
  }

  *#flush(): Procedure<void> {
    const { driver, directory } = this.#folder
    yield () => driver.flushDirectory(directory)
  }

  #rename(from: string, to: string): void {
    this.#folder.driver.rename(this.#path(from), this.#path(to))
  }

  #exists(name: string): boolean {
    return this.#folder.driver.status(this.#path(name))?.kind === 'file'
  }

  #path(name: string): string {
    return `${this.#folder.directory}/${name}`
  }
}

function isLog(name: string): boolean {
  return name.includes('.log.')
}
