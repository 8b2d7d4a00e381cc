/**
 * The script of a life: everything that the library can do, once, in the same order each time, on
 * whatever the lives before it have left. Few records and small segments, so that the calls to the
 * file system, which a kill or a loss of power may come between, can all be tried.
 */
import { LogError } from '../../src/index.ts'
import { MAIN_TOPIC, type CrashWork } from './crash-work.ts'

const SEGMENT_BYTES = 2_048

/** Runs it to its end. */
export async function runScript(work: CrashWork): Promise<void> {
  const { log } = work
  const isThere = (name: string): boolean => log.topics().some((topic) => topic.name === name)
  const main = await work.ensure(MAIN_TOPIC, { partitions: 2, segmentBytes: SEGMENT_BYTES })
  // Each level, rolls in between.
  work.append(main, 0, 3)
  work.append(main, 1, 2)
  await work.send(main, 0, 'all', 4)
  await work.send(main, 1, 1, 6)
  await work.send(main, 0, 0, 2)
  await work.flush(main, 1)
  // Topics come and go while others are written to.
  if (isThere('orders')) await work.delete('orders')
  const coming = work.create('orders', { partitions: 2, segmentBytes: SEGMENT_BYTES })
  await Promise.all([coming, work.send(main, 0, 'all', 3), work.send(main, 1, 'all', 5)])
  const orders = await coming
  await work.sendDurably(orders, 0)
  work.append(orders, 1, 3)
  await work.grow(orders, 3)
  await Promise.all([work.alter(main, { segmentBytes: 4_096 }), work.send(orders, 2, 'all', 2)])
  await work.remove(main, 0, main.partition(0).logStartOffset + 3)
  await Promise.all([work.delete('orders'), work.send(main, 0, 1, 4)])
  // The name is used again.
  const again = await work.create('orders', { partitions: 1, segmentBytes: SEGMENT_BYTES })
  await work.sendDurably(again, 0)
  await work.ensure('orders', { segmentBytes: 8_192 })
  await log.flush()
  work.append(main, 0, 2)
  await work.alter(main, { segmentBytes: SEGMENT_BYTES })
  await work.send(main, 1, 1, 2)
}

/** Commits positions of data that is on stable storage, and of data that is not. */
export async function commitPositions(work: CrashWork): Promise<void> {
  const main = await work.ensure(MAIN_TOPIC, { partitions: 2, segmentBytes: SEGMENT_BYTES })
  const member = await work.join(main)
  await work.send(main, 0, 'all', 4)
  await work.commit(member, main, 0, true)
  work.append(main, 0, 3)
  await work.commit(member, main, 0, false)
  await work.send(main, 1, 1, 5)
  await work.commit(member, main, 1, false)
  await work.send(main, 0, 0, 3)
  work.append(main, 1, 2)
  await work.commit(member, main, 1, true)
  work.append(main, 1, 20)
  await work.commit(member, main, 1, false)
  await work.flush(main, 0)
  await work.commit(member, main, 0, true)
  await member.leave()
}

/** For a life whose second sync fails: what it was for is in the page cache, and nowhere else. */
export async function syncTwice(work: CrashWork): Promise<void> {
  const main = await work.ensure(MAIN_TOPIC, { partitions: 2, segmentBytes: 65_536 })
  work.append(main, 0, 3)
  await work.flush(main, 0)
  work.append(main, 0, 4)
  await work.flush(main, 0).catch((error: unknown) => {
    if (!LogError.is(error, 'IO')) throw error
  })
}
