/**
 * Logs that are shared with threads of their process: what a handle is, what an attached log sees
 * and when, and how it ends. In the workers no timer of the library ever fires: whatever they see
 * they see without a poll.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import type { LogHandle } from '../../src/client/group-types.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { FaultDisk } from '../../src/testing/fault-disk.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { AttachedWorker } from './attached-worker.ts'
import { closeWhenDone, nextOf, numbered, numbers, texts, textsOf } from './open-log.ts'
import { refusal, rejection } from './refusal.ts'

const SCRIPT = compileToPlainSource(fileURLToPath(new URL('sharing-worker.ts', import.meta.url)))
afterAll(() => SCRIPT.remove())

async function owned(directory: string = temporaryDirectory()): Promise<EventLog> {
  const log = await EventLog.open(directory)
  closeWhenDone(log)
  return log
}

async function attachedTo(handle: LogHandle): Promise<EventLog> {
  const log = await EventLog.attach(handle)
  closeWhenDone(log)
  return log
}

async function workerOf(log: EventLog, what?: 'idle' | 'read'): Promise<AttachedWorker> {
  const worker = new AttachedWorker(SCRIPT.path, log.share(), what)
  expect(await worker.attached()).toBe('attached')
  return worker
}

describe('a handle', () => {
  it('is plain data, the same as long as the log is open', async () => {
    const log = await owned()
    const handle = log.share()
    expect(handle).toEqual({ directory: log.directory, id: handle.id })
    expect(structuredClone(handle)).toEqual(handle)
    expect(Object.isFrozen(handle)).toBe(true)
    expect(log.share()).toEqual(handle)
    expect(JSON.parse(JSON.stringify(handle))).toEqual(handle)
  })

  it('is not had of a log in memory, over other storage, read-only, attached or closed', async () => {
    const memory = EventLog.inMemory()
    closeWhenDone(memory)
    expect(refusal(() => memory.share()).code).toBe('INVALID_ARGUMENT')
    const simulated = await new FaultDisk().open()
    closeWhenDone(simulated)
    expect(refusal(() => simulated.share()).code).toBe('INVALID_ARGUMENT')
    const log = await owned()
    const attached = await attachedTo(log.share())
    expect(refusal(() => attached.share()).code).toBe('INVALID_ARGUMENT')
    const reader = await EventLog.open(log.directory ?? '', { readOnly: true })
    closeWhenDone(reader)
    expect(refusal(() => reader.share()).code).toBe('INVALID_ARGUMENT')
    await log.close()
    expect(refusal(() => log.share()).code).toBe('CLOSED')
  })

  it.each([
    undefined,
    null,
    'handle',
    {},
    { directory: '/tmp', id: 7 },
    { directory: 'relative', id: 'id' },
    { directory: null, id: 'id' },
  ])('is not %j', async (handle) => {
    // `as`: wrong on purpose.
    const refused = await rejection(EventLog.attach(handle as unknown as LogHandle))
    expect(refused.code).toBe('INVALID_ARGUMENT')
  })

  it('of a log that was closed is CLOSED, also where it is open again: share it anew', async () => {
    const log = await owned()
    const handle = log.share()
    await log.close()
    expect((await rejection(EventLog.attach(handle))).code).toBe('CLOSED')
    const again = await owned(handle.directory ?? '')
    expect(again.share().id).not.toBe(handle.id)
    expect((await rejection(EventLog.attach(handle))).code).toBe('CLOSED')
    const attached = await attachedTo(again.share())
    expect(attached.topics()).toEqual([])
  })

  it('may be used as often as one likes, in the same thread too', async () => {
    const log = await owned()
    const topic = await log.createTopic('t')
    await topic.sendAll(numbered(3))
    const logs = await Promise.all([1, 2, 3].map(() => attachedTo(log.share())))
    for (const attached of logs) {
      expect(texts(attached.topic('t').partition(0).records())).toEqual(numbers(3))
    }
    await logs[0]?.close()
    topic.partition(0).append({ value: 'v3' })
    const [, other] = logs
    if (other === undefined) throw new Error('three are attached')
    // What is appended is published at the end of the turn, or when publishing has paid off.
    const read = other.topic('t').partition(0).read({ live: true, from: 3 })
    expect(String((await nextOf(read))?.value)).toBe('v3')
    await read.return?.()
  })
})

describe('a worker thread that is attached', () => {
  it('sees what is appended as it is appended, without a poll', async () => {
    const log = await owned()
    const topic = await log.createTopic('t')
    await topic.sendAll(numbered(3))
    const worker = await workerOf(log)
    await worker.ask({ call: 'read', topic: 't' })
    expect(await worker.values('t', 3)).toEqual(numbers(3))
    for (let count = 3; count < 30; count++) {
      topic.partition(0).append({ value: `v${count}` })
      expect(await worker.values('t', count + 1)).toEqual(numbers(count + 1))
    }
  })

  it('sees topics that are created, grown and deleted after it attached to an empty log', async () => {
    const log = await owned()
    const worker = await workerOf(log)
    expect(await worker.ask({ call: 'topics' })).toEqual([])
    const topic = await log.createTopic('t')
    expect(await worker.ask({ call: 'topics' })).toEqual(['t'])
    await worker.ask({ call: 'read', topic: 't' })
    topic.partition(0).append({ value: 'v0' })
    expect(await worker.values('t', 1)).toEqual(['v0'])
    await log.deleteTopic('t')
    expect(await worker.end('t')).toBe('TOPIC_NOT_FOUND')
    expect(await worker.ask({ call: 'topics' })).toEqual([])
  })

  it('reads on across segments that are rolled, and removed behind it', async () => {
    const log = await owned()
    const topic = await log.createTopic('t', {
      segmentBytes: 4_096,
      retentionBytes: 8_192,
      fileDeleteDelayMs: 0,
    })
    const worker = await workerOf(log)
    await worker.ask({ call: 'read', topic: 't' })
    for (let count = 0; count < 200; count += 20) {
      topic
        .partition(0)
        .append(numbered(20, count).map((record) => ({ ...record, key: 'k'.repeat(90) })))
      await worker.values('t', count + 20)
      await log.runHousekeeping()
    }
    expect(topic.partition(0).logStartOffset).toBeGreaterThan(0)
    expect(await worker.values('t', 200)).toEqual(numbers(200))
    expect(await worker.ask({ call: 'get', topic: 't', offset: 199 })).toBe('v199')
  })

  it('is refused whatever writes', async () => {
    const log = await owned()
    await log.createTopic('t')
    const worker = await workerOf(log)
    expect(await worker.ask({ call: 'append' })).toBe('READ_ONLY')
    expect(await worker.ask({ call: 'send' })).toBe('READ_ONLY')
    expect(await worker.ask({ call: 'join' })).toBe('READ_ONLY')
    expect(await worker.ask({ call: 'share' })).toBe('INVALID_ARGUMENT')
  })

  it('has only logs that read without mappings, which it could leave behind, and says so', async () => {
    const log = await owned()
    const worker = await workerOf(log)
    expect(await worker.ask({ call: 'reads' })).toMatchObject({ reads: 'pread' })
    const directory = temporaryDirectory()
    await (await owned(directory)).close()
    for (const io of ['mmap', 'auto'] as const) {
      const said = await worker.ask({ call: 'open', directory, io })
      expect(said).toMatchObject({ reads: 'pread', warnings: io === 'mmap' ? ['FALLBACK'] : [] })
    }
  })

  it('is not kept alive by its log, but by a live read that waits', async () => {
    const log = await owned()
    await log.createTopic('t')
    const idle = await workerOf(log, 'idle')
    expect(await idle.ended).toBe(0)
    const waits = await workerOf(log, 'read')
    log.topic('t').partition(0).append({ value: 'v0' })
    expect(await waits.values('t', 1)).toEqual(['v0'])
    await log.close()
    expect(await waits.ended).toBe(0)
    expect(await waits.end('t')).toBe('ended')
  })

  it('may be terminated in the middle of anything, and leaves nothing', async () => {
    const log = await owned()
    const topic = await log.createTopic('t', { segmentBytes: 16_384 })
    const lives = [0, 1, 2, 3].map(async () => {
      const worker = await workerOf(log)
      await worker.ask({ call: 'read', topic: 't' })
      topic.partition(0).append(numbered(20))
      await worker.values('t', 1)
      await worker.worker.terminate()
    })
    await Promise.all(lives)
    topic.partition(0).append({ value: 'last' })
    await topic.send({ value: 'synced' })
    expect(topic.partition(0).logEndOffset).toBe(82)
  })
})

describe('the owner that closes', () => {
  it('ends live reads of attached logs, whose calls are CLOSED then', async () => {
    const log = await owned()
    const topic = await log.createTopic('t')
    await topic.sendAll(numbered(2))
    const worker = await workerOf(log)
    await worker.ask({ call: 'read', topic: 't' })
    await worker.values('t', 2)
    await log.close()
    expect(await worker.end('t')).toBe('ended')
    expect(await worker.ask({ call: 'topics' })).toBe('CLOSED')
    expect(await worker.ask({ call: 'get', topic: 't', offset: 0 })).toBe('CLOSED')
    expect(await worker.ask({ call: 'close' })).toBeUndefined()
  })

  it('is told at once: no call of an attached log comes through behind it', async () => {
    const log = await owned()
    const topic = await log.createTopic('t')
    await topic.sendAll(numbered(2))
    const attached = await attachedTo(log.share())
    const held = attached.topic('t')
    const closing = log.close()
    expect(refusal(() => attached.topics()).code).toBe('CLOSED')
    expect(refusal(() => held.partition(0).get(0)).code).toBe('CLOSED')
    await closing
    await attached.close()
  })

  it('while somebody attaches either lets it in or refuses it, and ends what it let in', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const log = await owned()
      await log.createTopic('t')
      const attaching = EventLog.attach(log.share()).catch((error: unknown) => error)
      for (let turn = 0; turn < turns; turn++) await nextTurn()
      await log.close()
      const attached = await attaching
      if (attached instanceof EventLog) expect(refusal(() => attached.topics()).code).toBe('CLOSED')
      else expect(attached).toMatchObject({ code: 'CLOSED' })
    }
  })

  it('does not end logs that are attached to another owner', async () => {
    const [one, other] = [await owned(), await owned()]
    await one.createTopic('t')
    const topic = await other.createTopic('t')
    const [ofOne, ofOther] = [await workerOf(one), await workerOf(other)]
    await Promise.all([ofOne, ofOther].map((worker) => worker.ask({ call: 'read', topic: 't' })))
    await one.close()
    expect(await ofOne.end('t')).toBe('ended')
    topic.partition(0).append({ value: 'v0' })
    expect(await ofOther.values('t', 1)).toEqual(['v0'])
  })

  it('is not needed to read in the same thread once the attached log is closed itself', async () => {
    const log = await owned()
    const topic = await log.createTopic('t')
    const attached = await attachedTo(log.share())
    const stream = attached.topic('t').read({ live: true })
    const waiting = nextOf(stream)
    topic.partition(0).append({ value: 'v0' })
    expect((await waiting)?.offset).toBe(0)
    const rest = textsOf(stream)
    await attached.close()
    expect(await rest).toEqual([])
    await attached.close()
    topic.partition(0).append({ value: 'v1' })
    expect(topic.partition(0).logEndOffset).toBe(2)
  })
})
