/**
 * The child of the torture tests: opens a log, tells the parent all that is in it, and works until
 * it is killed. It tells what it is about to do before it does it, and what was acknowledged at
 * once after, so that the parent knows all that may be and all that must be in the log.
 */
import { readFileSync } from 'node:fs'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { EventLog, LogError } from '../../src/index.ts'
import type { Partition } from '../../src/index.ts'
import { checkedSequence } from './crash-record.ts'
import { partitionName, positionsReport, report, topicReports } from './crash-report.ts'
import type { LifePlan, LifeReport, Stage, Work } from './crash-report.ts'
import { commitPositions, runScript, syncTwice } from './crash-script.ts'
import { CrashWork, MAIN_TOPIC } from './crash-work.ts'
import { FsRecorder } from './fs-recorder.ts'
import { killAtCall } from './self-kill.ts'

const CHANGING_TOPICS = ['orders', 'invoices', 'notes']
const MAX_IN_FLIGHT = 200
const LEAST_SEGMENT_BYTES = 16_384
const CALM_PAUSE_MS = 8

const plan = JSON.parse(readFileSync(0, 'utf8')) as LifePlan // The parent wrote it.
let isClosing = false

const recorder = plan.trace === null ? null : FsRecorder.start(plan.trace)
enter('opening')
const log = await EventLog.open(plan.directory, {
  lockTimeoutMs: plan.lockTimeoutMs,
  offsetsTopicNumPartitions: 2,
  onWarning: ({ code, message }) => {
    if (code === 'HOUSEKEEPING_FAILED' && plan.roomIsScarce) return
    if (code === 'PARTITION_READ_ONLY' && plan.trace?.failingSync !== undefined) return
    if (code !== 'RECOVERED' && code !== 'CONFIG_CHANGED') fail(`warning ${code}: ${message}`)
  },
})
const work = new CrashWork(log, plan, fail)
live().catch(fail)

async function live(): Promise<void> {
  tellOpened()
  for (const topic of log.topics()) for (const partition of topic.partitions) tellRecords(partition)
  report({ is: 'read' })
  if (plan.work === 'endless') await workAtRandom()
  else await workByScript(plan.work)
  if (plan.closesAfter === null) return end('SIGKILL')
  report({ is: 'closing' })
  isClosing = true
  enter('closing')
  await log.close()
  report({ is: 'closed' })
  end(null) // Topics may still be changing; they find a closed log.
}

async function workAtRandom(): Promise<void> {
  const topic =
    log.topics().find(({ name }) => name === MAIN_TOPIC) ?? (await work.create(MAIN_TOPIC))
  enter('working')
  // The script leaves segments so small that many records would be thousands of files.
  if (topic.config.segmentBytes < LEAST_SEGMENT_BYTES) await work.alter(topic)
  if (plan.changesTopics) changeTopics().catch(fail)
  const write = work.writingTo(topic)
  while (plan.closesAfter === null || work.acknowledgedCount < plan.closesAfter) {
    if (work.inFlight < MAX_IN_FLIGHT) await write(1 + work.random.below(24))
    // What nothing waits for would run away while the parent looks elsewhere, and what changes
    // topics would wait for the syncs of thousands of segments.
    const mustWait = plan.writing !== 'acks all' || plan.roomIsScarce
    const pauseMs = plan.changesTopics && mustWait ? CALM_PAUSE_MS : 1
    await (mustWait || work.inFlight >= MAX_IN_FLIGHT ? delay(pauseMs) : setImmediate())
    // The main topic's records go as well, now and then.
    if (plan.changesTopics && work.random.below(40) === 0) {
      work.removeSome(topic, work.random.below(topic.partitions.length)).catch(fail)
    }
  }
}

async function workByScript(script: Exclude<Work, 'endless'>): Promise<void> {
  enter('working')
  if (script === 'script') return await runScript(work)
  await (script === 'positions' ? commitPositions(work) : syncTwice(work))
}

/** Topics come, take some records, change and go; their names come again. */
async function changeTopics(): Promise<void> {
  enter('changing topics')
  const { random } = work
  for (;;) {
    const name = CHANGING_TOPICS[random.below(CHANGING_TOPICS.length)] ?? ''
    const known = log.topics().find((one) => one.name === name)
    const topic =
      random.below(3) === 0 ? await work.ensure(name) : (known ?? (await work.create(name)))
    for (const partition of topic.partitions) await work.sendDurably(topic, partition.index)
    switch (random.below(6)) {
      case 0:
        await work.alter(topic)
        break
      case 1:
        await work.grow(topic, topic.partitions.length + 1)
        break
      case 2:
        await work.removeSome(topic, random.below(topic.partitions.length))
        break
      case 3:
      case 4:
        await work.delete(name)
        break
      default:
        break
    }
  }
}

// ------------------------------------------------------------------- reading

function tellOpened(): void {
  const { clean, partitions } = log.recovery
  const damage = partitions.flatMap((partition) => partition.damage).length
  const cuts = partitions
    .filter(({ cutAtOffset }) => cutAtOffset !== null)
    .map(({ topic, partition, cutBytes, cutAtOffset }) => {
      return [partitionName(topic, partition), cutBytes, cutAtOffset ?? 0] as const
    })
  const positions = positionsReport(log)
  report({ is: 'opened', clean, damage, cuts, topics: topicReports(log), positions })
}

function tellRecords(partition: Partition): void {
  const name = partitionName(partition.topic, partition.index)
  const reports: LifeReport[] = []
  // A damaged log may end before what is known; the parent sees that by its end.
  const known = Math.min(plan.known[name] ?? 0, partition.logEndOffset)
  for (const record of partition.records({ from: Math.max(known, partition.logStartOffset) })) {
    const { offset, leaderEpoch } = record
    reports.push({ is: 'record', name, offset, sequence: checkedSequence(record), leaderEpoch })
  }
  report(...reports)
}

// -------------------------------------------------------------------- ending

function enter(stage: Stage): void {
  if (plan.selfKill?.stage === stage) killAtCall(plan.selfKill.calls, plan.selfKill.phase)
}

function end(signal: 'SIGKILL' | null): void {
  recorder?.save()
  if (signal === null) process.exit(0)
  process.kill(process.pid, signal)
}

function fail(reason: unknown): void {
  // While the log closes, what changes topics is turned away.
  if (isClosing && LogError.is(reason, 'CLOSED')) return
  const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
  report({ is: 'failed', reason: text })
  process.exit(1)
}
