/**
 * A reader beside a writer, in a process or a worker thread of its own: started by followers.ts,
 * which says what it does. It says when it follows, and what it saw when it has seen all.
 *
 * Times are those of process.hrtime, whose clock all processes of a machine share.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync, watch } from 'node:fs'
import { join } from 'node:path'
import { setPriority } from 'node:os'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import type * as Package from '../dist/index.js'
import {
  type FollowerErrand,
  type FollowerMessage,
  type FollowerReport,
  STOP,
} from './contestants/followers.ts'
import { BARE_FILE, loadStreambed, OTHER_TOPIC, TOPIC } from './contestants/streambed.ts'
import { crc32Of, Dataset, mustEqual, touch } from './runner/dataset.ts'

const STAMP_BYTES = 8
const LOWEST_PRIORITY = 19

// Written by followers.ts, both of them.
const errand = (isMainThread ? JSON.parse(process.argv[2] ?? '{}') : workerData) as FollowerErrand
const { directory, recordCount, warmUpCount } = errand
const dataset = new Dataset(errand.valueBytes)

/** What this reader takes from its warm-up on. */
class Account {
  readonly latenciesNs: number[] = []
  #cpuNs = 0
  #wallNs = 0

  start(): void {
    this.#cpuNs = cpuNs()
    this.#wallNs = nowNs()
  }

  /** A record that was stamped when it was appended. */
  take(stamped: Buffer): void {
    this.latenciesNs.push(nowNs() - stamped.readDoubleBE(0))
  }

  report(): FollowerReport {
    const doneAtNs = nowNs()
    const latenciesNs = this.latenciesNs.toSorted((a, b) => a - b)
    return { doneAtNs, cpuNs: cpuNs() - this.#cpuNs, wallNs: doneAtNs - this.#wallNs, latenciesNs }
  }
}

function say(message: FollowerMessage): void {
  if (parentPort === null) process.send?.(message)
  else parentPort.postMessage(message)
}

function nowNs(): number {
  return Number(process.hrtime.bigint())
}

/** Of this process, or of this thread alone where there are others in it. */
function cpuNs(): number {
  if (!isMainThread)
    return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0])
  const { user, system } = process.cpuUsage()
  return (user + system) * 1_000
}

async function opened(): Promise<Package.EventLog> {
  const { EventLog } = await loadStreambed()
  if (errand.handle !== undefined) return EventLog.attach(errand.handle)
  return EventLog.open(directory, { readOnly: true })
}

/** Reads everything; what it read is compared with what was written. */
async function read(): Promise<FollowerReport> {
  const log = await opened()
  const partition = log.topic(TOPIC).partition(0)
  const account = new Account()
  say({ kind: 'follows' })
  let visited = 0
  let sum = 0
  for await (const { value } of partition.read({ live: true })) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
    if (visited === warmUpCount) account.start()
    if (visited === recordCount) break
  }
  const report = account.report()
  mustEqual(sum, dataset.touched(0, recordCount), 'sum over the values read')
  check(partition)
  await log.close()
  return report
}

function check(partition: Package.Partition): void {
  let crc = 0
  const visited = partition.scan(({ buffer, keyStart, keyLength, valueStart, valueLength }) => {
    const key = buffer.subarray(keyStart, keyStart + keyLength)
    crc = crc32Of(crc, key, buffer.subarray(valueStart, valueStart + valueLength))
  })
  mustEqual(visited, recordCount, 'records read again')
  mustEqual(crc, dataset.crc32(recordCount), 'checksum of what was read')
}

/** One record at a time: how long after its append it is here. */
async function wake(): Promise<FollowerReport> {
  const log = await opened()
  const account = new Account()
  const stream = log.topic(TOPIC).partition(0).read({ live: true, from: 'latest' })
  say({ kind: 'follows' })
  let seen = 0
  for await (const { value } of stream) {
    if (seen === warmUpCount) account.start()
    if (value !== null && seen >= warmUpCount) account.take(value)
    seen += 1
    if (seen === recordCount) break
  }
  const report = account.report()
  await log.close()
  return report
}

