/**
 * The writer lock: one writing process a directory.
 *
 *   .lock              empty, as Kafka's; what the file lock is taken on. Never removed
 *   streambed.lock     the lock record: whom the others wait for (lock-record.ts)
 *
 * Owns which locks are taken, in which order, and who counts as dead. Every opener takes all that
 * its platform has: the table of this process, the socket, the file lock (kernel-lock.ts), the
 * record. Any one that two openers share excludes one of them:
 *   I1  the kernel's locks are taken before the record is looked at and given up after it is
 *       removed: who sees a record while it has the holder's kernel lock sees one left by a crash
 *   I2  a record is dead only by proof: another directory's (this is a copy), another boot's, its
 *       process does not live, or its kernel lock is in our hands. Never by age
 *   I3  what is neither proved dead nor alive locks, until `breakLock`
 */
import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { LogError } from '../errors/log-error.ts'
import { isSameBoot, networkNamespace, ownIdentity, processIsAlive } from './boot-identity.ts'
import { hasPermissionModel } from './device-sync.ts'
import { fileFailure } from './file-failure.ts'
import { OWNER_ONLY } from './file-modes.ts'
import { takeFileLock, takeSocketLock } from './kernel-lock.ts'
import type { KernelLock, KernelLockAttempt } from './kernel-lock.ts'
import {
  LOCK_RECORD_FILE,
  readLockRecord,
  removeLockRecord,
  runLockSteps,
  takeLockRecord,
} from './lock-record.ts'
import type { LockRecord, Verdict } from './lock-record.ts'
import { openOwnFile } from './own-file.ts'

/** Kafka's name; a broker locks the same file. */
export const LOCK_FILE = '.lock'

/** What an opener takes, in this order. */
export const LOCK_MECHANISMS = ['process', 'socket', 'file', 'record'] as const

/** One of the things that exclude a second writer. */
export type LockMechanism = (typeof LOCK_MECHANISMS)[number]

/** How to take the lock. */
export interface WriterLockOptions {
  /** For how long to try again while another one has it; 0: not at all. */
  readonly lockTimeoutMs: number
  /** Wall clock, ms: what others are told about when we opened. */
  readonly now: () => number
  /** Never steps, ms. */
  readonly monotonicNow: () => number
  readonly wait: (ms: number) => Promise<unknown>
  /** Of the lock's files. Default: their owner's alone. */
  readonly fileMode?: number
  /** For tests alone: take just these, to show what each excludes by itself. */
  readonly mechanisms?: readonly LockMechanism[]
}

/** The lock, until `release` or the end of the process. */
export interface WriterLock {
  /** 'kernel': ends with the process, at once. 'portable': only the record could be had. */
  readonly kind: 'kernel' | 'portable'
  /** Of this lock alone, ever: what its record is known by. */
  readonly token: string
  /** Lets the next opener in. Everything must have been written before. May be called twice. */
  release(): Promise<void>
}

/** Who has the lock, as far as that is known. */
interface Holder {
  readonly pid: number
  readonly startedAt: number
}

/** Why the lock cannot be had now. */
interface Refusal {
  readonly reason: 'alive' | 'undecidable'
  readonly holder: Holder | null
}

interface Attempt {
  readonly directory: string
  readonly mechanisms: readonly LockMechanism[]
  readonly startedAt: number
  readonly fileMode: number
  /** The user vouches that a holder who is neither proved alive nor dead is dead. */
  readonly isForced: boolean
}

/** How soon to try again: a predecessor that closes takes longer than this. */
const RETRY_MS = 25

/** Shared by all copies of this module in a thread, whatever version or path they come from. */
const TABLE = Symbol.for('streambed.locks')

/**
 * Takes the writer lock of an existing directory.
 *
 * @throws {LogError} `LOCKED` when another one has it, or may have it, after `lockTimeoutMs`;
 *   `READ_ONLY` without permission to write there; `NO_SPACE`; `IO`, if it does not exist say.
 */
