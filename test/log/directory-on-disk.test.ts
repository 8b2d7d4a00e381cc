/**
 * Directories on a real disk that ask much of it: long names, more partitions than open files.
 */
import { describe, expect, it } from 'vitest'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { appendMany, offsetsOf, openLog, partitionOf, readFromFiles } from './open-log.ts'

describe('a log on a real disk', () => {
  it('has topics with the longest of names, and deletes them', async () => {
    const driver = openDiskDriver(temporaryDirectory())
    const { log } = await openLog(driver)
    const name = 'n'.repeat(249)
    await runProcedure(log.createTopic(name, { partitions: 11 }))
    appendMany(partitionOf(log, name, 10), 2)
    await runProcedure(log.deleteTopic(name))
    await runProcedure(log.createTopic(name, {}))
    expect(partitionOf(log, name).logEndOffset).toBe(0)
    await runProcedure(log.close())
  })

  it('has 300 partitions over fewer open files', async () => {
    const directory = temporaryDirectory()
    const driver = openDiskDriver(directory, { descriptors: { maxOpenFiles: 64 } })
    const { log } = await openLog(driver)
    const topic = await runProcedure(log.createTopic('t', { partitions: 300 }))
    for (const partition of topic.partitions) appendMany(partition, 2)
    await runProcedure(log.close())
    const { log: again, report } = await openLog(
      openDiskDriver(directory, { descriptors: { maxOpenFiles: 64 } }),
    )
    expect(report).toMatchObject({ clean: true, partitions: [] })
    const ends = again.topic('t')?.partitions.map(({ logEndOffset }) => logEndOffset)
    expect(new Set(ends)).toEqual(new Set([2]))
    expect(offsetsOf(readFromFiles(partitionOf(again, 't', 299)))).toEqual([0, 1])
    await runProcedure(again.close())
  })
})
