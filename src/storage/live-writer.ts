/**
 * Whether somebody writes a directory at this moment, found out without writing there: by the lock
 * record alone (lock-record.ts). Who is to write takes the lock (writer-lock.ts).
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { LogError } from '../errors/log-error.ts'
import { isSameBoot, ownIdentity, processIsAlive } from './boot-identity.ts'
import { fileFailure } from './file-failure.ts'
import { readLockRecord } from './lock-record.ts'

/** The process that writes a directory. */
export interface LiveWriter {
  readonly pid: number
  readonly startedAt: number
}

/**
 * Who holds the lock of `directory`, or may hold it; undefined where nobody does.
 * @throws {LogError} IO where the directory or the record cannot be read.
 */
export function findLiveWriter(directory: string): LiveWriter | undefined {
  const path = resolve(directory)
  const record = readLockRecord(path)
  // A copy of a directory has a copy of its record, which locks nobody out.
  if (record === null || record.directory !== identityOf(path)) return undefined
  return processIsAlive(record, ownIdentity()) === 'dead' ? undefined : record
}

/**
 * Whose the lock with `token` on `directory` is: this process's, another's, or, as it was given
 * back, nobody's.
 * @throws {LogError} IO where the record cannot be read.
 */
export function holderOfLock(directory: string, token: string): 'here' | 'elsewhere' | 'nobody' {
  const record = readLockRecord(resolve(directory))
  if (record?.token !== token) return 'nobody'
  const here = ownIdentity()
  const isHere =
    record.pid === here.pid &&
    record.processStart === here.processStart &&
    record.pidNamespace === here.pidNamespace &&
    isSameBoot(record, here)
  return isHere ? 'here' : 'elsewhere'
}

/** @throws {LogError} LOCKED where somebody writes there. */
export function refuseLiveWriter(directory: string, call: string): void {
  const writer = findLiveWriter(directory)
  if (writer === undefined) return
  const { pid, startedAt } = writer
  const message = `${call}: ${directory} is being written by process ${pid}: close the log there first`
  throw new LogError('LOCKED', message, { pid, startedAt, directory })
}

function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch (error) {
    throw fileFailure('open', path, error)
  }
}
