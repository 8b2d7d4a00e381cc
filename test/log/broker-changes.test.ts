/**
 * A broker had the directory for a while: topics changed, and metadata.json knows nothing of it.
 * Its hands are played here with plain file operations; test/interop has a real one.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openDiskDriver } from '../../src/storage/disk-driver.ts'
import { runProcedure } from '../../src/storage/procedure.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import {
  appendMany,
  offsetsOf,
  openLog,
  partitionOf,
  readRecords,
  type OpenLog,
} from './open-log.ts'

/** A broker has its own there from its start on. */
const HIGH_WATERMARKS = 'replication-offset-checkpoint'
const RECOVERY_POINTS = 'recovery-point-offset-checkpoint'

describe('a directory that a broker had', () => {
  it('is without the topics that the broker deleted', async () => {
    const directory = await logWith({ kept: 3, deleted: 5 })
    rmSync(join(directory, 'deleted-0'), { recursive: true })
    checkpointByBroker(directory, ['kept 0 3'])
    const { log, report } = await reopen(directory)
    expect(log.topics().map(({ name }) => name)).toEqual(['kept'])
    expect(report.partitions).toEqual([])
    await runProcedure(log.close())
    expect(Object.keys(topicsInMetadata(directory))).toEqual(['kept'])
  })

  it('has lost a topic whose folder is missing though the broker kept it', async () => {
    const directory = await logWith({ kept: 3, lost: 5 })
    rmSync(join(directory, 'lost-0'), { recursive: true })
    checkpointByBroker(directory, ['kept 0 3', 'lost 0 5'])
    const { log, report } = await reopen(directory)
    expect(report.partitions).toMatchObject([
      { topic: 'lost', damage: [{ firstOffset: 0, lastOffset: 4 }] },
    ])
    await runProcedure(log.close())
  })

  it.each(['stopped', 'killed'])(
    'has topics anew that it deleted and created again, with ends of their own, when %s',
    async (end) => {
      const directory = await logWith({ orders: 50 })
      const other = await logWith({ orders: 2 })
      rmSync(join(directory, 'orders-0'), { recursive: true })
      cpSync(join(other, 'orders-0'), join(directory, 'orders-0'), { recursive: true })
      checkpointByBroker(directory, ['orders 0 2'], end === 'stopped')
      const { log, report } = await reopen(directory)
      const partition = partitionOf(log, 'orders')
      expect(partition.logEndOffset).toBe(2)
      expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
      expect(log.topic('orders')?.id).toBe(topicsInMetadata(other)['orders']?.id)
      await runProcedure(log.close())
    },
  )

  it('has the partitions that it added, those without records too', async () => {
    const directory = await logWith({ orders: 2 })
    for (const partition of [1, 2]) {
      mkdirSync(join(directory, `orders-${partition}`))
      for (const name of ['partition.metadata', 'leader-epoch-checkpoint']) {
        cpSync(join(directory, 'orders-0', name), join(directory, `orders-${partition}`, name))
      }
      writeFileSync(join(directory, `orders-${partition}`, `${'0'.repeat(20)}.log`), '')
    }
    checkpointByBroker(directory, ['orders 0 2', 'orders 1 0', 'orders 2 0'])
    const { log, report } = await reopen(directory)
    expect(log.topic('orders')?.partitions.map(({ logEndOffset }) => logEndOffset)).toEqual([
      2, 0, 0,
    ])
    expect(report.partitions.flatMap(({ damage }) => damage)).toEqual([])
    await runProcedure(log.close())
  })

  it('has gaps where it compacted, which are no damage', async () => {
    const directory = await logWith({ orders: 9 })
    const path = join(directory, 'orders-0', `${'0'.repeat(20)}.log`)
    const batches = readFileSync(path)
    const batchBytes = batches.length / 9
    writeFileSync(
      path,
      Buffer.concat([batches.subarray(0, batchBytes), batches.subarray(4 * batchBytes)]),
    )
    checkpointByBroker(directory, ['orders 0 9'])
    const { log } = await reopen(directory)
    expect(offsetsOf(readRecords(partitionOf(log, 'orders')))).toEqual([0, 4, 5, 6, 7, 8])
    await runProcedure(log.close())
  })
})

