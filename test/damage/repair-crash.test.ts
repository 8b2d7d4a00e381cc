/**
 * Repair that is stopped at any of its calls, by a kill or a loss of power: what is left opens with
 * everything that was whole, and can be repaired again.
 */
import { describe, expect, it } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { type Procedure, runProcedure } from '../../src/storage/procedure.ts'
import type { StorageDriver } from '../../src/storage/storage-driver.ts'
import { openLog, partitionOf, recordsOf } from '../log/open-log.ts'
import { everyCrash } from '../support/every-crash.ts'
import { changed, flip, repair, specimen, verify } from './repaired.ts'
import { driverOf, storedIn, type StoredLog } from './stored-log.ts'

const LONGEST_RUN_MS = 1_200_000
const FIRST = 'orders-0/00000000000000000000.log'
const SECOND = 'orders-0/00000000000000000015.log'

describe('a repair that is stopped at any call', () => {
  it.each([
    ['a batch and an index', { [FIRST]: flip(120), [FIRST.replace('.log', '.index')]: flip(3) }],
    ['a missing segment', { [SECOND]: (): undefined => undefined }],
    [
      'every small file',
      {
        'metadata.json': flip(9),
        'meta.properties': flip(0),
        'recovery-point-offset-checkpoint': flip(0),
        'orders-0/leader-epoch-checkpoint': flip(0),
        'orders-0/partition.metadata': flip(0),
      },
    ],
  ])(
    'loses nothing that is whole, and can be done again: %s',
    async (_what, changes) => {
      const closed = await specimen('closed')
      const damaged = changed(closed, changes)
      const whole = await readable(damaged, closed.bootId)
      const prepare = function* (driver: StorageDriver): Procedure<void> {
        yield* fill(driver, damaged)
      }
      for await (const { driver, kind, stoppedAt } of everyCrash(prepare, (broken) =>
        repair(broken, closed.bootId),
      )) {
        const left = storedIn(driver)
        const where = `${kind}, ${stoppedAt}`
        expect(await readable(left, 'later boot'), where).toEqual(
          expect.arrayContaining([...whole]),
        )
        const again = driverOf(left)
        await runProcedure(repair(again, 'later boot'))
        expect(verify(again, 'later boot').damage, where).toEqual([])
        const after = await readable(storedIn(again), 'later boot')
        expect(after, where).toEqual(expect.arrayContaining([...whole]))
      }
    },
    LONGEST_RUN_MS,
  )
})

/** Offsets of `orders-0` that can be read. */
async function readable(stored: StoredLog, bootId: string): Promise<readonly number[]> {
  const { log } = await openLog(driverOf(stored), { bootId })
  const partition = partitionOf(log, 'orders')
  const offsets: number[] = []
  const cursor = partition.cursor(partition.logStartOffset)
  partition.tail.clear()
  for (;;) {
    try {
      const run = cursor.next(partition.highWatermark)
      if (run === undefined) return offsets
      offsets.push(...recordsOf(run).map(({ offset }) => offset))
    } catch (error) {
      if (!LogError.is(error, 'CORRUPT')) throw error
      cursor.skipDamage()
    }
  }
}

/** Puts `stored` on stable storage. */
function* fill(driver: StorageDriver, stored: StoredLog): Procedure<void> {
  for (const [path, bytes] of stored) {
    if (bytes === null) driver.createDirectory(path)
  }
  for (const [path, bytes] of stored) {
    if (bytes === null) continue
    const file = driver.openFile(path, 'create')
    file.write(bytes, 0, bytes.length, 0)
    yield () => file.flush()
    file.close()
  }
  for (const [path, bytes] of stored) if (bytes === null) yield () => driver.flushDirectory(path)
  yield () => driver.flushDirectory('')
}
