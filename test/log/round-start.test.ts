/**
 * When a round of syncs begins: behind whoever was woken together with the first who waits for it.
 */
import { describe, expect, it } from 'vitest'
import { nextTurn } from '../../src/log/clock.ts'
import { appendMany, partitionOf } from './open-log.ts'
import { SyncedLog } from './synced-log.ts'

describe('a sync round', () => {
  it('is shared by all who were woken together, and append and wait in turn', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    const woken = Promise.resolve()
    const waits = [1, 2, 3].map((count) =>
      woken.then(() => {
        appendMany(partition, count)
        return partition.makeDurable(partition.logEndOffset)
      }),
    )
    await Promise.all(waits)
    expect([held.synced.length, partition.durableOffset]).toEqual([1, 6])
  })

  it('that was about to begin when its partition ended leaves nobody waiting', async () => {
    const { held, log } = await SyncedLog.open({})
    const partition = partitionOf(log, 't')
    appendMany(partition, 1)
    const waiting = partition.makeDurable(1)
    partition.finish('deleted')
    await expect(waiting).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' })
    await nextTurn()
    expect(held.synced).toEqual([])
  })
})
