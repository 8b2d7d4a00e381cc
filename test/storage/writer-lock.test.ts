/** The writer lock: what excludes whom, which records are dead, and what the refused are told. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { LogError } from '../../src/errors/log-error.ts'
import { networkNamespace, ownIdentity, processStart } from '../../src/storage/boot-identity.ts'
import type { LockRecord } from '../../src/storage/lock-record.ts'
import { nativeBinding } from '../../src/storage/native-binding.ts'
import {
  acquireWriterLock,
  breakLock,
  LOCK_FILE,
  LOCK_MECHANISMS,
} from '../../src/storage/writer-lock.ts'
import type { LockMechanism, WriterLock, WriterLockOptions } from '../../src/storage/writer-lock.ts'

const RECORD = 'streambed.lock'
const onLinux = process.platform === 'linux'
/** The kernel locks that this machine has. */
const hasFileLock = process.platform === 'darwin' || (onLinux && nativeBinding() !== null)

let root = ''
let directory = ''
let held: WriterLock[] = []

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'streambed-lock-'))
  directory = join(root, 'data')
  mkdirSync(directory)
  held = []
})
afterEach(async () => {
  for (const lock of held) await lock.release()
  rmSync(root, { recursive: true })
})

const patience: WriterLockOptions = {
  lockTimeoutMs: 0,
  now: () => 1_767_225_600_000,
  monotonicNow: () => 0,
  wait: () => Promise.reject(new Error('nothing to wait for')),
}

async function open(
  path = directory,
  mechanisms: readonly LockMechanism[] = LOCK_MECHANISMS,
): Promise<WriterLock> {
  const lock = await acquireWriterLock(path, { ...patience, mechanisms })
  held.push(lock)
  return lock
}

async function errorOf(promise: Promise<unknown>): Promise<LogError> {
  const error = await promise.then(
    () => 'no error',
    (reason: unknown) => reason,
  )
  if (error instanceof LogError) return error
  throw new Error(`expected a LogError, got ${String(error)}`)
}

function identityOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true })
  return `${dev}:${ino}`
}

/** Leaves a record of this very process, but for `fields`. */
function leaveRecord(fields: Partial<LockRecord>, path = directory): void {
  const record: LockRecord = {
    ...ownIdentity(),
    token: 'left',
    startedAt: 5,
    directory: identityOf(path),
    socketScope: null,
    lockedFile: null,
    ...fields,
  }
  writeFileSync(join(path, RECORD), JSON.stringify(record))
}

describe('acquireWriterLock', () => {
  it('refuses a second opener with the process, start and directory of the first', async () => {
    const first = await open()
    expect(first.kind).toBe(onLinux || hasFileLock ? 'kernel' : 'portable')
    const error = await errorOf(open())
    expect(error.code).toBe('LOCKED')
    expect(error.retriable).toBe(true)
    expect(error.details).toEqual({ pid: process.pid, startedAt: patience.now(), directory })
    await first.release()
    await first.release()
    await open()
  })

  it('removes its record at release and leaves the empty file that Kafka locks', async () => {
    const lock = await open()
    expect(readdirSync(directory)).toEqual([LOCK_FILE, RECORD])
    expect(lock.kind).toBe('kernel')
    await lock.release()
    expect(readdirSync(directory)).toEqual([LOCK_FILE])
    expect(readFileSync(join(directory, LOCK_FILE))).toHaveLength(0)
    expect(lock.kind).toBe('kernel')
  })

  it('takes another path to the same directory for the same, and a second directory for another', async () => {
    await open()
    symlinkSync(directory, join(root, 'link'))
    expect((await errorOf(open(join(root, 'link')))).code).toBe('LOCKED')
    mkdirSync(join(root, 'other'))
    await open(join(root, 'other'))
  })

  it('shares the table of this process with other copies of the module', async () => {
    await open(directory, ['process'])
    vi.resetModules()
    const copy = await import('../../src/storage/writer-lock.ts')
    expect(copy.acquireWriterLock).not.toBe(acquireWriterLock)
    const second = copy.acquireWriterLock(directory, { ...patience, mechanisms: ['process'] })
    await expect(second).rejects.toMatchObject({ code: 'LOCKED' })
  })

  it('lets exactly one of many openers in one process through', async () => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => open()))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  it('is IO without a directory, with the cause', async () => {
    const error = await errorOf(open(join(root, 'missing')))
    expect(error.code).toBe('IO')
    expect(error.cause).toMatchObject({ code: 'ENOENT' })
  })

  it.runIf(onLinux)('hangs up on whoever connects to its socket', async () => {
    await open()
    const name = `\0streambed-${identityOf(directory).replace(':', '-')}-`.padEnd(108, '.')
    const client = connect({ path: name })
    await new Promise((resolve) => client.once('close', resolve).resume())
  })
})