describe('leader epochs in a directory that a broker had', () => {
  it('stay what they are over kills, while nothing can be gone', async () => {
    const directory = await logOfBroker()
    for (let kills = 0; kills < 5; kills += 1) await appendAndDie(directory)
    expect(await epochsOf(directory)).toEqual(Array.from({ length: 8 }, () => 0))
  })

  it('stay what they are when the broker was killed after us in the same boot', async () => {
    const directory = await logOfBroker()
    await appendAndDie(directory)
    checkpointByBroker(directory, ['orders 0 3'], false)
    expect(await epochsOf(directory)).toEqual([0, 0, 0, 0])
    await appendAndDie(directory)
    expect(await epochsOf(directory)).toEqual([0, 0, 0, 0, 0])
  })

  it('rise when the machine was started anew since: a power loss may have taken records', async () => {
    const directory = await logOfBroker()
    await appendAndDie(directory, 'boot 1')
    await appendAndDie(directory, 'boot 2')
    expect(await epochsOf(directory, 'boot 2')).toEqual([0, 0, 0, 0, 1])
  })

  it('rise when the boot is unknown, as in a copy of the directory', async () => {
    const directory = await logOfBroker()
    await appendAndDie(directory)
    rmSync(join(directory, 'streambed.control'))
    await appendAndDie(directory)
    expect(await epochsOf(directory)).toEqual([0, 0, 0, 0, 1])
  })

  it('rise when recovery cut something', async () => {
    const directory = await logOfBroker()
    await appendAndDie(directory)
    const path = join(directory, 'orders-0', `${'0'.repeat(20)}.log`)
    writeFileSync(path, Buffer.concat([trimmed(readFileSync(path)), Buffer.from('torn')]))
    await appendAndDie(directory)
    expect(await epochsOf(directory)).toEqual([0, 0, 0, 0, 1])
  })

  it('rise when recovery found damage', async () => {
    const directory = await logOfBroker()
    await appendAndDie(directory)
    const path = join(directory, 'orders-0', `${'0'.repeat(20)}.log`)
    const bytes = trimmed(readFileSync(path))
    bytes.fill(0xff, bytes.length - 8) // Of the batch that the control file says is there.
    writeFileSync(path, bytes)
    await appendAndDie(directory)
    const { log } = await reopen(directory, 'boot')
    const last = readRecords(partitionOf(log, 'orders'), 4).at(-1)
    expect(last).toMatchObject({ offset: 4, leaderEpoch: 1 })
  })

  it('rise with every unclean open where no broker ever was', async () => {
    const directory = await logWith({ orders: 3 })
    await appendAndDie(directory)
    await appendAndDie(directory)
    expect(await epochsOf(directory)).toEqual([0, 0, 0, 0, 1])
  })
})

/** Three records of epoch 0, in a directory that was the broker's and was closed here since. */
async function logOfBroker(): Promise<string> {
  const directory = await logWith({ orders: 3 })
  checkpointByBroker(directory, ['orders 0 3'])
  const { log } = await reopen(directory)
  await runProcedure(log.close())
  return directory
}

/** Appends one record and ends as a kill ends it: nothing is closed, what was written stays. */
async function appendAndDie(directory: string, bootId?: string): Promise<void> {
  const { log } = await reopen(directory, bootId)
  appendMany(partitionOf(log, 'orders'), 1)
  await afterTurns()
}

async function epochsOf(directory: string, bootId?: string): Promise<readonly number[]> {
  const { log } = await reopen(directory, bootId)
  return readRecords(partitionOf(log, 'orders')).map(({ leaderEpoch }) => leaderEpoch)
}

/** Watermarks are published with the end of a turn. */
async function afterTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Without what is preallocated: batches do not end in zeros here. */
function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return Buffer.from(bytes.subarray(0, end + 1)) // A record ends with its count of headers, 0.
}

/** A closed log with these topics, of so many records each. */
async function logWith(topics: Readonly<Record<string, number>>): Promise<string> {
  const directory = temporaryDirectory()
  const { log } = await reopen(directory)
  for (const [name, count] of Object.entries(topics)) {
    await runProcedure(log.createTopic(name, {}))
    appendMany(partitionOf(log, name), count)
  }
  await runProcedure(log.close())
  return directory
}

function reopen(directory: string, bootId: string = 'boot'): Promise<OpenLog> {
  return openLog(openDiskDriver(directory), { bootId })
}

/** What a broker leaves beside the folders. */
function checkpointByBroker(
  directory: string,
  lines: readonly string[],
  isStopped: boolean = true,
): void {
  const text = `0\n${lines.length}\n${lines.map((line) => `${line}\n`).join('')}`
  writeFileSync(join(directory, RECOVERY_POINTS), text)
  writeFileSync(join(directory, HIGH_WATERMARKS), text)
  const marker = join(directory, '.kafka_cleanshutdown')
  if (isStopped) writeFileSync(marker, '{"version":0,"brokerEpoch":7}')
  else rmSync(marker, { force: true })
}

function topicsInMetadata(directory: string): Readonly<Record<string, { readonly id: string }>> {
  const text = readFileSync(join(directory, 'metadata.json'), 'utf8')
  return (JSON.parse(text) as { topics: Record<string, { id: string }> }).topics // our own file
}
