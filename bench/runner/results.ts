/**
 * Results: what runs measured, in a file each, below bench/results. Every round is kept, because
 * medians and ratios can be made from rounds but not the other way round.
 *
 *   2026-11-22T06-10-04Z-quick.json   when it began, how much it measured
 *
 * A run is written after each question, so one that ends early leaves what it has. Of the runs that
 * asked a question the newest counts, of a full one before a quick one.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import type { Question } from './question.ts'
import type { Answer } from './rounds.ts'

/** What was answered to one case. */
export interface CaseResult {
  readonly name: string
  readonly answers: readonly Answer[]
}

/** What was answered to one question. */
export interface QuestionResult {
  readonly question: string
  readonly asks: string
  readonly answer: Question['answer']
  readonly cases: readonly CaseResult[]
  /** Why cases are missing. */
  readonly failed?: string
}

/** How and where something was measured. */
export interface Conditions {
  readonly startedAt: string
  readonly scale: 'quick' | 'full'
  readonly roundCount: number
  readonly machine: Machine
}

/** One run. */
export interface Run extends Conditions {
  readonly results: readonly QuestionResult[]
}

/** A question with the conditions that it was answered under. */
export interface Answered {
  readonly result: QuestionResult
  readonly conditions: Conditions
}

/** Writes a run, in the place of what was written of it before. */
export function saveRun(run: Run, directory: string): string {
  const name = `${run.startedAt.replace(/\.\d+/, '').replaceAll(':', '-')}-${run.scale}.json`
  mkdirSync(directory, { recursive: true })
  const path = join(directory, name)
  writeFileSync(`${path}.new`, textOf(run))
  renameSync(`${path}.new`, path)
  return path
}

/** All runs that were saved in a directory, the oldest first. */
export function readRuns(directory: string): readonly Run[] {
  const names = existsSync(directory) ? readdirSync(directory) : []
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as Run) // By saveRun.
    .toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
}

/** The result that counts of each question, by its name. */
export function newestOf(runs: readonly Run[]): ReadonlyMap<string, Answered> {
  const newest = new Map<string, Answered>()
  for (const { results, ...conditions } of runs) {
    for (const result of results) {
      const before = newest.get(result.question)?.conditions
      if (before?.scale === 'full' && conditions.scale === 'quick') continue
      newest.set(result.question, { result, conditions })
    }
  }
  return newest
}

/** A line for each round: changes of one result are seen as such, and the file stays small. */
function textOf(run: Run): string {
  const lines: string[] = []
  const marked = JSON.stringify(
    run,
    (key: string, value: unknown) => {
      if (key !== 'rounds' || !Array.isArray(value)) return value
      return value.map((round) => `@${lines.push(JSON.stringify(round)) - 1}@`)
    },
    1,
  )
  return `${marked.replaceAll(/"@(\d+)@"/g, (_, line: string) => lines[Number(line)] ?? '')}\n`
}