describe('acquireWriterLock with any two sets of mechanisms', () => {
  const sets = Array.from({ length: 15 }, (_, index) =>
    LOCK_MECHANISMS.filter((_name, bit) => ((index + 1) >> bit) & 1),
  )
  const available = LOCK_MECHANISMS.filter((name) =>
    name === 'file' ? hasFileLock : name !== 'socket' || onLinux,
  )

  it.each(sets)('excludes whoever shares one with %s %s %s %s', async (...names) => {
    const mine = names.filter((name) => name !== undefined)
    const first = await open(directory, mine)
    for (const theirs of sets) {
      const isShared = theirs.some((name) => mine.includes(name) && available.includes(name))
      const attempt = acquireWriterLock(directory, { ...patience, mechanisms: theirs })
      const outcome = await attempt.then(
        async (second) => {
          await second.release()
          return 'open'
        },
        (error: unknown) => (LogError.is(error) ? error.code : String(error)),
      )
      expect(`${theirs.join()}: ${outcome}`).toBe(
        `${theirs.join()}: ${isShared ? 'LOCKED' : 'open'}`,
      )
    }
    await first.release()
    await open()
  })
})

describe('lockTimeoutMs', () => {
  /** Time passes only by waiting. */
  function waiting(
    lockTimeoutMs: number,
    onWait: (timeMs: number) => Promise<void>,
  ): WriterLockOptions {
    let timeMs = 1000
    return {
      ...patience,
      lockTimeoutMs,
      monotonicNow: () => timeMs,
      wait: (ms) => onWait((timeMs += ms)),
    }
  }

  it('waits for the holder to close', async () => {
    const first = await open()
    const options = waiting(1000, (timeMs) => (timeMs > 1200 ? first.release() : Promise.resolve()))
    held.push(await acquireWriterLock(directory, options))
  })

  it('gives up when it is over, and never waits past it', async () => {
    await open()
    let lastMs = 0
    const options = waiting(110, (timeMs) => {
      lastMs = timeMs
      return Promise.resolve()
    })
    expect((await errorOf(acquireWriterLock(directory, options))).code).toBe('LOCKED')
    expect(lastMs).toBe(1110)
  })

  it('leaves nothing taken when waiting fails', async () => {
    const first = await open()
    const options = waiting(110, () => Promise.reject(new LogError('ABORTED', 'aborted', {})))
    expect((await errorOf(acquireWriterLock(directory, options))).code).toBe('ABORTED')
    await first.release()
    await open()
  })
})

