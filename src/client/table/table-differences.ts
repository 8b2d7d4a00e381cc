/**
 * What changes for the listeners of a table that was loaded anew: keys that are gone, and those
 * whose
 * value is not what it was. What is the same is not told again.
 */
import type { TableEntries } from './table-entries.ts'
import type { TableListeners } from './table-listeners.ts'

/** Notes what differs between what a table shows and what it will. */
export function noteDifferences(
  shown: TableEntries,
  next: TableEntries,
  listeners: TableListeners,
): void {
  if (!listeners.hasAny) return
  for (let number = 0; number < shown.numberCount; number++) {
    if (!shown.turnTo(number)) continue
    if (!next.turnToKey(shown.buffer, shown.keyStart, shown.keyEnd)) listeners.noteGone(shown)
  }
  for (let number = 0; number < next.numberCount; number++) {
    if (!next.turnTo(number)) continue
    const isKnown = shown.turnToKey(next.buffer, next.keyStart, next.keyEnd)
    if (!isKnown || !hasSameValue(shown, next)) listeners.notePut(next)
  }
}

function hasSameValue(a: TableEntries, b: TableEntries): boolean {
  return a.buffer.compare(b.buffer, b.valueStart, b.valueEnd, a.valueStart, a.valueEnd) === 0
}
