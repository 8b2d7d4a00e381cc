/**
 * The lock record: a file that says which process writes in a directory. It excludes other openers
 * even where they share no kernel lock with us, and it tells them whom they wait for.
 *
 *   streambed.lock                 the root of the chain; absent: nobody has the lock
 *   streambed.lock.<token>         a claim: the successor of the record that has this token
 *   streambed.lock.<token>.new     a record of an opener that has not placed it yet
 *
 * Owns these files and who gets the lock; whether a holder is dead is for the caller to judge. A
 * record appears complete or not at all (link(2)), in a place that was empty, and has a token that
 * is never used again. The last record of the chain root -> claim(root) -> claim(that) ... has the
 * lock. Two openers that both see a dead holder cannot both succeed it:
 *   I1  whoever wants to succeed X places claim(X), which exists once: one opener gets to
 *   I2  claims are removed only after the root has changed. A successor looks at the root after it
 *       has placed its claim: if it is not what it was, its claim may stand where another one stood
 *       and was removed: it takes it back and starts again. If it is, the claim is the first one
 *   I3  only the last of the chain, alive, changes the root: it renames its record onto it, then
 *       removes what is left of the chain. A crash anywhere leaves a chain with a dead end
 */
import {
  closeSync,
  fstatSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import type { ProcessIdentity } from './boot-identity.ts'
import { errorCodeOf, fileFailure } from './file-failure.ts'
import { createOwnFile, openOwnFile } from './own-file.ts'

/** The record in the log's directory; files named after it, with a '.' behind, are ours as well. */
export const LOCK_RECORD_FILE = 'streambed.lock'

/** Who holds the lock, and with what. */
export interface LockRecord extends ProcessIdentity {
  /** Of this record alone, ever: letters, digits and '-'. */
  readonly token: string
  /** Wall clock, ms. */
  readonly startedAt: number
  /** Device and inode of the directory: a copy of the directory is another one. */
  readonly directory: string
  /** Where the holder's socket has its name; null: it holds none. */
  readonly socketScope: string | null
  /** Device and inode of the file that the holder locked; null: it locked none. */
  readonly lockedFile: string | null
}

/** Whether the holder of a record still has the lock. */
export type Verdict = 'alive' | 'dead' | 'undecidable'

/** Why a record could not be placed: `holder` has the lock, or may have; null: nobody knows who. */
export interface LockRefusal {
  readonly verdict: Exclude<Verdict, 'dead'>
  readonly holder: LockRecord | null
}

/** What is needed to take the lock. */
export interface LockRequest {
  readonly directory: string
  readonly record: LockRecord
  readonly fileMode: number
  /** Judges the holder of a record that can be read. */
  readonly judge: (record: LockRecord) => Verdict
  /** A kernel lock excludes everybody who might be writing a record at this moment. */
  readonly isAlone: boolean
}

/** Steps on files; at each `yield` another process may do anything. */
export type LockSteps<T> = Generator<undefined, T, undefined>

/** One record of the chain; `record` is null for garbage, which nobody can have a lock by. */
interface ChainLink {
  readonly token: string
  readonly record: LockRecord | null
}

/** Each further round means that another opener got ahead meanwhile. */
const MAX_ROUNDS = 100
/** A chain grows by one with each crash in the middle of a takeover. */
const MAX_CHAIN_LENGTH = 100
const TOKEN = /^[\w-]{1,80}$/

/** Runs `steps` to their end at once. */
export function runLockSteps<T>(steps: LockSteps<T>): T {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/** The last record of the chain; null when there is none or it is garbage. */
export function readLockRecord(directory: string): LockRecord | null {
  return runLockSteps(readChain(directory)).at(-1)?.record ?? null
}

/**
 * Places `record` when nobody holds the lock, or whoever held it is dead.
 *
 * @returns undefined when `record` has the lock now.
 * @throws {LogError} `READ_ONLY`, `NO_SPACE` or `IO`: call `removeLockRecord`, as the failure may
 *   have come after the record was placed.
 */
export function* takeLockRecord(request: LockRequest): LockSteps<LockRefusal | undefined> {
  const draft = new DraftRecord(request)
  try {
    const refusal = yield* placeRecord(request, draft)
    draft.discard()
    return refusal
  } catch (error) {
    draft.abandon()
    throw error
  }
}

function* placeRecord(
  request: LockRequest,
  draft: DraftRecord,
): LockSteps<LockRefusal | undefined> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const chain = yield* readChain(request.directory)
    const last = chain.at(-1)
    const verdict = last?.record ? request.judge(last.record) : 'dead'
    if (verdict !== 'dead') return { verdict, holder: last?.record ?? null }
    draft.write()
    yield
    if (chain[0] === undefined || last === undefined) {
      if (draft.place(rootOf(request.directory), true) !== 'placed') continue
      yield
      return undefined
    }
    // Where records do not appear complete, garbage may be one that is being written.
    const mayBeInProgress = last.record === null && !request.isAlone
    const placed = draft.place(claimOn(request.directory, last.token), !mayBeInProgress)
    if (placed === 'no links') return { verdict: 'undecidable', holder: null }
    if (placed === 'taken') continue
    yield
    if (yield* becomeRoot(request.directory, chain[0].token, last.token, draft)) return undefined
  }
  return { verdict: 'alive', holder: null }
}

/** Gives the lock up, if the record with this token still has it. Nothing there is no error. */
export function* removeLockRecord(directory: string, token: string): LockSteps<void> {
  const root = readRecord(rootOf(directory))
  yield
  // Not ours after a breakLock: what is there now is another holder's.
  if (root?.token === token) removeFile(rootOf(directory))
}