describe('a record that was left', () => {
  const recordOnly: readonly LockMechanism[] = ['record']

  it.runIf(onLinux)('by a living process locks, whatever kernel locks are free', async () => {
    leaveRecord({ pid: process.ppid, processStart: processStart(process.ppid) })
    expect((await errorOf(open())).code).toBe('LOCKED')
  })

  it.runIf(onLinux).each([
    ['another boot', { bootId: 'another' }],
    ['a process whose pid another one has now', { processStart: '1' }],
    ['another directory, of which this is a copy', { directory: '1:2' }],
  ])('by %s is dead', async (_what, fields) => {
    leaveRecord(fields)
    const lock = await open(directory, recordOnly)
    expect(lock.kind).toBe('portable')
  })

  it.each(['', '{"pid":', '\0\0\0\0'])('half written, as %j, is dead', async (text) => {
    writeFileSync(join(directory, RECORD), text)
    await open(directory, recordOnly)
  })

  it('names itself in full, so that others can tell', async () => {
    await open()
    const record: unknown = JSON.parse(readFileSync(join(directory, RECORD), 'utf8'))
    expect(record).toMatchObject({
      ...ownIdentity(),
      startedAt: patience.now(),
      directory: identityOf(directory),
      ...(onLinux && { socketScope: networkNamespace() }),
      ...(hasFileLock && { lockedFile: identityOf(join(directory, LOCK_FILE)) }),
    })
  })

  it('in a copy of a directory that is open does not lock the copy', async () => {
    await open()
    cpSync(directory, join(root, 'copy'), { recursive: true })
    expect(existsSync(join(root, 'copy', RECORD))).toBe(true)
    await open(join(root, 'copy'), recordOnly)
    expect((await errorOf(open(directory, recordOnly))).code).toBe('LOCKED')
  })

  it('by another container locks until breakLock, and the message says so', async () => {
    leaveRecord({ pid: 1, pidNamespace: 'pid:[1]' })
    const error = await errorOf(open())
    expect(error.code).toBe('LOCKED')
    expect(error.details).toEqual({ pid: 1, startedAt: 5, directory })
    expect(error.message).toContain('EventLog.breakLock')
    await breakLock(directory, patience)
    expect(readdirSync(directory)).toEqual([LOCK_FILE])
    await open()
  })

  it.runIf(onLinux)('by another container is dead once its socket is in our hands', async () => {
    leaveRecord({ pid: 1, pidNamespace: 'pid:[1]', socketScope: networkNamespace() })
    await open(directory, ['socket', 'record'])
  })

  it.runIf(hasFileLock)(
    'by another container is dead once its file lock is in our hands',
    async () => {
      const first = await open(directory, ['file', 'record'])
      const lockedFile = identityOf(join(directory, LOCK_FILE))
      await first.release()
      leaveRecord({ pid: 1, pidNamespace: 'pid:[1]', lockedFile })
      await open(directory, ['file', 'record'])
    },
  )

  it.runIf(hasFileLock)('tells nothing where the locked file was removed since', async () => {
    leaveRecord({ pid: 1, pidNamespace: 'pid:[1]', lockedFile: '1:2' })
    expect((await errorOf(open(directory, ['file', 'record']))).code).toBe('LOCKED')
  })

  it.runIf(onLinux)(
    'by a thread of this process is dead once its lock is in our hands',
    async () => {
      leaveRecord({})
      expect((await errorOf(open())).code).toBe('LOCKED')
      leaveRecord({ socketScope: networkNamespace() })
      await open()
    },
  )
})

describe('breakLock', () => {
  it('is refused while the holder is alive', async () => {
    for (const mechanism of LOCK_MECHANISMS) {
      if (mechanism === 'file' && !hasFileLock) continue
      if (mechanism === 'socket' && !onLinux) continue
      const lock = await open(directory, [mechanism])
      expect((await errorOf(breakLock(directory, patience))).code).toBe('LOCKED')
      await lock.release()
    }
  })

  it('does nothing where no lock is, and is IO without a directory', async () => {
    await breakLock(directory, patience)
    expect(readdirSync(directory)).toEqual([])
    expect((await errorOf(breakLock(join(root, 'missing'), patience))).code).toBe('IO')
  })

  it('leaves the record of the next holder alone when the broken one closes after all', async () => {
    const first = await open(directory, ['record'])
    leaveRecord({ pid: 1, pidNamespace: 'pid:[1]' })
    await breakLock(directory, patience)
    await open()
    await first.release()
    expect(existsSync(join(directory, RECORD))).toBe(true)
  })
})
