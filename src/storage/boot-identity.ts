/**
 * Boot identity: which boot of which machine, which namespaces, which process, and whether the
 * process that somebody wrote down still lives.
 *
 * Owns the reading of /proc and of the child processes that replace it elsewhere; what follows
 * from a verdict is the caller's (writer-lock.ts, recovery). True of every answer here:
 *   I1  'dead' and 'alive' are proofs; what cannot be proved is 'unknown', never a guess by age
 *   I2  what this machine does not tell is null, and nothing here throws
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** One process of one boot of one machine, in terms that another process can check. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in the unit of its platform: only to be compared for equality. */
  readonly processStart: string | null
  readonly bootId: string | null
  /** In which `pid` is a number; null outside Linux. */
  readonly pidNamespace: string | null
  readonly host: string
}

/** What can be proved about a process from here. */
export type Liveness = 'alive' | 'dead' | 'unknown'

/** The process with some pid now: none, one that has ended, or one with a start time. */
type ProcessFound = 'none' | 'ended' | { readonly start: string | null }

let known: ProcessIdentity | undefined

/** This process. */
export function ownIdentity(): ProcessIdentity {
  known ??= {
    pid: process.pid,
    processStart: processStart(process.pid),
    bootId: readBootId(),
    pidNamespace: readLink('/proc/self/ns/pid'),
    host: hostname(),
  }
  return known
}

/** The boot that this process runs in, of the same text in every process and container of it. */
export function bootId(): string | null {
  return ownIdentity().bootId
}

/** The network namespace of this process: the one that its abstract sockets have names in. */
export function networkNamespace(): string | null {
  return readLink('/proc/self/ns/net')
}

/** When the process with this pid started, to be compared only; null where that is unknown. */
export function processStart(pid: number): string | null {
  const found = findProcess(pid)
  return typeof found === 'string' ? null : found.start
}

/** Whether two identities are of one boot of one machine, as far as they tell. */
export function isSameBoot(
  one: Pick<ProcessIdentity, 'bootId' | 'host'>,
  other: Pick<ProcessIdentity, 'bootId' | 'host'>,
): boolean {
  return one.bootId === other.bootId && (one.bootId !== null || one.host === other.host)
}

/**
 * Whether the process that `identity` names lives, as far as `here` can prove it. A pid that was
 * given to another process since, and a process that has ended but was not yet waited for, are
 * dead. A process of another pid namespace is unknown: its number means nothing here.
 */
export function processIsAlive(
  identity: ProcessIdentity,
  here: ProcessIdentity = ownIdentity(),
): Liveness {
  const bothKnown = identity.bootId !== null && here.bootId !== null
  if (bothKnown && identity.bootId !== here.bootId) return 'dead'
  if (!isSameBoot(identity, here) || identity.pidNamespace !== here.pidNamespace) return 'unknown'
  // On Linux without /proc, processes of two containers look alike.
  if (process.platform === 'linux' && here.pidNamespace === null) return 'unknown'
  const found = findProcess(identity.pid)
  if (found === 'none' || found === 'ended') return 'dead'
  if (found.start === null || identity.processStart === null) return 'unknown'
  return found.start === identity.processStart ? 'alive' : 'dead'
}

/**
 * The fields of /proc/<pid>/stat that matter here, or null when the text is not one. The command
 * name, field 2, may hold spaces and parentheses: fields count from the last ')'.
 */
export function parseProcessStat(
  text: string,
): { readonly hasEnded: boolean; readonly start: string } | null {
  const fields = text
    .slice(text.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/)
  const [state, threads, start] = [fields[0], fields[17], fields[19]] // fields 3, 20 and 22
  if (state === undefined || threads === undefined || !/^\d+$/.test(start ?? '')) return null
  // 'Z' is the state of the main thread alone: another one may still be in the middle of a write.
  return { hasEnded: (state === 'Z' || state === 'X') && Number(threads) <= 1, start: start ?? '' }
}

function findProcess(pid: number): ProcessFound {
  if (!Number.isSafeInteger(pid) || pid <= 0) return 'none' // 0 and below address whole groups.
  const found = process.platform === 'linux' ? findInProc(pid) : findByPs(pid)
  // Where a process is not shown (hidepid, a foreign /proc), only a signal tells that it is there.
  return found ?? (signalReaches(pid) ? { start: null } : 'none')
}

function findInProc(pid: number): ProcessFound | null {
  // A /proc of another pid namespace has other numbers in it.
  if (readLink('/proc/self') !== String(process.pid)) return null
  const parsed = parseProcessStat(readText(`/proc/${pid}/stat`) ?? '')
  if (parsed === null) return null
  return parsed.hasEnded ? 'ended' : { start: parsed.start }
}

function findByPs(pid: number): ProcessFound | null {
  if (process.platform === 'win32') return null
  const text = outputOf('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)])
  const [, state, start] = /^\s*(\S+)\s+(\S.*\S)\s*$/.exec(text ?? '') ?? []
  if (state === undefined || start === undefined) return null
  return state.startsWith('Z') ? 'ended' : { start }
}

function signalReaches(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

function readBootId(): string | null {
  if (process.platform === 'linux') return readText('/proc/sys/kernel/random/boot_id')
  // Not kern.boottime: it moves when the wall clock is set.
  if (process.platform === 'darwin')
    return outputOf('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'])
  return null
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'latin1').trim() || null
  } catch {
    return null
  }
}

function readLink(file: string): string | null {
  try {
    return readlinkSync(file)
  } catch {
    return null
  }
}

function outputOf(command: string, commandArguments: readonly string[]): string | null {
  try {
    const text = execFileSync(command, commandArguments, {
      encoding: 'latin1',
      // `ps` prints the start in the user's language and time zone otherwise.
      env: { PATH: process.env['PATH'] ?? '/bin:/usr/bin', LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    })
    return text.trim() || null
  } catch {
    return null
  }
}
