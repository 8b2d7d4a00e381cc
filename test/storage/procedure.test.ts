/** Procedures: one text for a driver that has to be waited for and one that has not. */
import { describe, expect, it } from 'vitest'
import {
  completeProcedure,
  type Procedure,
  ProcedureQueue,
  performProcedure,
  runProcedure,
  sideBySide,
} from '../../src/storage/procedure.ts'

function* counting(steps: string[], name: string, turns: number): Procedure<string> {
  for (let turn = 0; turn < turns; turn++) {
    steps.push(`${name}${turn}`)
    yield () => new Promise((resolve) => setImmediate(resolve))
  }
  return name
}

describe('a procedure', () => {
  it('does the same steps with its waits and without them', async () => {
    const [waited, unwaited]: [string[], string[]] = [[], []]
    expect(await runProcedure(counting(waited, 'a', 3))).toBe('a')
    expect(completeProcedure(counting(unwaited, 'a', 3))).toBe('a')
    expect(unwaited).toEqual(waited)
  })

  it('meets the failure of a wait at its yield, and may go on', async () => {
    function* failing(): Procedure<string> {
      try {
        yield () => Promise.reject(new Error('no device'))
      } catch (error) {
        yield () => Promise.resolve()
        return String(error)
      }
      return 'unreached'
    }
    expect(await runProcedure(failing())).toBe('Error: no device')
  })

  it('in a queue begins when those before it are over, whether they failed or not', async () => {
    const steps: string[] = []
    const queue = new ProcedureQueue()
    const first = queue.run(() => counting(steps, 'a', 2))
    const failing = queue.run(() => {
      steps.push('b')
      throw new Error('refused')
    })
    const last = queue.run(() => counting(steps, 'c', 2))
    await expect(failing).rejects.toThrow('refused')
    expect([await first, await last]).toEqual(['a', 'c'])
    expect(steps).toEqual(['a0', 'a1', 'b', 'c0', 'c1'])
  })
})

describe('procedures side by side', () => {
  it('step in turns, so many at once, and give their results in order', async () => {
    const steps: string[] = []
    const all = ['a', 'b', 'c'].map((name, index) => counting(steps, name, 3 - index))
    expect(await runProcedure(sideBySide(all, 2))).toEqual(['a', 'b', 'c'])
    expect(steps).toEqual(['a0', 'b0', 'a1', 'b1', 'a2', 'c0'])
  })

  it('do the same steps where nothing is waited for', () => {
    const [unwaited, performed]: [string[], string[]] = [[], []]
    const all = (steps: string[]): Procedure<string>[] =>
      ['a', 'b', 'c'].map((name, index) => counting(steps, name, index))
    expect(completeProcedure(sideBySide(all(unwaited), 2))).toEqual(['a', 'b', 'c'])
    expect(performProcedure(sideBySide(all(performed), 2))).toEqual(['a', 'b', 'c'])
    expect(performed).toEqual(unwaited)
  })

  it('wait together', async () => {
    let [now, most] = [0, 0]
    function* waiting(): Procedure<void> {
      yield async () => {
        most = Math.max(most, ++now)
        await new Promise((resolve) => setImmediate(resolve))
        now -= 1
      }
    }
    await runProcedure(sideBySide(Array.from({ length: 9 }, waiting), 4))
    expect([now, most]).toEqual([0, 4])
  })

  it('end with the failure of one, when no other waits, and every one gives back what it has', async () => {
    const given: string[] = []
    let isWaiting = false
    function* holding(name: string): Procedure<void> {
      try {
        yield () => (name === 'bad' ? Promise.reject(new Error(name)) : slow())
        yield () => Promise.resolve()
      } finally {
        given.push(`${name}${isWaiting ? ' too early' : ''}`)
      }
    }
    const slow = async (): Promise<void> => {
      isWaiting = true
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
      isWaiting = false
    }
    const begun = sideBySide(['one', 'bad', 'two', 'never begun'].map(holding), 3)
    await expect(runProcedure(begun)).rejects.toThrow('bad')
    expect(given.toSorted()).toEqual(['bad', 'one', 'two'])
  })

  it('let one of them handle the failure of its own wait', async () => {
    function* careful(): Procedure<string> {
      try {
        yield () => Promise.reject(new Error('no device'))
      } catch (error) {
        return String(error)
      }
      return 'unreached'
    }
    const both = sideBySide([careful(), counting([], 'b', 1)], 2)
    expect(await runProcedure(both)).toEqual(['Error: no device', 'b'])
  })
})
