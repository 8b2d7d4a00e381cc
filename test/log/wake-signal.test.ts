/**
 * How the writer of a log wakes readers in other threads, without any log: what wakes, what does
 * not, and that none is missed. Threads of their own wait in test/client/sharing.test.ts.
 */
import { describe, expect, it, onTestFinished } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { SignalledWake, WakeSignal } from '../../src/log/wake-signal.ts'

interface Reader {
  readonly wake: SignalledWake
  wakes: number
  closes: number
}

function readerOf(signal: WakeSignal): Reader {
  const reader: Reader = {
    wake: new SignalledWake(signal.memory, () => (reader.closes += 1)),
    wakes: 0,
    closes: 0,
  }
  onTestFinished(() => reader.wake.release())
  return reader
}

/** What each is told at its start is not counted. */
async function start(...waiting: readonly Reader[]): Promise<void> {
  for (const one of waiting) one.wake.start(() => (one.wakes += 1))
  await settle()
  for (const one of waiting) {
    expect(one.wakes).toBe(1)
    one.wakes = 0
  }
}

/** Long enough for whoever is woken to be told. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await nextTurn()
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn()
}

describe('a publication', () => {
  it('wakes each reader that waits, once for all that came together', async () => {
    const signal = new WakeSignal()
    const readers = [readerOf(signal), readerOf(signal), readerOf(signal)]
    await start(...readers)
    signal.published()
    signal.published()
    await until(() => readers.every(({ wakes }) => wakes > 0))
    await settle()
    expect(readers.map(({ wakes }) => wakes)).toEqual([1, 1, 1])
    signal.published()
    await until(() => readers.every(({ wakes }) => wakes === 2))
  })

  it('wakes nobody who has stopped, and not twice who has started again', async () => {
    const signal = new WakeSignal()
    const one = readerOf(signal)
    for (let time = 0; time < 10; time++) {
      one.wake.start(() => (one.wakes += 1))
      one.wake.stop()
    }
    signal.published()
    await settle()
    expect(one.wakes).toBe(0)
    await start(one)
    signal.published()
    await until(() => one.wakes > 0)
    await settle()
    expect(one.wakes).toBe(1)
  })

  it('wakes again where it comes while a reader looks', async () => {
    const signal = new WakeSignal()
    const { wake } = readerOf(signal)
    let wakes = 0
    wake.start(() => {
      wakes += 1
      if (wakes < 5) signal.published()
    })
    await until(() => wakes === 5)
    await settle()
    expect(wakes).toBe(5)
  })

  it('before a reader starts is told at its start, which may have looked too soon', async () => {
    const signal = new WakeSignal()
    const one = readerOf(signal)
    signal.published()
    await start(one)
    await settle()
    expect(one.wakes).toBe(0)
  })
})

describe('the end', () => {
  it('is told each reader once, whether it waits or not', async () => {
    const signal = new WakeSignal()
    const [waits, idle] = [readerOf(signal), readerOf(signal)]
    await start(waits)
    expect(idle.wake.isClosed).toBe(false)
    signal.close()
    signal.close()
    expect(idle.wake.isClosed).toBe(true)
    await until(() => waits.closes + idle.closes === 2)
    await settle()
    expect([waits.closes, idle.closes, waits.wakes]).toEqual([1, 1, 0])
  })

  it('that came before a reader is seen by asking', async () => {
    const signal = new WakeSignal()
    signal.close()
    const one = readerOf(signal)
    expect(one.wake.isClosed).toBe(true)
    await settle()
    expect(one.closes).toBe(0)
  })

  it('is not told a reader that was released, which leaves the others waiting', async () => {
    const signal = new WakeSignal()
    const [released, other] = [readerOf(signal), readerOf(signal)]
    await start(released, other)
    released.wake.release()
    released.wake.release()
    await settle()
    expect(other.wakes).toBe(0)
    signal.published()
    await until(() => other.wakes === 1)
    signal.close()
    await until(() => other.closes === 1)
    await settle()
    expect([released.wakes, released.closes]).toEqual([0, 0])
  })
})