export async function acquireWriterLock(
  directory: string,
  options: WriterLockOptions,
): Promise<WriterLock> {
  const attempt: Attempt = {
    directory: resolve(directory),
    mechanisms: options.mechanisms ?? LOCK_MECHANISMS,
    startedAt: options.now(),
    fileMode: options.fileMode ?? OWNER_ONLY.fileMode,
    isForced: false,
  }
  const deadlineMs = options.monotonicNow() + options.lockTimeoutMs
  for (;;) {
    const taken = await tryToLock(attempt)
    if (!('reason' in taken)) return taken
    const leftMs = deadlineMs - options.monotonicNow()
    if (leftMs <= 0) throw locked(attempt.directory, taken)
    await options.wait(Math.min(RETRY_MS, leftMs))
  }
}

/**
 * Removes a lock record whose holder cannot be told dead or alive: one of another container, or of
 * a platform that does not tell. The caller vouches that no such process writes. Does nothing where
 * there is no lock.
 *
 * @throws {LogError} `LOCKED` when the holder is provably alive; otherwise as `acquireWriterLock`.
 */
export async function breakLock(
  directory: string,
  options: { readonly now: () => number },
): Promise<void> {
  const path = resolve(directory)
  directoryIdentity(path)
  const hasLock = existsSync(join(path, LOCK_RECORD_FILE)) || existsSync(join(path, LOCK_FILE))
  if (!hasLock) return
  const taken = await tryToLock({
    directory: path,
    mechanisms: LOCK_MECHANISMS,
    startedAt: options.now(),
    fileMode: OWNER_ONLY.fileMode,
    isForced: true,
  })
  if ('reason' in taken) throw locked(path, taken)
  await taken.release()
}

async function tryToLock(attempt: Attempt): Promise<WriterLock | Refusal> {
  // First, as it is a write: on an overlay it may turn the directory into another inode.
  createLockFile(attempt)
  const identity = directoryIdentity(attempt.directory)
  const held = new HeldLocks(attempt, identity)
  try {
    const refusal = await held.take()
    if (refusal === undefined) return held
    await held.release()
    return refusal
  } catch (error) {
    await held.release()
    throw error
  }
}

/** What one opener holds of one directory, all or on the way there. */
class HeldLocks implements WriterLock {
  readonly #attempt: Attempt
  readonly #identity: string
  readonly token: string = randomUUID()
  readonly #kernel: KernelLock[] = []
  #kind: WriterLock['kind'] = 'portable'
  #isInTable = false
  #mayHaveRecord = false
  #released: Promise<void> | undefined

  constructor(attempt: Attempt, identity: string) {
    this.#attempt = attempt
    this.#identity = identity
  }

  get kind(): 'kernel' | 'portable' {
    return this.#kind
  }

  /** Takes one after the other; whatever is refused, those before it are to be released. */
  async take(): Promise<Refusal | undefined> {
    const { mechanisms } = this.#attempt
    const inProcess = mechanisms.includes('process') ? this.#takeInTable() : undefined
    if (inProcess !== undefined) return { reason: 'alive', holder: inProcess }
    if (mechanisms.includes('socket')) {
      const refusal = this.#keep(await takeSocketLock(this.#identity))
      if (refusal !== undefined) return refusal
    }
    if (mechanisms.includes('file')) {
      const refusal = this.#keep(takeFileLock(join(this.#attempt.directory, LOCK_FILE)))
      if (refusal !== undefined) return refusal
    }
    return mechanisms.includes('record') ? this.#takeRecord() : undefined
  }

  release(): Promise<void> {
    this.#released ??= this.#giveUp()
    return this.#released
  }

