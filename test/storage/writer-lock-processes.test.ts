/**
 * The writer lock between processes: kills, races, threads, cluster workers and a Java process.
 * Children run src/; each answers requests (writer-lock-child.ts).
 */
import { execFile, fork, spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ownIdentity } from '../../src/storage/boot-identity.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import { acquireWriterLock, breakLock, LOCK_MECHANISMS } from '../../src/storage/writer-lock.ts'
import type { LockMechanism } from '../../src/storage/writer-lock.ts'
import { canBeNobody, NOBODY, nobodyNote } from '../support/nobody.ts'
import { compileToPlainSource } from '../support/plain-source.ts'
import type { LockReply, LockRequest } from './writer-lock-child.ts'

const CHILD = compileToPlainSource(
  fileURLToPath(new URL('./writer-lock-child.ts', import.meta.url)),
)
const CLUSTER = compileToPlainSource(
  fileURLToPath(new URL('./writer-lock-cluster.ts', import.meta.url)),
)
const RACERS = 20

const onLinux = process.platform === 'linux'
const hasFileLock = process.platform === 'darwin' || (onLinux && nativeBinding() !== null)
/** Runs what follows in a network and a pid namespace of its own, as a container does. */
const CONTAINER = ['-n', '-p', '-f', '--mount-proc', '--kill-child']
const hasContainers = onLinux && spawnSync('unshare', [...CONTAINER, 'true']).status === 0
const hasJava = spawnSync('java', ['-version']).status === 0
/** What excludes processes here, each by itself. */
const available: readonly LockMechanism[] = LOCK_MECHANISMS.filter(
  (name) => name === 'record' || (name === 'socket' && onLinux) || (name === 'file' && hasFileLock),
)

let directory = ''
/** Started once: they take most of the time here. Tests take from the end what they kill. */
let racers: ChildProcess[] = []
const started: ChildProcess[] = []

beforeAll(async () => {
  racers = await Promise.all(Array.from({ length: RACERS }, () => start()))
}, 60_000)
afterAll(async () => {
  await Promise.all(started.map(kill))
  CHILD.remove()
  CLUSTER.remove()
})

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'streambed-locks-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

interface ChildOptions {
  readonly uid?: number
  readonly execPath?: string
  readonly execArgv?: string[]
}

async function start(options: ChildOptions = {}): Promise<ChildProcess> {
  const child = fork(CHILD.path, options)
  started.push(child)
  await new Promise((resolve, reject) => {
    child.once('message', resolve).once('exit', () => reject(new Error('the child has ended')))
  })
  return child
}

async function takeChild(): Promise<ChildProcess> {
  return racers.pop() ?? (await start())
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function ask(child: ChildProcess, request: LockRequest): Promise<LockReply> {
  const reply = once(child, 'message')
  child.send(request)
  const [message] = (await reply) as [LockReply] // children send nothing else
  return message
}

function openIn(
  child: ChildProcess,
  mechanisms = LOCK_MECHANISMS as readonly LockMechanism[],
): Promise<LockReply> {
  return ask(child, { kind: 'open', directory, mechanisms })
}

async function openHere(
  mechanisms: readonly LockMechanism[],
  lockTimeoutMs = 0,
): Promise<LockReply> {
  try {
    const lock = await acquireWriterLock(directory, {
      lockTimeoutMs,
      mechanisms,
      now: () => 2,
      monotonicNow: () => performance.now(),
      wait: (ms) => delay(ms),
    })
    await lock.release()
    return { outcome: 'open' }
  } catch (error) {
    const { code, details } = error as { code: string; details: unknown } // a LogError
    return { outcome: code, details }
  }
}

describe(`${RACERS} processes`, () => {
  it('racing over a free, dead or half-written record let exactly one through at a time', async () => {
    const recordOnly: readonly LockMechanism[] = ['record']
    const dead = { ...ownIdentity(), processStart: '1', token: 'x', startedAt: 1, directory: '0:0' }
    const rounds = [LOCK_MECHANISMS, ...Array.from({ length: 8 }, () => recordOnly)]
    for (const [round, mechanisms] of rounds.entries()) {
      const left = [null, JSON.stringify({ ...dead, token: `dead-${round}` }), '{"pid":'][round % 3]
      if (left !== null) writeFileSync(join(directory, 'streambed.lock'), left ?? '')
      const replies = await Promise.all(racers.map((racer) => openIn(racer, mechanisms)))
      const winners = racers.filter((_racer, index) => replies[index]?.outcome === 'open')
      expect(replies.filter(({ outcome }) => outcome === 'LOCKED')).toHaveLength(RACERS - 1)
      expect(winners).toHaveLength(1)
      for (const winner of winners) await ask(winner, { kind: 'release' })
    }
    const laps = { kind: 'laps', directory, mechanisms: recordOnly, laps: 3 } as const
    const replies = await Promise.all(racers.map((racer) => ask(racer, laps)))
    expect(new Set(replies.map(({ outcome }) => outcome))).toEqual(new Set(['open']))
  }, 60_000)
})

describe('a writer in another process', () => {
  it('excludes by any of its locks alone, and by none once it is killed', async () => {
    const child = await takeChild()
    expect(await openIn(child)).toEqual({ outcome: 'open' })
    const details = { pid: child.pid, startedAt: 1, directory }
    for (const mechanism of [...available.map((name) => [name]), LOCK_MECHANISMS]) {
      expect(await openHere(mechanism)).toEqual({ outcome: 'LOCKED', details })
    }
    await kill(child)
    for (const mechanism of available)
      expect(await openHere([mechanism])).toEqual({ outcome: 'open' })
    expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'open' })
  })

  it.each(available)(
    'that has nothing but its %s excludes whoever takes all, until killed',
    async (name) => {
      const child = await takeChild()
      expect(await openIn(child, [name])).toEqual({ outcome: 'open' })
      expect(await openHere(LOCK_MECHANISMS)).toMatchObject({ outcome: 'LOCKED' })
      await kill(child)
      expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'open' })
    },
  )

  it('does not stay alive for its lock', async () => {
    const child = await takeChild()
    expect(await openIn(child)).toEqual({ outcome: 'open' })
    child.disconnect()
    await once(child, 'exit')
    expect(child.exitCode).toBe(0)
    expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'open' })
  })

  it.runIf(canBeNobody)(`is READ_ONLY where it may not write${nobodyNote}`, async () => {
    chmodSync(directory, 0o755)
    const child = await start({ uid: NOBODY })
    expect(await openIn(child)).toMatchObject({ outcome: 'READ_ONLY' })
    // Kafka's lock file, writable for all, in a directory that is not.
    writeFileSync(join(directory, '.lock'), '')
    chmodSync(join(directory, '.lock'), 0o666)
    expect(await openIn(child)).toMatchObject({ outcome: 'READ_ONLY' })
  })
})

