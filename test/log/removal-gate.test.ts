/** Who removes files of a log goes through a gate, one at a time. */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { RemovalGate } from '../../src/log/removal-gate.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'

/** A promise that the test settles. */
class Awaited {
  readonly promise: Promise<void>
  resolve: () => void = () => undefined
  reject: (error: unknown) => void = () => undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

function* noting(notes: string[], name: string, wait: Awaited): Procedure<string> {
  notes.push(`${name} begins`)
  yield () => wait.promise
  notes.push(`${name} ends`)
  return name
}

describe('the gate for whoever removes files', () => {
  it('lets one through at a time, in the order in which they asked', async () => {
    const gate = new RemovalGate()
    const notes: string[] = []
    const waits = [new Awaited(), new Awaited(), new Awaited()] as const
    const first = runProcedure(gate.through(() => noting(notes, 'first', waits[0])))
    const second = gate.hold(async () => {
      notes.push('second begins')
      await waits[1].promise
      notes.push('second ends')
    })
    const third = runProcedure(gate.through(() => noting(notes, 'third', waits[2])))
    waits[2].resolve()
    waits[1].resolve()
    await nextTurn()
    expect(notes).toEqual(['first begins'])
    waits[0].resolve()
    expect(await first).toBe('first')
    await second
    expect(await third).toBe('third')
    expect(notes).toEqual([
      ...['first begins', 'first ends', 'second begins', 'second ends'],
      ...['third begins', 'third ends'],
    ])
  })

  it('is open again when whoever held it has failed', async () => {
    const gate = new RemovalGate()
    const wait = new Awaited()
    const failing = runProcedure(gate.through(() => noting([], 'failing', wait)))
    const held = gate.hold(async () => {
      throw new Error('of the work')
    })
    wait.reject(new Error('of the device'))
    await expect(failing).rejects.toThrow('of the device')
    await expect(held).rejects.toThrow('of the work')
    expect(await gate.hold(async () => 'open')).toBe('open')
  })
})