  async #giveUp(): Promise<void> {
    let failure: unknown
    // The record first (I1), and the kernel's locks even if that fails: then nobody lives by it.
    try {
      if (this.#mayHaveRecord) runLockSteps(removeLockRecord(this.#attempt.directory, this.token))
    } catch (error) {
      failure = error
    }
    for (let lock = this.#kernel.pop(); lock !== undefined; lock = this.#kernel.pop()) {
      await lock.release()
    }
    if (this.#isInTable) lockTable().delete(this.#identity)
    if (failure !== undefined) throw failure
  }

  #takeInTable(): Holder | undefined {
    const holder = lockTable().get(this.#identity)
    if (holder !== undefined) return holder
    const { startedAt } = this.#attempt
    lockTable().set(this.#identity, { pid: process.pid, startedAt })
    this.#isInTable = true
    return undefined
  }

  #keep(taken: KernelLockAttempt): Refusal | undefined {
    if (taken === 'unavailable') return undefined
    if (taken.kind !== 'held') {
      this.#kernel.push(taken)
      this.#kind = 'kernel'
      return undefined
    }
    // The record says who, unless it is that of a holder before this one.
    const record = readLockRecord(this.#attempt.directory)
    if (record !== null && this.#judge(record) !== 'dead')
      return { reason: 'alive', holder: record }
    return { reason: 'alive', holder: taken.pid === null ? null : { pid: taken.pid, startedAt: 0 } }
  }

  #takeRecord(): Refusal | undefined {
    const { directory, startedAt, fileMode, isForced } = this.#attempt
    const record: LockRecord = {
      ...ownIdentity(),
      token: this.token,
      startedAt,
      directory: this.#identity,
      socketScope: this.#scopeOf('socket'),
      lockedFile: this.#scopeOf('file'),
    }
    this.#mayHaveRecord = true // Even if what follows throws.
    const refusal = runLockSteps(
      takeLockRecord({
        directory,
        record,
        fileMode,
        judge: (other) => {
          const verdict = this.#judge(other)
          return isForced && verdict === 'undecidable' ? 'dead' : verdict
        },
        isAlone: isForced || this.#kernel.length > 0,
      }),
    )
    return refusal && { reason: refusal.verdict, holder: refusal.holder }
  }

  /** I2, I3. */
  #judge(record: LockRecord): Verdict {
    if (record.directory !== this.#identity) return 'dead'
    const here = ownIdentity()
    const liveness = processIsAlive(record, here)
    if (liveness === 'dead') return 'dead'
    // A living process may have lost its socket to code that closes whatever it finds. Only of
    // ourselves we know better: this was a thread of ours that ended without closing.
    const isOurs = record.pid === here.pid
    if (liveness === 'alive' && !isOurs) return 'alive'
    if (isSameBoot(record, here) && this.#hasLockOf(record)) return 'dead'
    return liveness === 'alive' ? 'alive' : 'undecidable'
  }

  /** Whether a kernel lock that the holder of `record` had is in our hands: it is gone then. */
  #hasLockOf({ socketScope, lockedFile }: LockRecord): boolean {
    if (socketScope !== null && socketScope === this.#scopeOf('socket')) return true
    return lockedFile !== null && lockedFile === this.#scopeOf('file')
  }

  #scopeOf(kind: KernelLock['kind']): string | null {
    return this.#kernel.find((lock) => lock.kind === kind)?.scope ?? null
  }
}

function lockTable(): Map<string, Holder> {
  const shared = globalThis as { [TABLE]?: Map<string, Holder> } // a symbol of ours alone
  shared[TABLE] ??= new Map()
  return shared[TABLE]
}

function createLockFile({ directory, fileMode }: Attempt): void {
  const file = join(directory, LOCK_FILE)
  try {
    closeSync(openOwnFile(file, 'create', fileMode))
  } catch (error) {
    throw fileFailure('open', file, error, 'opening-for-writing')
  }
}

/** Device and inode: the same for every path to the directory, another one for a copy of it. */
function directoryIdentity(directory: string): string {
  try {
    const { dev, ino } = statSync(directory, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    throw fileFailure('open', directory, error)
  }
}

function locked(directory: string, { reason, holder }: Refusal): LogError<'LOCKED'> {
  const details = { pid: holder?.pid ?? 0, startedAt: holder?.startedAt ?? 0, directory }
  const who = holder === null ? 'another process' : `process ${holder.pid}`
  const message =
    reason === 'alive'
      ? `${directory} is being written by ${who}: close it there, wait for that with lockTimeoutMs, or open with readOnly: true`
      : `${directory} was left locked by ${who}, which cannot be told dead or alive from here: make sure that nothing writes there, then call EventLog.breakLock(directory)${hintOfModel()}`
  return new LogError('LOCKED', message, details)
}

/** Under the permission model of Node /proc, which tells dead from alive, may be out of reach. */
function hintOfModel(): string {
  const isBlind = hasPermissionModel() && networkNamespace() === null
  return isBlind ? '; --allow-fs-read=/proc/* lets the next open see for itself' : ''
}
