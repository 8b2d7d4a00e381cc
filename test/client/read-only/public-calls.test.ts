/**
 * A log that was opened read-only, call by call: beside its writer in the same process, after its
 * writer, and once it is closed. What is on disk is the same before and after.
 */
import { describe, expect, it } from 'vitest'
import { EventLog } from '../../../src/client/event-log.ts'
import { ConsumerGroup } from '../../../src/client/groups/consumer-group.ts'
import { GroupAdministration } from '../../../src/client/groups/group-admin.ts'
import { Partition } from '../../../src/client/partition.ts'
import { Producer } from '../../../src/client/producer.ts'
import { Topic } from '../../../src/client/topic.ts'
import { LogError } from '../../../src/errors/log-error.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'
import { closeWhenDone } from '../open-log.ts'
import { stateOf } from './directory-state.ts'
import {
  ADMIN_CALLS,
  GROUP_CALLS,
  LOG_CALLS,
  PARTITION_CALLS,
  PRODUCER_CALLS,
  TOPIC_CALLS,
  type PublicCall,
  type ReadOnlyWorld,
} from './public-calls.ts'

const WRITERS = ['beside its writer', 'after its writer'] as const

/** A writer's log with a compacted topic, a group that has committed, and a reader of it. */
async function worldOf(writers: (typeof WRITERS)[number]): Promise<{
  readonly world: ReadOnlyWorld
  readonly directory: string
}> {
  const directory = temporaryDirectory()
  const writer = await EventLog.open(directory, { housekeepingIntervalMs: null })
  const written = await writer.createTopic('t', { cleanupPolicy: 'compact' })
  const partition = written.partition(0)
  for (let n = 0; n < 5; n += 1) partition.append({ key: `k${n}`, value: `v${n}` })
  const consumer = await writer.consumerGroup('g', { topics: ['t'] }).join()
  await consumer.poll({ max: 3 })
  await consumer.commit()
  await consumer.leave()
  if (writers === 'after its writer') await writer.close()
  else closeWhenDone(writer)
  const log = await EventLog.open(directory, { readOnly: true })
  closeWhenDone(log)
  const topic = log.topic('t')
  const admin = log.consumerGroup('g')
  if (!(admin instanceof GroupAdministration)) throw new Error('it is the administration')
  const group = log.consumerGroup('g', { topics: ['t'] })
  if (!(group instanceof ConsumerGroup)) throw new Error('it is a group')
  const producer = log.producer()
  return {
    world: { log, topic, partition: topic.partition(0), producer, group, admin },
    directory,
  }
}

/** What a call ended in, and how. */
async function outcomeOf({ call }: PublicCall, world: ReadOnlyWorld): Promise<string> {
  let result: unknown
  try {
    result = call(world)
  } catch (error) {
    return `throws ${codeOf(error)}`
  }
  try {
    await result
    return 'works'
  } catch (error) {
    return `rejects ${codeOf(error)}`
  }
}

function codeOf(error: unknown): string {
  if (LogError.is(error)) return error.code
  throw error
}

const CLASSES = [
  { name: 'EventLog', calls: LOG_CALLS, prototype: EventLog.prototype },
  { name: 'Topic', calls: TOPIC_CALLS, prototype: Topic.prototype },
  { name: 'Partition', calls: PARTITION_CALLS, prototype: Partition.prototype },
  { name: 'Producer', calls: PRODUCER_CALLS, prototype: Producer.prototype },
  { name: 'ConsumerGroup', calls: GROUP_CALLS, prototype: ConsumerGroup.prototype },
  { name: 'GroupAdmin', calls: ADMIN_CALLS, prototype: GroupAdministration.prototype },
] as const

/** Calls that have tests of their own, or end what they are called on. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  EventLog: ['share', 'shareGroup', 'close'],
  Topic: ['rename'], // Refused whatever the log.
  Producer: ['close', 'shutdown', 'abandon'],
}
/** Of a producer, these are fields. */
const FIELDS: Readonly<Record<string, readonly string[]>> = { Producer: ['send', 'sendAll'] }

describe.each(CLASSES)('$name of a read-only log', ({ name, calls, prototype }) => {
  it('has no call but those that are tried here', () => {
    const own = Object.getOwnPropertyNames(prototype).filter((one) => one !== 'constructor')
    const all = [...own, ...(FIELDS[name] ?? [])].sort()
    expect([...Object.keys(calls), ...(ELSEWHERE[name] ?? [])].sort()).toEqual(all)
  })

  it.each(WRITERS)('answers, or refuses with READ_ONLY, %s', async (writers) => {
    const { world, directory } = await worldOf(writers)
    const before = stateOf(directory)
    for (const [call, expected] of Object.entries(calls)) {
      expect(`${call} ${await outcomeOf(expected, world)}`).toBe(`${call} ${expected.does}`)
    }
    if (writers === 'after its writer') expect(stateOf(directory)).toEqual(before)
  })

  it('is CLOSED once the log is, and keeps what it knew', async () => {
    const { world } = await worldOf('beside its writer')
    const before = new Map<string, unknown>()
    for (const [call, { closed, call: make }] of Object.entries(calls)) {
      if (closed === 'kept' && call !== 'isOpen') before.set(call, make(world))
    }
    await world.log.close()
    for (const [call, expected] of Object.entries(calls)) {
      if (expected.closed === 'kept') {
        if (before.has(call)) expect(expected.call(world)).toEqual(before.get(call))
        continue
      }
      expect(`${call} ${await outcomeOf(expected, world)}`).toMatch(/(throws|rejects) CLOSED$/)
    }
  })
})
