/**
 * How somebody who attaches finds the owner of a shared log, and what becomes of the question when
 * there is none, or it is just closing. What is attached is test/client/sharing.test.ts' business.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { findOwner } from '../../src/client/log-owner.ts'
import { channelOf, SharedLog } from '../../src/client/shared-log.ts'
import { nextTurn, systemClock } from '../../src/log/clock.ts'
import { LOCK_RECORD_FILE } from '../../src/storage/lock-record.ts'
import { acquireWriterLock, type WriterLock } from '../../src/storage/writer-lock.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

interface Owner {
  readonly lock: WriterLock
  readonly shared: SharedLog
  readonly handle: { readonly directory: string; readonly id: string }
}

async function ownerOf(directory: string): Promise<Owner> {
  const { now, monotonicNow } = systemClock
  const lock = await acquireWriterLock(directory, {
    lockTimeoutMs: 0,
    now,
    monotonicNow,
    wait: () => Promise.resolve(),
  })
  const handle = { directory, id: lock.token }
  return { lock, handle, shared: new SharedLog(handle) }
}

async function close({ lock, shared }: Owner): Promise<void> {
  shared.end()
  await lock.release()
  shared.close()
}

describe('the owner of a shared log', () => {
  it('gives the same memory to all who ask, however many ask at once', async () => {
    const owner = await ownerOf(temporaryDirectory())
    const asked = Array.from({ length: 20 }, () => findOwner(owner.handle, systemClock))
    const [first, ...others] = (await Promise.all(asked)).map((memory) => new Int32Array(memory))
    owner.shared.published()
    expect(first?.[0]).toBe(1)
    for (const cells of others) expect(cells[0]).toBe(1)
    await close(owner)
    expect(first?.[1]).toBe(1)
  })

  it('lets nobody in once it is closing', async () => {
    const owner = await ownerOf(temporaryDirectory())
    owner.shared.end()
    await expect(findOwner(owner.handle, systemClock)).rejects.toMatchObject({ code: 'CLOSED' })
    await close(owner)
    await expect(findOwner(owner.handle, systemClock)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('that closes while somebody asks answers, at whatever moment that is', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const owner = await ownerOf(temporaryDirectory())
      const asking = findOwner(owner.handle, systemClock).then(
        () => 'in',
        (error: unknown) => (LogError.is(error) ? error.code : error),
      )
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      await close(owner)
      expect(['in', 'CLOSED']).toContain(await asking)
    }
  })

  it('passes over what others say on its channel', async () => {
    const owner = await ownerOf(temporaryDirectory())
    const channel = channelOf(owner.handle.id)
    const asking = findOwner(owner.handle, systemClock)
    for (const noise of [null, 7, 'hello', {}, { memory: 'none' }]) channel.postMessage(noise)
    await expect(asking).resolves.toBeInstanceOf(SharedArrayBuffer)
    channel.close()
    await close(owner)
  })
})

describe('a handle', () => {
  it('of a log that was opened again since is refused: that is another one', async () => {
    const directory = temporaryDirectory()
    const first = await ownerOf(directory)
    await close(first)
    const second = await ownerOf(directory)
    expect(second.handle.id).not.toBe(first.handle.id)
    await expect(findOwner(first.handle, systemClock)).rejects.toMatchObject({
      code: 'CLOSED',
      details: { directory },
    })
    await expect(findOwner(second.handle, systemClock)).resolves.toBeDefined()
    await close(second)
  })

  it('of another process is refused, with the way to read that log', async () => {
    const directory = temporaryDirectory()
    const owner = await ownerOf(directory)
    const file = join(directory, LOCK_RECORD_FILE)
    const record = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown> // as written
    writeFileSync(file, JSON.stringify({ ...record, pid: process.ppid, processStart: '1' }))
    owner.shared.close() // No channel of another process is heard here.
    await expect(findOwner(owner.handle, systemClock)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('readOnly: true') as unknown,
    })
    await owner.lock.release()
  })

  it('of a thread that ended without closing is given up after a minute', async () => {
    const owner = await ownerOf(temporaryDirectory())
    owner.shared.close()
    const clock = new FakeClock()
    const asking = findOwner(owner.handle, clock)
    clock.advance(60_000)
    await expect(asking).rejects.toMatchObject({ code: 'TIMEOUT', retriable: true })
    await owner.lock.release()
  })
})
