/**
 * How a case is measured: in rounds, in turn, and what becomes of it when a contestant fails. The
 * processes that measure are replaced by a function.
 */
import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { reasonOf } from '../../bench/runner/failure.ts'
import type { Contestant, Question } from '../../bench/runner/question.ts'
import { answersTo, type Errand, type Sender } from '../../bench/runner/rounds.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { took } from './made-runs.ts'

const asked: Question = { name: 'q', asks: 'nothing', answer: 'time', cases: () => [] }
const contestant = (name: string, more: Partial<Contestant> = {}): Contestant => ({
  name,
  role: 'peer',
  measure: () => Promise.reject(new Error('measured in another process')),
  ...more,
})

/** Answers of a case with these contestants, and the errands that were sent. */
async function measured(
  contestants: readonly Contestant[],
  send: Sender = () => Promise.resolve(JSON.stringify(took(1))),
): Promise<{ answers: Awaited<ReturnType<typeof answersTo>>; errands: readonly Errand[] }> {
  const errands: Errand[] = []
  const directory = temporaryDirectory()
  const progress = (): void => undefined
  const terms = { scale: { quick: true }, roundCount: 3, directory, progress }
  const answers = await answersTo(asked, { name: 'c', contestants }, terms, (errand) => {
    errands.push(errand)
    expect(existsSync(errand.directory)).toBe(true)
    return send(errand)
  })
  expect(readdirSync(directory)).toEqual([])
  return { answers, errands }
}

describe('the rounds of a case', () => {
  it('begin with another contestant each time', async () => {
    const { errands } = await measured([contestant('a'), contestant('b'), contestant('c')])
    expect(errands.map((errand) => errand.contestant).join('')).toBe('abcbcacab')
  })

  it('measure each contestant in a directory of its own', async () => {
    const { errands } = await measured([contestant('a'), contestant('b')])
    expect(new Set(errands.map((errand) => errand.directory)).size).toBe(6)
  })

  it('fill a store once, for all who read it', async () => {
    const store = { name: 'shared', fill: () => Promise.resolve() }
    const { errands } = await measured([contestant('a', { store }), contestant('b', { store })])
    expect(errands.filter(({ fill }) => fill)).toHaveLength(1)
    expect(new Set(errands.map((errand) => errand.directory)).size).toBe(1)
  })

  it('take the last line of what a process printed', async () => {
    const print = `a word of a package\n${JSON.stringify(took(7))}\n`
    const { answers } = await measured([contestant('a')], () => Promise.resolve(print))
    expect(answers[0]?.rounds[0]).toEqual(took(7))
  })
})

describe('a contestant that fails', () => {
  it('is out with what it measured before, and the others go on', async () => {
    let calls = 0
    const { answers } = await measured([contestant('a'), contestant('b')], (errand) => {
      if (errand.contestant === 'a' && (calls += 1) === 2) return Promise.reject(new Error('no'))
      return Promise.resolve(JSON.stringify(took(1)))
    })
    expect(answers).toMatchObject([{ name: 'a', failed: 'no' }, { name: 'b' }])
    expect(answers.map(({ rounds }) => rounds.length)).toEqual([1, 3])
    expect(answers[1]).not.toHaveProperty('failed')
  })

  it('to fill its store leaves the filling to the next one who reads it', async () => {
    const store = { name: 'shared', fill: () => Promise.resolve() }
    const { answers } = await measured(
      [contestant('a', { store }), contestant('b', { store })],
      ({ contestant: name, fill }) =>
        name === 'a' && fill
          ? Promise.reject(new Error('no'))
          : Promise.resolve(JSON.stringify(took(1))),
    )
    expect(answers.map(({ rounds }) => rounds.length)).toEqual([0, 3])
  })

  it('says why in a line, without the paths of the machine', () => {
    const here = process.cwd()
    const stderr = `file://${here}/a.js:7\n\nRangeError: no ${here}/x in /tmp/d\n  at b`
    const error = Object.assign(new Error('Command failed: node'), { stderr })
    expect(reasonOf(error, '/tmp/d')).toBe('RangeError: no ./x in <directory>')
    expect(reasonOf(Object.assign(new Error('x'), { killed: true }), '/')).toBe(
      'did not end in time',
    )
    expect(reasonOf(Object.assign(new Error('x'), { signal: 'SIGSEGV' }), '/')).toBe(
      'ended by SIGSEGV',
    )
  })
})
