/**
 * A base offset that changed, in a log where gaps are nothing new: no checksum covers it, so what
 * is around it has to tell.
 */
import { expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { openLog, partitionOf, recordsOf } from '../log/open-log.ts'
import { changed, flip, specimen } from './repaired.ts'
import { driverOf } from './stored-log.ts'

const FILE = 'orders-0/00000000000000001000.log'

it.each([
  ['below its segment', 7, 1000],
  ['into the batch behind it', 315 + 7, 1004],
])('is told where it lies %s', async (_where, at, offset) => {
  const broker = await specimen("a broker's, closed")
  const { log } = await openLog(driverOf(changed(broker, { [FILE]: flip(at) })))
  const partition = partitionOf(log, 'orders')
  partition.tail.clear()
  const cursor = partition.cursor(offset)
  let code = ''
  try {
    const run = cursor.next(offset + 1)
    code = String(run && recordsOf(run).map((record) => record.offset))
  } catch (error) {
    code = LogError.is(error) ? error.code : String(error)
  }
  expect(code).toBe('CORRUPT')
})
