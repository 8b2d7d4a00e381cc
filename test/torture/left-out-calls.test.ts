/**
 * The replay can fail: for each rule on the order of syncs, a recording in which the calls that
 * keep it count as never made, and a loss of power that breaks the promise. power-loss.test.ts
 * replays such recordings with all of their calls and finds none.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runSeed } from '../support/seeded-random.ts'
import { LOG_BELOW_ROOT, memoryDirectory, replay, type Recording } from './power-loss.ts'
import { Recordings } from './recordings.ts'
import type { TracedCall } from './trace-disk.ts'

const LOG = LOG_BELOW_ROOT
const SEALED = '/events-0/00000000000000000000.log'
/** Syncs of .log files before the one that fails: of new partitions none, and the first flush. */
const SYNCS_BEFORE = 1

interface Rule {
  readonly name: string
  readonly recording: 'script' | 'failing sync' | 'positions'
  readonly leavesOut: (call: TracedCall) => boolean
  /** What is found then. */
  readonly violation: RegExp
}

const isSync = ({ action }: TracedCall): boolean => action === 'sync' || action === 'sync names'
const isSyncOf = (call: TracedCall, end: string): boolean => isSync(call) && call.path.endsWith(end)
const isSyncOfLog = (call: TracedCall): boolean => isSyncOf(call, '.log')
const isPartition = (path: string): boolean => /\/events-\d$/.test(path)
const isSyncOfRoot = (call: TracedCall): boolean => isSyncOf(call, LOG)

const RULES: readonly Rule[] = [
  {
    name: 'a sealed file is synced before what follows it counts as durable',
    recording: 'script',
    leavesOut: (call) => isSyncOf(call, SEALED),
    violation: /lost|damaged|acknowledged/,
  },
  {
    name: 'the newest file is synced before what it holds counts as durable',
    recording: 'script',
    leavesOut: (call) => isSyncOfLog(call) && !call.path.endsWith(SEALED),
    violation: /lost|damaged|acknowledged/,
  },
  {
    name: 'the name of a new segment is synced before what it holds counts as durable',
    recording: 'script',
    leavesOut: (call) => isSync(call) && isPartition(call.path) && call.during !== 'creating',
    violation: /lost|damaged|acknowledged/,
  },
  {
    name: 'the files of a folder are synced before metadata.json names the topic',
    recording: 'script',
    leavesOut: (call) => isSyncOf(call, '/partition.metadata'),
    violation: /its folder says/,
  },
  {
    name: 'the names of folders are synced before metadata.json names the topic',
    recording: 'script',
    leavesOut: (call) => isSyncOfRoot(call) && call.during !== 'opening',
    violation: /lost|damaged|partitions/,
  },
  {
    name: 'metadata.json is synced before it takes the place of the old one',
    recording: 'script',
    leavesOut: (call) => isSyncOf(call, '/metadata.json.tmp'),
    violation: /lost|partitions|segmentBytes/,
  },
  {
    name: 'the names above the log are synced before anything is promised',
    recording: 'script',
    leavesOut: (call) => isSync(call) && (call.path === '' || call.path === 'above'),
    violation: /lost|found clean/,
  },
  {
    name: 'the clean marker is gone for good before anything is written',
    recording: 'script',
    leavesOut: (call) => isSyncOfRoot(call) && call.during === 'opening',
    violation: /found clean/,
  },
  {
    name: 'a leader epoch is synced before the first batch of it',
    recording: 'script',
    leavesOut: syncsOfEpochs(),
    violation: /epoch/,
  },
  {
    name: 'the start of the log is synced before anybody is told of it',
    recording: 'script',
    leavesOut: (call) => isSyncOf(call, '/log-start-offset-checkpoint.tmp'),
    violation: /lost its start/,
  },
  {
    name: 'checkpoints forget a topic that is deleted before its name can be used again',
    recording: 'script',
    leavesOut: ({ action, path, during }) =>
      action === 'rename' && path.endsWith('-offset-checkpoint') && during === 'deleting',
    violation: /lost|damaged/,
  },
  {
    name: 'everything is synced before the clean marker vouches for it',
    recording: 'script',
    leavesOut: (call) => isSyncOfLog(call) && call.during === 'closing',
    violation: /./,
  },
  {
    name: 'what recovery accepts is synced before the open counts it as durable',
    recording: 'script',
    leavesOut: (call) => isSyncOfLog(call) && call.during === 'opening',
    violation: /lost|damaged|acknowledged/,
  },
  {
    name: 'a position is synced before its commit counts as durable',
    recording: 'positions',
    leavesOut: (call) => isSyncOfLog(call) && call.path.includes('/__consumer_offsets-'),
    violation: /position/,
  },
  {
    name: 'the data below a position is synced before its commit counts as durable',
    recording: 'positions',
    leavesOut: (call) => isSyncOfLog(call) && call.path.includes('/events-1/'),
    violation: /position|lost/,
  },
  {
    name: 'what recovery accepts is written again, where a failed sync had dropped it',
    recording: 'failing sync',
    leavesOut: ({ action, path, during }) =>
      action === 'write' && path.endsWith('.log') && during === 'opening',
    violation: /lost|damaged|acknowledged/,
  },
]

/** The file with a new epoch, and the sync of its new name, which comes next in its folder. */
function syncsOfEpochs(): Rule['leavesOut'] {
  const folders = new Set<string>()
  return (call) => {
    if (!isSync(call) || call.during !== 'opening') return false
    const file = '/leader-epoch-checkpoint.tmp'
    if (call.path.endsWith(file)) folders.add(call.path.slice(0, -file.length))
    return call.path.endsWith(file) || folders.delete(call.path)
  }
}

const base = mkdtempSync(join(memoryDirectory(), 'streambed-left-out-'))
const recordings = new Recordings(base, runSeed)
const recorded = new Map<Rule['recording'], Recording>()

beforeAll(async () => {
  const unclean = { closesAfter: null }
  recorded.set('script', await recordings.ofLives([{}, unclean, unclean, {}]))
  recorded.set('positions', await recordings.ofLives([{ work: 'positions', ...unclean }]))
  const failing = { work: 'failing sync', ...unclean, failingSync: SYNCS_BEFORE } as const
  recorded.set('failing sync', await recordings.ofLives([failing, unclean]))
}, 120_000)

afterAll(async () => {
  await recordings.end()
  rmSync(base, { recursive: true })
})

describe('a recording without the calls that keep a rule', () => {
  it.each(RULES)('shows that $name', async ({ recording: name, leavesOut, violation }) => {
    const recording = recorded.get(name)
    expect(recording).toBeDefined()
    if (recording === undefined) return
    const result = await replay(recording, { directory: base, seed: 1, disks: 0, leavesOut })
    expect(result.violation).toMatch(violation)
  })

  it('is found wrong for nothing but that: with all its calls it keeps its promises', async () => {
    const recording = recorded.get('failing sync')
    expect(recording).toBeDefined()
    if (recording === undefined) return
    const { violation } = await replay(recording, { directory: base, seed: 1, disks: 0 })
    expect(violation).toBeNull()
  })
})
