/**
 * Runs that nobody measured: what the tests of statistics, verdicts and the page are fed with.
 */
import type { Measurement, Role } from '../../bench/runner/question.ts'
import type { CaseResult, QuestionResult, Run } from '../../bench/runner/results.ts'
import type { Answer } from '../../bench/runner/rounds.ts'

/** A measurement of 1,000 records of 116 B that took `wallMs`. */
export function took(wallMs: number, more: Partial<Measurement> = {}): Measurement {
  const times = { wallNs: wallMs * 1e6, userNs: wallMs * 5e5, systemNs: wallMs * 1e5 }
  return { recordCount: 1_000, byteCount: 116_000, ...times, ...more }
}

/** What a contestant answered: a round for each of `rounds`, in milliseconds. */
export function answer(name: string, role: Role, ...rounds: readonly number[]): Answer {
  return { name, role, rounds: rounds.map((wallMs) => took(wallMs)) }
}

/** A question of throughput, unless said otherwise. */
export function question(
  name: string,
  cases: readonly CaseResult[],
  kind: QuestionResult['answer'] = 'throughput',
): QuestionResult {
  return { question: name, asks: `how fast ${name} is`, answer: kind, cases }
}

/** A run of these questions; full unless said otherwise. */
export function madeRun(
  startedAt: string,
  results: readonly QuestionResult[],
  scale: Run['scale'] = 'full',
): Run {
  const machine = {
    cpu: 'A processor',
    cores: 2,
    memoryGiB: 8,
    system: 'linux 6.1.0 x64',
    node: 'v20.20.2',
    fileSystem: 'ext4',
    commit: 'abc1234',
    peers: { lmdb: '3.5.6' },
    loadBefore: 0.25,
  }
  return { startedAt, scale, roundCount: 3, machine, results }
}
