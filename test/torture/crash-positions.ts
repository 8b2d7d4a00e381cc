/**
 * What the parent of the crash tests knows of the positions that a group committed.
 *
 *   certain  what the next open finds at least: after a kill the last commit that was acknowledged,
 *            after a loss of power the last that was said to be durable
 *   later    commits after that, in order: any of them may be found instead, for none overtakes
 *            another
 *
 *   I1  a position is never behind the end of the log: one whose data was lost is moved back to it,
 *       and told; never one that is certain
 */
import type { LifeReport, PositionsReport } from './crash-report.ts'

type Of<Kind extends LifeReport['is']> = Extract<LifeReport, { readonly is: Kind }>

interface Commit {
  readonly offset: number
  isStored: boolean
  isDurable: boolean
}

/** The positions of one group, by partition. */
export class CrashPositions {
  readonly #commits = new Map<string, Commit[]>()

  committing({ name, offset }: Of<'committing'>): void {
    const commits = this.#commits.get(name) ?? []
    this.#commits.set(name, [...commits, { offset, isStored: false, isDurable: false }])
  }

  committed({ name, isDurable }: Of<'committed'>): void {
    for (const commit of this.#commits.get(name) ?? []) {
      commit.isStored = true
      commit.isDurable ||= isDurable
    }
  }

  /** @throws where an open found other positions than it may. */
  found(
    { found, moved }: PositionsReport,
    loss: 'kill' | 'power loss',
    endOf: (name: string) => number,
  ): void {
    for (const name of Object.keys(found)) {
      check(this.#commits.has(name), `${name}: a position that nobody committed`)
    }
    for (const [name, commits] of this.#commits) {
      const isKept = (one: Commit): boolean => (loss === 'kill' ? one.isStored : one.isDurable)
      const certain = commits.findLastIndex(isKept)
      const allowed = commits.slice(Math.max(certain, 0)).map(({ offset }) => offset)
      const offset = found[name]
      const move = moved.find(([of]) => of === name)
      const committed = move?.[1] ?? offset
      const where = `${name}: position ${offset}, committed ${committed}`
      if (committed === undefined) {
        check(certain < 0, `${where}: lost, ${commits[certain]?.offset} was certain`)
        this.#commits.delete(name)
        continue
      }
      check(allowed.includes(committed), `${where}: not one of ${allowed.join(', ')}`)
      check(offset !== undefined && offset <= endOf(name), `${where}: beyond ${endOf(name)}`)
      const isCertain = certain >= 0 && committed === commits[certain]?.offset
      check(move === undefined || !isCertain, `${where}: moved, though it was certain`)
      check(move === undefined || offset === move[2], `${where}: moved to ${move?.[2]}`)
      this.#commits.set(name, [{ offset: offset ?? 0, isStored: true, isDurable: true }])
    }
  }
}

function check(isRight: boolean, message: string): void {
  if (!isRight) throw new Error(message)
}
