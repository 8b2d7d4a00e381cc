/**
 * Damage of every kind to every file of small logs: each byte flipped, each file cut at each
 * length, missing, zeroed, swapped, doubled, replaced by garbage. Opening and reading give what was
 * written or say what is wrong and where, verification agrees with that and changes nothing, repair
 * makes the log sound and loses nothing that could be read.
 *
 * A run tries some of them, always the same ones; a night all (test/support/budget.ts).
 */
import { describe, expect, it } from 'vitest'
import { budget } from '../support/budget.ts'
import { MUTATION_KINDS, mutationsOf, type Mutation } from './mutations.ts'
import { SPECIMENS, type Specimen } from './specimens.ts'
import { ENDINGS, tryDamaged, type Ending } from './trial.ts'

const LONGEST_RUN_MS = 4 * 3_600_000

/** How many damaged logs ended in each way, by kind. */
type Counts = Map<string, Map<Ending, number>>

describe.each(Object.entries(SPECIMENS))('a log that is damaged: %s', (_name, make) => {
  it(
    'gives what was written or says what is wrong, and is sound after its repair',
    async () => {
      const specimen = await make()
      const counts: Counts = new Map()
      const failures: string[] = []
      for (const mutation of sampleOf(specimen)) {
        try {
          count(counts, mutation.kind, await tryDamaged(specimen, damagedBy(specimen, mutation)))
        } catch (error) {
          failures.push(`${mutation.kind} ${mutation.path} ${mutation.what}: ${String(error)}`)
        }
      }
      process.stdout.write(lineOf(specimen, counts))
      expect(failures.slice(0, 20)).toEqual([])
    },
    LONGEST_RUN_MS,
  )
})

/** The same ones in every run: of each kind so many, spread over all there are. */
function* sampleOf(specimen: Specimen): Generator<Mutation> {
  const totals = new Map<string, number>()
  for (const { kind } of mutationsOf(specimen.stored)) totals.set(kind, (totals.get(kind) ?? 0) + 1)
  const seen = new Map<string, number>()
  for (const mutation of mutationsOf(specimen.stored)) {
    const { kind } = mutation
    const index = seen.get(kind) ?? 0
    seen.set(kind, index + 1)
    const stride = Math.max(1, Math.ceil((totals.get(kind) ?? 0) / budget.damagedLogs))
    if (index % stride === 0) yield mutation
  }
}

function damagedBy({ stored }: Specimen, mutation: Mutation): Map<string, Buffer | null> {
  const damaged = new Map(stored)
  mutation.apply(damaged)
  return damaged
}

function count(counts: Counts, kind: string, ending: Ending): void {
  const endings = counts.get(kind) ?? new Map<Ending, number>()
  counts.set(kind, endings.set(ending, (endings.get(ending) ?? 0) + 1))
}

function lineOf({ name }: Specimen, counts: Counts): string {
  const kinds = MUTATION_KINDS.map((kind) => {
    const endings = ENDINGS.map((ending) => [ending, counts.get(kind)?.get(ending)] as const)
    const some = endings.flatMap(([ending, times]) =>
      times === undefined ? [] : `${times} ${ending}`,
    )
    return `  ${kind}: ${some.join(', ')}`
  })
  return [`damaged: ${name}`, ...kinds, ''].join('\n')
}
