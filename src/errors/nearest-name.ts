/**
 * nearestName: the known name that a mistyped one most likely meant, for error messages.
 *
 * Case, dots, dashes and underscores do not count, so that Kafka's `retention.ms` finds
 * `retentionMs`. What is left is compared by edits (insert, delete, replace, swap neighbours); a
 * common beginning counts for half an edit a letter, since users get endings wrong (`batchSize`
 * for `batchBytes`). Pure, and run only when something is refused anyway.
 */

/** More of a name than this tells nothing, and the comparison is quadratic. */
const MAX_COMPARED_LETTERS = 64

/** The nearest of `known`, the first of several equally near; undefined where none is known. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = lettersOf(name)
  let nearest: string | undefined
  let leastDistance = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const letters = lettersOf(candidate)
    const distance = editCount(wanted, letters) - commonBeginning(wanted, letters) / 2
    if (distance < leastDistance) {
      leastDistance = distance
      nearest = candidate
    }
  }
  return nearest
}

function lettersOf(name: string): string {
  return name
    .slice(0, MAX_COMPARED_LETTERS)
    .toLowerCase()
    .replace(/[\s._-]/g, '')
}

function commonBeginning(left: string, right: string): number {
  let length = 0
  while (length < left.length && left[length] === right[length]) length += 1
  return length
}

/** Edits that turn `from` into `to`, a swap of neighbours counted as one. Row by row. */
function editCount(from: string, to: string): number {
  let beforeLast: readonly number[] = []
  let last: readonly number[] = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1]
      let count = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
      )
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (swapped && row > 1 && column > 1) count = Math.min(count, at(beforeLast, column - 2) + 1)
      current.push(count)
    }
    beforeLast = last
    last = current
  }
  return at(last, to.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY
}
