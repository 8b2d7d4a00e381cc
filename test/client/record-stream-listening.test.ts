/**
 * What a live read listens to while it waits, and when it does no longer.
 */
import { describe, expect, it } from 'vitest'
import { testLog } from '../../src/testing/test-log.ts'
import { rejection } from './refusal.ts'
import { READ_KINDS, numbered, openTopic } from './open-log.ts'

const DONE = { done: true, value: undefined }

/** Lets everything that is due now happen. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

describe.each(READ_KINDS)('a live read of a log on %s', (kind) => {
  it('leaves no listener on a signal once nothing waits', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const { signal } = new AbortController()
    let listeners = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1
      remove(...args)
    }
    const read = partition.read({ live: true, signal })
    for (let at = 0; at < 3; at += 1) {
      const next = read.next()
      await settle()
      expect(listeners).toBe(1)
      partition.append(numbered(1))
      await next
      await settle()
      expect(listeners).toBe(0)
    }
    const last = read.next()
    await read.return?.()
    await last
    expect(listeners).toBe(0)
  })

  it('rejects the next call where its signal aborts right behind an answer', async () => {
    const partition = (await openTopic(kind)).partition(0)
    const controller = new AbortController()
    const read = partition.read({ live: true, signal: controller.signal })
    const next = read.next().then((answer) => {
      controller.abort()
      return answer
    })
    partition.append(numbered(1))
    expect((await next).done).toBe(false)
    expect((await rejection(read.next())).code).toBe('ABORTED')
    expect(await read.next()).toEqual(DONE)
  })
})

describe('a loop over a live read', () => {
  it('listens without a gap while its loop asks at once, and no longer once it does not', async () => {
    const { log } = testLog() // Its clock stands still: no read is taken for a slow one.
    const partition = (await log.createTopic('t')).partition(0)
    const { signal } = new AbortController()
    let listens = 0
    const add = signal.addEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listens += 1
      add(...args)
    }
    const read = partition.read({ live: true, signal })
    const seen: number[] = []
    const loop = (async () => {
      for await (const { offset } of read) {
        seen.push(offset)
        if (offset === 4) await settle()
        if (offset === 6) break
      }
    })()
    for (let at = 0; at < 7; at += 1) {
      await settle()
      await settle()
      partition.append(numbered(1))
    }
    await loop
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(listens).toBe(2)
    await log.close()
  })
})