/** I2 and I3: the claim on `lastToken` is placed; it counts if the root is still what it was. */
function* becomeRoot(
  directory: string,
  rootToken: string,
  lastToken: string,
  draft: DraftRecord,
): LockSteps<boolean> {
  const root = readRecord(rootOf(directory))
  yield
  if (root?.token !== rootToken) {
    removeFile(claimOn(directory, lastToken))
    return false
  }
  try {
    draft.becomeRoot()
  } catch (error) {
    removeFile(claimOn(directory, lastToken)) // Else it would lock for as long as we live.
    throw error
  }
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(`${LOCK_RECORD_FILE}.`)) continue
    yield
    removeFile(join(directory, name))
  }
  return true
}

function* readChain(directory: string): LockSteps<ChainLink[]> {
  const chain: ChainLink[] = []
  let next = readRecord(rootOf(directory))
  while (next !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    chain.push(next)
    yield
    next = readRecord(claimOn(directory, next.token))
  }
  return chain
}

function readRecord(file: string): ChainLink | undefined {
  let descriptor: number
  try {
    descriptor = openOwnFile(file, 'read')
  } catch (error) {
    if (errorCodeOf(error) === 'ENOENT') return undefined
    throw fileFailure('read', file, error, 'opening-for-writing')
  }
  try {
    const { ino, mtimeNs } = fstatSync(descriptor, { bigint: true })
    const record = parseLockRecord(readFileSync(descriptor, 'utf8'))
    // Garbage has no token. It is a file that no opener writes to any more: that makes it one.
    return { token: record?.token ?? `garbage-${ino}-${mtimeNs}`, record }
  } catch (error) {
    throw fileFailure('read', file, error)
  } finally {
    closeSync(descriptor)
  }
}

/** The record in `text`; null when it is not a whole one. */
export function parseLockRecord(text: string): LockRecord | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const fields = value as Readonly<Record<string, unknown>> // an object; each field is checked
  const { token, pid, startedAt, directory, host } = fields
  if (typeof token !== 'string' || !TOKEN.test(token)) return null
  if (!isInteger(pid) || !isInteger(startedAt)) return null // JSON has numbers that are infinite.
  if (typeof directory !== 'string' || typeof host !== 'string') return null
  return {
    token,
    pid,
    startedAt,
    directory,
    host,
    processStart: textOrNull(fields['processStart']),
    bootId: textOrNull(fields['bootId']),
    pidNamespace: textOrNull(fields['pidNamespace']),
    socketScope: textOrNull(fields['socketScope']),
    lockedFile: textOrNull(fields['lockedFile']),
  }
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function rootOf(directory: string): string {
  return join(directory, LOCK_RECORD_FILE)
}

function claimOn(directory: string, token: string): string {
  return join(directory, `${LOCK_RECORD_FILE}.${token}`)
}

function removeFile(file: string): void {
  try {
    unlinkSync(file)
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw fileFailure('remove', file, error)
  }
}

/** A record in a file of its own, from where it is linked to its place. */
class DraftRecord {
  readonly #directory: string
  readonly #file: string
  readonly #text: string
  readonly #fileMode: number
  #isWritten = false

  constructor({ directory, record, fileMode }: LockRequest) {
    this.#directory = directory
    this.#fileMode = fileMode
    this.#file = `${claimOn(directory, record.token)}.new`
    this.#text = `${JSON.stringify(record)}\n`
  }

  /** Written once: later it may be linked, and what is linked never changes. */
  write(): void {
    if (!this.#isWritten) createFile(this.#file, this.#text, this.#fileMode)
    this.#isWritten = true
  }

  /** Makes the record appear at `target`, complete, if nothing is there. */
  place(target: string, orByCopy: boolean): 'placed' | 'taken' | 'no links' {
    try {
      linkSync(this.#file, target)
      return 'placed'
    } catch (error) {
      const code = errorCodeOf(error)
      if (code === 'EEXIST') return 'taken'
      if (code === 'ENOENT') {
        this.#isWritten = false // Taken away by a holder that cleans up: it got ahead of us.
        return 'taken'
      }
      if (!orByCopy) return 'no links'
      // Exclusive as well, but readers may find it half written.
      return createFile(target, this.#text, this.#fileMode) ? 'placed' : 'taken'
    }
  }

  /** Replaces the root by this record, whose claim is placed. */
  becomeRoot(): void {
    try {
      renameSync(this.#file, rootOf(this.#directory))
      this.#isWritten = false
    } catch (error) {
      throw fileFailure('replace', rootOf(this.#directory), error, 'opening-for-writing')
    }
  }

  discard(): void {
    if (this.#isWritten) removeFile(this.#file)
    this.#isWritten = false
  }

  /** As `discard`, on the way out of a failure that matters more than another one here. */
  abandon(): void {
    try {
      this.discard()
    } catch {
      // Litter: the next takeover removes it.
    }
  }
}

/** Creates `file`, unless it exists: then it is left as it is. On failure nothing is left. */
function createFile(file: string, text: string, fileMode: number): boolean {
  let descriptor: number
  try {
    descriptor = createOwnFile(file, fileMode)
  } catch (error) {
    if (errorCodeOf(error) === 'EEXIST') return false
    throw fileFailure('create', file, error, 'opening-for-writing')
  }
  try {
    writeFileSync(descriptor, text)
    return true
  } catch (error) {
    removeFile(file)
    throw fileFailure('write', file, error)
  } finally {
    closeSync(descriptor)
  }
}
