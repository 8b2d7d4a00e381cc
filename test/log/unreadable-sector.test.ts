/**
 * A sector that the device cannot read: the batches in it are damage, and the rest of the partition
 * opens, reads and is appended to. Nothing is cut for it, and nothing written over it.
 */
import { describe, expect, it } from 'vitest'
import { segmentFileName } from '../../src/format/segment-name.ts'
import { nextTurn } from '../../src/log/clock.ts'
import { OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG } from '../../src/log/internal-topics.ts'
import { systemError, fileFailure } from '../../src/storage/file-failure.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import type { StorageFile } from '../../src/storage/storage-driver.ts'
import { verify } from '../damage/repaired.ts'
import { KeptDriver } from '../damage/stored-log.ts'
import { appendMany, openLog, partitionOf } from './open-log.ts'
import { segmentFile } from './tampering.ts'

const PIECE_BYTES = 4096
const COUNT = 200

/** A driver that fails to read one piece of one file. */
class BadSector {
  readonly driver: KeptDriver = new KeptDriver()
  path = ''
  piece = -1
  /** Writes that touched it. */
  overwrites = 0

  constructor() {
    const openFile = this.driver.openFile.bind(this.driver)
    this.driver.openFile = (path, mode) => this.#watched(openFile(path, mode))
  }

  #watched(file: StorageFile): StorageFile {
    const touches = (position: number, byteLength: number): boolean =>
      file.path === this.path &&
      position < (this.piece + 1) * PIECE_BYTES &&
      position + byteLength > this.piece * PIECE_BYTES
    return {
      get path(): string {
        return file.path
      },
      get fileId(): string {
        return file.fileId
      },
      get sizeBytes(): number {
        return file.sizeBytes
      },
      read: (target, start, byteLength, position) => {
        if (touches(position, byteLength)) {
          throw fileFailure('read', file.path, systemError('EIO', 'a bad sector'))
        }
        return file.read(target, start, byteLength, position)
      },
      readAhead: (position, byteLength) => file.readAhead(position, byteLength),
      write: (source, start, byteLength, position) => {
        if (touches(position, byteLength)) this.overwrites += 1
        file.write(source, start, byteLength, position)
      },
      resize: (sizeBytes) => file.resize(sizeBytes),
      flush: () => file.flush(),
      close: () => file.close(),
    }
  }
}

describe('a sector that cannot be read', () => {
  it.each([
    ['at the start', 0],
    ['in the middle', 1],
    ['at the end', 3],
  ])('costs the batches in it, and opens the rest: %s', async (_where, piece) => {
    const sector = new BadSector()
    const { driver } = sector
    const { log } = await openLog(driver)
    await runProcedure(log.createTopic('t', { preallocate: false }))
    appendMany(partitionOf(log, 't'), COUNT)
    sector.path = segmentFile(0)
    sector.piece = piece
    // Above the recovery point, after a loss of power: all that is bad would be torn.
    const { log: again, report } = await openLog(driver, { bootId: 'later boot' })
    const [found] = report.partitions
    expect(found?.cutAtOffset).toBeNull()
    expect(found?.damage).toMatchObject([{ reason: 'the device cannot read it' }])
    expect(sector.overwrites).toBe(0)
    const partition = partitionOf(again, 't')
    const end = partition.logEndOffset
    appendMany(partition, 3)
    expect(partition.logEndOffset).toBe(end + 3)
    const findings = verify(driver, 'later boot')
    expect(findings.damage).toMatchObject([{ reason: 'the device cannot read it' }])
    const lostBytes = findings.damage[0]?.bytes ?? 0
    expect(lostBytes).toBeLessThan(PIECE_BYTES + 200)
  })

  it.each(['a clean close', 'a stop'])(
    'among the positions of groups keeps no topic from being opened, after %s',
    async (how) => {
      const sector = new BadSector()
      const { driver } = sector
      const { log } = await openLog(driver)
      await runProcedure(log.createTopic('t', { preallocate: false }))
      await runProcedure(log.createTopic(OFFSETS_TOPIC, OFFSETS_TOPIC_CONFIG))
      appendMany(partitionOf(log, 't'), COUNT)
      for (let offset = 1; offset <= COUNT; offset++) {
        const commit = { topic: 't', partition: 0, offset, leaderEpoch: -1, metadata: '' }
        log.offsets.commit('billing', [commit])
      }
      await nextTurn() // The publisher's turn.
      if (how === 'a clean close') await runProcedure(log.close())
      sector.path = `${OFFSETS_TOPIC}-0/${segmentFileName(0, '.log')}`
      sector.piece = 1
      const { log: again, report } = await openLog(driver)
      const damage = report.partitions.flatMap((one) => one.damage)
      expect(damage).toMatchObject([{ topic: OFFSETS_TOPIC, partition: 0 }])
      expect(again.offsets.get('billing', 't', 0)?.offset).toBe(COUNT)
      appendMany(partitionOf(again, 't'), 3)
      expect(partitionOf(again, 't').logEndOffset).toBe(COUNT + 3)
    },
  )
})
