/**
 * Many worker threads that attach to one log, read it live, and leave: by closing, by being
 * terminated, and while it closes. What one of them sees is test/client/sharing.test.ts' business.
 */
import { fileURLToPath } from 'node:url'
import { afterAll, expect, it } from 'vitest'
import { EventLog } from '../../src/client/event-log.ts'
import { AttachedWorker } from '../client/attached-worker.ts'
import { closeWhenDone, numbered, numbers } from '../client/open-log.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import { canCountResources, descriptorCount } from '../support/process-resources.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const SCRIPT = compileToPlainSource(
  fileURLToPath(new URL('../client/sharing-worker.ts', import.meta.url)),
)
afterAll(() => SCRIPT.remove())

const WORKERS = 50
const AT_ONCE = 10

async function attached(log: EventLog): Promise<AttachedWorker> {
  const worker = new AttachedWorker(SCRIPT.path, log.share())
  expect(await worker.attached()).toBe('attached')
  await worker.ask({ call: 'read', topic: 't' })
  return worker
}

function attachMany(log: EventLog): Promise<readonly AttachedWorker[]> {
  return Promise.all(Array.from({ length: AT_ONCE }, () => attached(log)))
}

it('fifty workers come, see every record, and leave nothing', async () => {
  const log = await EventLog.open(temporaryDirectory())
  closeWhenDone(log)
  const topic = await log.createTopic('t')
  await topic.sendAll(numbered(5))
  await (await attached(log)).worker.terminate()
  const descriptors = canCountResources ? descriptorCount() : 0
  let count = 5
  for (let come = 0; come < WORKERS; come += AT_ONCE) {
    const workers = await attachMany(log)
    topic.partition(0).append({ value: `v${count}` })
    count += 1
    for (const [index, worker] of workers.entries()) {
      expect(await worker.values('t', count)).toEqual(numbers(count))
      if (index % 2 === 0) await worker.ask({ call: 'close' })
    }
    await Promise.all(workers.map(({ worker }) => worker.terminate()))
  }
  if (canCountResources) expect(descriptorCount()).toBe(descriptors)
})

it('all that are attached end when the owner closes, whatever they were doing', async () => {
  const log = await EventLog.open(temporaryDirectory())
  closeWhenDone(log)
  const topic = await log.createTopic('t')
  const workers = await attachMany(log)
  for (let count = 0; count < 50; count++) topic.partition(0).append(numbered(10))
  await log.close()
  for (const worker of workers) {
    expect(await worker.end('t')).toBe('ended')
    expect(await worker.ask({ call: 'topics' })).toBe('CLOSED')
  }
})
