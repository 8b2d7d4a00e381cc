/** Requests that wait in a queue of procedures together, and are served together. */
import { describe, expect, it } from 'vitest'
import { type Procedure, ProcedureQueue } from '../../src/storage/procedure.ts'
import { SharedProcedure, type SharedRequest } from '../../src/storage/shared-procedure.ts'

class Served {
  readonly queue = new ProcedureQueue()
  /** Keys, by the procedure that served them, and what else ran in between. */
  readonly log: string[] = []
  readonly shared: SharedProcedure<SharedRequest, string>

  constructor(most: number = 10) {
    this.shared = new SharedProcedure(this.queue, most, (requests) => this.#serve(requests))
  }

  ask(key: string, weight: number = 1): Promise<string> {
    return this.shared.run({ key, weight })
  }

  other(name: string): Promise<void> {
    const { log } = this
    return this.queue.run(function* (): Procedure<void> {
      log.push(name)
      yield () => Promise.resolve()
    })
  }

  *#serve(requests: readonly SharedRequest[]): Procedure<readonly PromiseSettledResult<string>[]> {
    this.log.push(requests.map(({ key }) => key).join('+'))
    if (requests.some(({ key }) => key === 'none')) throw new Error('none at all')
    yield () => Promise.resolve()
    return requests.map(({ key }): PromiseSettledResult<string> =>
      key.startsWith('bad')
        ? { status: 'rejected', reason: new Error(key) }
        : { status: 'fulfilled', value: `${key}!` },
    )
  }
}

describe('requests that wait together', () => {
  it('are served by one procedure, each with its own result', async () => {
    const served = new Served()
    const results = await Promise.allSettled(['a', 'bad', 'c'].map((key) => served.ask(key)))
    expect(served.log).toEqual(['a+bad+c'])
    expect(results).toMatchObject([{ value: 'a!' }, { reason: Error('bad') }, { value: 'c!' }])
  })

  it('keep their place among everything else that was asked for', async () => {
    const served = new Served()
    const all = [served.ask('a'), served.ask('b'), served.other('x'), served.ask('c')]
    await Promise.all([...all, served.other('y'), served.ask('d'), served.ask('e')])
    expect(served.log).toEqual(['a+b', 'x', 'c', 'y', 'd+e'])
  })

  it('join nobody who is being served', async () => {
    const served = new Served()
    const first = served.ask('a')
    await Promise.resolve()
    await Promise.resolve()
    expect(served.log).toEqual(['a'])
    await Promise.all([first, served.ask('b'), served.ask('c')])
    expect(served.log).toEqual(['a', 'b+c'])
  })

  it('of the same key are served one after the other', async () => {
    const served = new Served()
    await Promise.all(['a', 'b', 'a', 'b', 'c'].map((key) => served.ask(key)))
    expect(served.log).toEqual(['a+b', 'a+b+c'])
  })

  it('are no more than a procedure may serve, but always one', async () => {
    const served = new Served(5)
    const asked = [served.ask('a', 2), served.ask('b', 3), served.ask('c', 9), served.ask('d', 1)]
    await Promise.all(asked)
    expect(served.log).toEqual(['a+b', 'c', 'd'])
  })

  it('all fail where their procedure does, and nobody after them', async () => {
    const served = new Served()
    const failed = await Promise.allSettled([served.ask('a'), served.ask('none')])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await served.ask('a')).toBe('a!')
  })
})
