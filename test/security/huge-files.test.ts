/**
 * Files of a log that claim to be gigabytes: opening takes neither the memory nor the time for
 * that, and the records are there. The bytes are holes: the disk does not hold them.
 */
import { existsSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../src/index.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const FILES = [
  'metadata.json',
  'metadata.json.previous',
  '.kafka_cleanshutdown',
  'recovery-point-offset-checkpoint',
  'log-start-offset-checkpoint',
  'streambed.control',
  'orders-0/leader-epoch-checkpoint',
  'orders-0/partition.metadata',
]
const SIZES = [3_221_225_472, 9_663_676_416]
const MEMORY_BYTES = 201_326_592

describe.skipIf(process.platform !== 'linux')('a file that claims to be gigabytes', () => {
  it.each(FILES.flatMap((file) => SIZES.map((bytes) => [file, bytes] as const)))(
    'takes no memory for them: %s of %i bytes',
    async (file, bytes) => {
      const directory = join(temporaryDirectory(), 'log')
      const log = await EventLog.open(directory)
      await (await log.ensureTopic('orders')).sendAll([{ value: 'one' }, { value: 'two' }])
      await log.close()
      const path = join(directory, file)
      if (!existsSync(path)) writeFileSync(path, '')
      truncateSync(path, bytes)
      const before = process.memoryUsage()
      const again = await EventLog.open(directory, { onWarning: () => undefined })
      const { external, heapTotal } = process.memoryUsage()
      expect(external + heapTotal - before.external - before.heapTotal).toBeLessThan(MEMORY_BYTES)
      const values = [...again.topic('orders').partition(0).records()].map(({ value }) =>
        String(value),
      )
      expect(values).toEqual(['one', 'two'])
      await again.close()
      rmSync(directory, { recursive: true })
    },
  )
})