describe('a writer in another container', () => {
  it.runIf(hasContainers)(
    'excludes by its file lock, and by its record even when it is dead',
    async () => {
      const child = await start({ execPath: 'unshare', execArgv: [...CONTAINER, process.execPath] })
      expect(await openIn(child)).toEqual({ outcome: 'open' })
      const locked = { outcome: 'LOCKED', details: { pid: 1, startedAt: 1, directory } }
      expect(await openHere(['socket'])).toEqual({ outcome: 'open' })
      expect(await openHere(['socket', 'record'])).toEqual(locked)
      if (hasFileLock) {
        expect(await openHere(['file'])).toEqual(locked)
        await expect(breakLock(directory, { now: () => 3 })).rejects.toMatchObject({
          code: 'LOCKED',
        })
      }
      await kill(child)
      expect(await openHere(['socket', 'record'])).toEqual(locked)
      // What was killed is the container's parent; the kernel ends the container soon after.
      if (hasFileLock) expect(await openHere(LOCK_MECHANISMS, 10_000)).toEqual({ outcome: 'open' })
      else await breakLock(directory, { now: () => 3 })
      expect(await openHere(['record'])).toEqual({ outcome: 'open' })
    },
  )
})

describe('a writer in another thread', () => {
  it('excludes this one, until it is terminated', async () => {
    const worker = new Worker(CHILD.path)
    await once(worker, 'message')
    const request: LockRequest = { kind: 'open', directory, mechanisms: LOCK_MECHANISMS }
    worker.postMessage(request)
    expect((await once(worker, 'message'))[0]).toEqual({ outcome: 'open' })
    const details = { pid: process.pid, startedAt: 1, directory }
    expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'LOCKED', details })
    await worker.terminate()
    if (onLinux) expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'open' })
  })
})

describe('two workers of a cluster', () => {
  it.runIf(onLinux)('do not share the socket of one of them', async () => {
    const run = promisify(execFile)
    const { stdout } = await run(process.execPath, [CLUSTER.path, directory])
    expect(JSON.parse(stdout)).toEqual(['LOCKED', 'open'])
  })
})

describe(`a Java process that locks .lock, as a Kafka broker does${hasJava ? '' : ' (skipped: no java)'}`, () => {
  it.runIf(hasJava && hasFileLock)(
    'excludes a writer, and a writer excludes it',
    async () => {
      const source = join(directory, 'Lock.java')
      writeFileSync(
        source,
        `
      import java.nio.channels.*; import java.nio.file.*;
      import static java.nio.file.StandardOpenOption.*;
      class Lock {
        public static void main(String[] names) throws Exception {
          try (FileChannel channel = FileChannel.open(Path.of(names[0]), CREATE, READ, WRITE)) {
            while (System.in.read() >= 0) {
              FileLock lock = channel.tryLock();
              System.out.println(lock == null ? "held" : "locked");
              System.in.read();
              if (lock != null) lock.release();
              System.out.println("free");
            }
          }
        }
      }`,
      )
      const java = spawn('java', [
        '-Xshare:auto',
        '-XX:TieredStopAtLevel=1',
        source,
        join(directory, '.lock'),
      ])
      started.push(java)
      const next = async (): Promise<string> => {
        const line = once(java.stdout, 'data')
        java.stdin.write('.')
        return String((await line)[0]).trim()
      }
      expect(await next()).toBe('locked')
      const details = { pid: java.pid, startedAt: 0, directory }
      expect(await openHere(LOCK_MECHANISMS)).toEqual({ outcome: 'LOCKED', details })
      expect(await next()).toBe('free')
      const lock = await acquireWriterLock(directory, {
        lockTimeoutMs: 0,
        now: () => 2,
        monotonicNow: () => 0,
        wait: () => Promise.resolve(),
      })
      expect(await next()).toBe('held')
      expect(await next()).toBe('free')
      await lock.release()
      expect(await next()).toBe('locked')
    },
    20_000,
  )
})
