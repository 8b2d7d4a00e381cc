/** A follower of one writer after another: what is lost to the next one, and what is not. */
import { describe, expect, it } from 'vitest'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { CONTROL_FILE } from '../../../src/storage/control-file.ts'
import type { FaultDriver } from '../../../src/testing/fault-driver.ts'
import { appendMany, offsetsOf, openLog, partitionOf, range, readRecords } from '../open-log.ts'
import { Followed } from './followed.ts'
import { elsewhere, written } from './written-log.ts'

interface Life {
  readonly driver: FaultDriver
  readonly partition: PartitionLog
}

/** The writer is killed, and the next one opens the log. */
async function nextLife({ driver }: Pick<Life, 'driver'>): Promise<Life> {
  const next = driver.processKill()
  const { log } = await openLog(next)
  return { driver: next, partition: partitionOf(log, 't') }
}

/** What a writer says of a partition as it is now. */
function wordOf(life: Life, writerGeneration: number): Followed['word'] {
  const { published } = new Followed(elsewhere(life.driver), life.partition).word
  if (published === undefined) throw new Error('a writer that lives publishes')
  return {
    mode: 'published',
    published: { ...published, writerGeneration },
    writerGeneration,
  }
}

describe.each([
  ['that has read all of it', true],
  ['that waits at its end', false],
])('a follower %s', (_, reads) => {
  it('loses nothing to the third of three writers', async () => {
    const first = await written()
    appendMany(first.partition, 15)
    const followed = new Followed(elsewhere(first.driver), first.partition)
    const look = (): void => void (reads && readRecords(followed.partition))
    followed.partition.cursor(15)
    look()
    const second = await nextLife(first)
    followed.publish(second.partition, 2)
    appendMany(second.partition, 16)
    followed.publish(second.partition, 2)
    look()
    const third = await nextLife(second)
    followed.publish(third.partition, 3)
    appendMany(third.partition, 4)
    followed.publish(third.partition, 3)
    expect(followed.partition.cuts).toEqual([])
    expect(offsetsOf(readRecords(followed.partition))).toEqual(range(0, 35))
  })
})

describe('a follower of a log whose writer died', () => {
  it('loses nothing where it is ahead of what the next one has published', async () => {
    const first = await written()
    appendMany(first.partition, 20)
    const followed = new Followed(elsewhere(first.driver), first.partition)
    followed.partition.cursor(0)
    const second = await nextLife(first)
    const early = wordOf(second, 2)
    appendMany(second.partition, 1)
    followed.lose() // Its look at the files is later than its look at the control file.
    expect(followed.partition.logEndOffset).toBe(21)
    followed.word = early
    followed.partition.refresh()
    expect(followed.partition.cuts).toEqual([])
    expect(followed.partition.logEndOffset).toBe(21)
    expect(offsetsOf(readRecords(followed.partition))).toEqual(range(0, 21))
  })

  it('meets a cut in the batches of the next one, before that has published anything', async () => {
    const first = await written()
    appendMany(first.partition, 20)
    const followed = new Followed(elsewhere(first.driver), first.partition)
    readRecords(followed.partition)
    const { logPath, sizeBytes } = first.partition.segments.active
    const file = first.driver.openFile(logPath, 'write')
    file.write(Buffer.alloc(4, 0xff), 0, 4, Math.floor(sizeBytes / 2))
    file.close()
    await first.driver.unlink(CONTROL_FILE)
    const second = await nextLife(first)
    const cut = second.partition.logEndOffset
    expect(cut).toBeLessThan(20)
    appendMany(second.partition, 40) // As large as those before: they end where the others did.
    followed.lose()
    expect(followed.partition.cuts).toEqual([cut])
    followed.publish(second.partition, 2)
    expect(followed.partition.cuts).toEqual([cut])
    expect(readRecords(followed.partition)).toEqual(readRecords(second.partition))
  })
})
