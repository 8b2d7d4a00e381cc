/**
 * The child of the kills of groups: opens a log, tells where its group goes on, and appends and
 * handles records with three members until it is killed. What it did it writes into a journal, a
 * line for each thing, before anything can come of it: a kill takes nothing of a file.
 *
 *   life <number>                                it has the log
 *   at <partition> <committed> <end>             where the group goes on, and the log ends
 *   appended <partition> <offset> <value>        after it was appended
 *   handled <partition> <offset> <value>         before the next record is asked for
 *   drained                                      nothing was left to handle, and all was committed
 */
import { openSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { EventLog, type Consumer } from '../../src/index.ts'
import type { GroupLife } from './group-kills.ts'

const MEMBERS = 3
const APPENDED_AT_ONCE = 12

const life = JSON.parse(readFileSync(0, 'utf8')) as GroupLife // The parent wrote it.
const journal = openSync(life.journal, 'a')

function tell(...words: readonly (string | number)[]): void {
  writeSync(journal, `${words.join(' ')}\n`)
}

interface Handled {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer | null
}

function handle({ partition, offset, value }: Handled): void {
  tell('handled', partition, offset, value?.toString() ?? 'null')
}

const log = await EventLog.open(life.directory, {
  lockTimeoutMs: 20_000,
  onWarning: () => undefined,
})
const topic = await log.ensureTopic('orders', { partitions: MEMBERS })
const group = log.consumerGroup('workers', {
  topics: ['orders'],
  autoCommit: life.way === 'by hand' ? false : { records: life.uncommitted, intervalMs: 1_000 },
})
tell('life', life.number)
for (const { index, logEndOffset } of topic.partitions) {
  const position = group.offsets().find(({ partition }) => partition === index)
  tell('at', index, position?.offset ?? 0, logEndOffset)
}
process.stdout.write('ready\n')
if (life.isLast) await drain()
else await Promise.all([append(), work()])

async function append(): Promise<void> {
  for (let number = 0; ; number += 1) {
    const partition = topic.partition(number % MEMBERS)
    const records = Array.from({ length: APPENDED_AT_ONCE }, (_, index) => ({
      key: `key-${index % 4}`,
      value: `${life.number}.${number}.${index}`,
    }))
    const { baseOffset } = partition.append(records)
    for (const [index, { value }] of records.entries()) {
      tell('appended', partition.index, baseOffset + index, value)
    }
    await delay(1)
  }
}

async function work(): Promise<void> {
  if (life.way === 'run') {
    const handler = async (record: Handled): Promise<void> => {
      if (record.offset % 7 === 0) await delay(1)
      handle(record)
    }
    await group.run(handler, { members: MEMBERS, concurrency: 4, orderedBy: 'key' }).done
    return
  }
  const members = await Promise.all(Array.from({ length: MEMBERS }, () => group.join()))
  await Promise.all(members.map((member) => handleAll(member)))
}

async function handleAll(member: Consumer): Promise<void> {
  if (life.way === 'by batch') {
    for await (const { records } of member.batches({ max: life.uncommitted })) {
      for (const record of records) handle(record)
    }
    return
  }
  let uncommitted = 0
  for await (const record of member) {
    handle(record)
    uncommitted += 1
    if (life.way === 'by record' || uncommitted < life.uncommitted) continue
    await member.commit()
    uncommitted = 0
  }
}

async function drain(): Promise<void> {
  const member = await group.join()
  await member.ready()
  while (member.lag().total > 0) for (const record of await member.poll()) handle(record)
  await member.leave()
  await log.close()
  tell('drained')
}
