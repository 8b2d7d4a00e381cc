/** Procedures: one text for a driver that has to be waited for and one that has not. */
import { describe, expect, it } from 'vitest'
import {
  completeProcedure,
  type Procedure,
  ProcedureQueue,
  runProcedure,
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