/** As `wake`, with nothing between a file that is written and the one who watches it. */
function watchBareFile(): Promise<FollowerReport> {
  const path = join(directory, BARE_FILE)
  const descriptor = openSync(path, 'r')
  const bytes = Buffer.alloc(2 * STAMP_BYTES)
  const account = new Account()
  let seenNumber = -1
  return new Promise((resolve) => {
    const watcher = watch(path, () => {
      readSync(descriptor, bytes, 0, bytes.length, 0)
      const number = bytes.readDoubleBE(STAMP_BYTES)
      if (number === seenNumber) return
      seenNumber = number
      if (number >= warmUpCount) {
        if (account.latenciesNs.length === 0) account.start() // One event may tell of two writes.
        account.take(bytes)
      }
      if (number < recordCount - 1) return
      watcher.close()
      closeSync(descriptor)
      resolve(account.report())
    })
    say({ kind: 'follows' })
  })
}

/** Does something with a reader for each of its logs, and ends when it is told to stop. */
async function untilStopped(
  reads: (log: Package.EventLog, stop: Stop) => Promise<void>,
): Promise<FollowerReport> {
  stepBack()
  const logs = await Promise.all(Array.from({ length: errand.logCount }, opened))
  const account = new Account()
  account.start()
  const stop = new Stop()
  const reading = logs.map((log) => reads(log, stop))
  say({ kind: 'follows' })
  await Promise.all(reading)
  const report = account.report()
  await Promise.all(logs.map((log) => log.close()))
  return report
}

/** Whether this process was told to stop, and whom that concerns. */
class Stop {
  isSaid = false
  readonly #streams: AsyncIterator<unknown>[] = []

  constructor() {
    process.once('message', (said) => {
      if (said !== STOP) throw new Error('nothing else is said')
      this.isSaid = true
      for (const stream of this.#streams) void stream.return?.()
    })
  }

  /** Ends a stream then, also one that waits. */
  ends<T extends AsyncIterator<unknown>>(stream: T): T {
    this.#streams.push(stream)
    return stream
  }
}

/** It need not have come to read anything: the cores are others' first. */
async function follow(log: Package.EventLog, stop: Stop): Promise<void> {
  await readSome(log.topic(TOPIC).partition(0).read({ live: true }), stop)
}

async function wait(log: Package.EventLog, stop: Stop): Promise<void> {
  const visited = await readSome(log.topic(OTHER_TOPIC).partition(0).read({ live: true }), stop)
  mustEqual(visited, 0, 'records of a topic that has none')
}

async function reread(log: Package.EventLog, stop: Stop): Promise<void> {
  while (!stop.isSaid) {
    const visited = await readSome(log.topic(TOPIC).partition(0).read(), stop)
    if (!stop.isSaid) mustEqual(visited, recordCount, 'records read')
  }
}

/** Returns how many it has read, which must be the first ones. */
async function readSome(
  stream: AsyncIterableIterator<Package.LogRecord>,
  stop: Stop,
): Promise<number> {
  let visited = 0
  let sum = 0
  for await (const { value } of stop.ends(stream)) {
    if (value !== null) sum += touch(value, 0, value.length)
    visited += 1
  }
  mustEqual(sum, dataset.touched(0, visited), 'sum over the values read')
  return visited
}

/** Gives way to everybody: with util-linux' `chrt`, which Linux has, all of it, else nearly. */
function stepBack(): void {
  setPriority(LOWEST_PRIORITY)
  try {
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(process.pid)])
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error
  }
}

function run(): Promise<FollowerReport> {
  switch (errand.does) {
    case 'read':
      return read()
    case 'wake':
      return wake()
    case 'watch':
      return watchBareFile()
    case 'follow':
      return untilStopped(follow)
    case 'wait':
      return untilStopped(wait)
    case 'reread':
      return untilStopped(reread)
  }
}

run().then(
  (report) => say({ kind: 'done', report }),
  (error: unknown) =>
    say({ kind: 'failed', reason: error instanceof Error ? (error.stack ?? '') : String(error) }),
)
