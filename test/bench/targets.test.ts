/**
 * What the targets name is there: questions, cases, contestants. Without the peers installed, whose
 * packages are loaded where something is measured.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { sourceOf } from '../../bench/page/chapters.ts'
import { questions } from '../../bench/questions.ts'
import { BEST_PEER, targets, type Goal } from '../../bench/targets.ts'
import { CHECKOUT } from '../support/source-text.ts'

/** Contestants by the names of their cases, of quick runs and full ones. */
function casesOf(name: string): ReadonlyMap<string, readonly string[]> {
  const question = questions.find((one) => one.name === name)
  const cases = [true, false].flatMap((quick) => question?.cases({ quick }) ?? [])
  return new Map(cases.map((one) => [one.name, one.contestants.map((who) => who.name)]))
}

/** What of a goal does not exist, in words. */
function missingOf({ question, cases, ours, against }: Goal): readonly string[] {
  const found = casesOf(question)
  if (found.size === 0) return [`no question ${question}`]
  // A question whose tools are not there has one case with nobody in it.
  if ([...found.values()].every((names) => names.length === 0)) return []
  const places = against?.case === undefined ? cases : [...cases, against.case]
  return places.flatMap((name) => {
    const contestants = found.get(name)
    if (contestants === undefined) return [`no case ${name} of ${question}`]
    return [ours, against?.contestant ?? BEST_PEER]
      .filter((who) => who !== BEST_PEER && !contestants.includes(who))
      .map((who) => `nobody called ${who} in ${name} of ${question}`)
  })
}

describe('the targets', () => {
  it('name questions, cases and contestants that are measured', () => {
    expect(targets.flatMap(({ goals }) => goals.flatMap((goal) => missingOf(goal)))).toEqual([])
  })

  it('can all be measured by a quick run, or by a case that stands in', () => {
    const goals = targets.flatMap((target) => target.goals)
    const left = goals.filter(({ question, cases }) => {
      const asked = questions.find((one) => one.name === question)?.cases({ quick: true }) ?? []
      const isThere = asked.some(({ name }) => cases.includes(name))
      return !isThere && asked.some(({ contestants }) => contestants.length > 0)
    })
    expect(left.map(({ says }) => says)).toEqual(['10 GiB: ≤ 50 ms'])
  })
})

describe('the questions', () => {
  it('are in the files that the page links to', () => {
    const missing = questions.filter(
      ({ name }) => !existsSync(join(CHECKOUT, 'bench', sourceOf(name))),
    )
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  it('have names that tell them apart, as do their cases and contestants', () => {
    const unique = (names: readonly string[], where: string): void => {
      expect([...new Set(names)], where).toEqual(names)
    }
    unique(
      questions.map(({ name }) => name),
      'questions',
    )
    for (const { name, cases } of questions)
      for (const quick of [true, false]) {
        const asked = cases({ quick })
        unique(
          asked.map((one) => one.name),
          name,
        )
        for (const one of asked)
          unique(
            one.contestants.map((who) => who.name),
            `${name}: ${one.name}`,
          )
      }
  })
})
