/**
 * Nothing escapes the recorder: what the kernel was asked for, as strace shows it, is what the
 * recorder wrote down. Skipped where there is no strace; fs-calls.test.ts needs none.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runSeed, SeededRandom } from '../support/seeded-random.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { compileCrashChild } from './crash-lives.ts'
import { CrashModel } from './crash-model.ts'
import { usualPlan } from './crash-run.ts'
import { readTrace, type TraceEvent } from './trace.ts'

/** All by which a process can change files, whether we use it or not. */
const SYSTEM_CALLS =
  'creat,open,openat,openat2,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,' +
  'rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,' +
  'fsync,fdatasync,sync,syncfs,sync_file_range,msync,copy_file_range,sendfile,splice,io_uring_enter'

const child = compileCrashChild()
afterAll(() => child.remove())

const hasStrace = spawnSync('strace', ['-V']).status === 0

/** What the recorder saw, as the kernel names it: a call and a path below the root. */
function recordedCalls(events: readonly TraceEvent[]): readonly string[] {
  const paths = new Map<number, string>()
  const calls: string[] = []
  for (const event of events) {
    if (event.is === 'open') {
      paths.set(event.descriptor, event.path)
      if (event.mayCreate) calls.push(`create ${event.path}`)
    } else if (event.is === 'write') calls.push(`write ${paths.get(event.descriptor)}`)
    else if (event.is === 'resize' || event.is === 'grow') {
      calls.push(`resize ${paths.get(event.descriptor)}`)
    } else if (event.is === 'sync begins') calls.push(`sync ${paths.get(event.descriptor)}`)
    else if (event.is === 'mkdir') calls.push(`mkdir ${event.path}`)
    else if (event.is === 'rename' || event.is === 'link') {
      calls.push(`${event.is} ${event.from} ${event.to}`)
    } else if (event.is === 'removal begins') calls.push(`remove ${event.path}`)
  }
  return calls.toSorted()
}

/** What strace saw of the files below `root`, by the path under which each was opened. */
function tracedCalls(text: string, root: string): readonly string[] {
  const calls: string[] = []
  const opened = new Map<string, string>()
  const below = (path: string | undefined): string | null => {
    if (path === root) return ''
    return path?.startsWith(`${root}/`) === true ? path.slice(root.length + 1) : null
  }
  for (const [, name = '', values = '', result = ''] of text.matchAll(CALL)) {
    if (result.startsWith('-1')) continue
    const [first, second] = [...values.matchAll(/"([^"]*)"/g)].map((match) => below(match[1]))
    const descriptor = /^(\d+)/.exec(values)?.[1] ?? ''
    if (/^open|^creat$/.test(name)) {
      opened.delete(/^\d+/.exec(result)?.[0] ?? '')
      if (first === null || first === undefined) continue
      opened.set(/^\d+/.exec(result)?.[0] ?? '', first)
      if (values.includes('O_CREAT')) calls.push(`create ${first}`)
      continue
    }
    if (name === 'close') continue
    const path = opened.get(descriptor)
    const kind = KINDS[name] ?? name
    if (kind === 'rename' || kind === 'link') {
      if (first !== null || second !== null) calls.push(`${kind} ${first} ${second}`)
    } else if (kind === 'mkdir' || kind === 'remove') {
      if (first !== null) calls.push(`${kind} ${first}`)
    } else if (path !== undefined) calls.push(`${kind} ${path}`)
  }
  // Of a tree that is removed, the recorder has no more than the root.
  const trees = calls.filter((call) => call.startsWith('remove ') && call.endsWith('-delete'))
  return calls.filter((call) => !trees.some((tree) => call.startsWith(`${tree}/`))).toSorted()
}

const CALL = /^\d+ +(\w+)\((.*)\) += (-?\d+[^\n]*)$/gm
const KINDS: Readonly<Record<string, string>> = {
  write: 'write',
  pwrite64: 'write',
  ftruncate: 'resize',
  fallocate: 'resize',
  rename: 'rename',
  link: 'link',
  unlink: 'remove',
  rmdir: 'remove',
  mkdir: 'mkdir',
  fsync: 'sync',
  fdatasync: 'sync',
}

describe(`the recorder${hasStrace ? '' : ' (skipped: there is no strace here)'}`, () => {
  it.runIf(hasStrace)('writes down every call that the kernel sees', async () => {
    const base = temporaryDirectory()
    const root = join(base, 'root')
    mkdirSync(root)
    const [file, output] = [join(base, 'trace'), join(base, 'strace')]
    const usual = usualPlan(join(root, 'log'), 1, new SeededRandom(runSeed), new CrashModel())
    const trace = { root, file, failingSync: null }
    const plan = { ...usual, work: 'script', closesAfter: 0, trace }
    // Lines in the order in which calls end, each whole; closes, as numbers are used again.
    const options = ['-f', '-qq', '-s', '4096', '-o', output, '-e', `trace=${SYSTEM_CALLS},close`]
    const program = spawn('strace', [...options, process.execPath, child.path], {
      stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
    })
    program.stdio[3]?.on('data', () => undefined)
    program.stdin?.end(JSON.stringify(plan))
    const code = await new Promise((resolve) => void program.once('close', resolve))
    expect(code).toBe(0)
    const recorded = recordedCalls(readTrace(file))
    expect(recorded.length).toBeGreaterThan(200)
    expect(tracedCalls(whole(readFileSync(output, 'latin1')), root)).toEqual(recorded)
  })
})

/** A call that another thread interrupts is two lines: put together, where it began. */
function whole(text: string): string {
  const lines = text.split('\n')
  const pending = new Map<string, number>()
  for (const [index, line] of lines.entries()) {
    const thread = /^\d+/.exec(line)?.[0] ?? ''
    if (line.endsWith('<unfinished ...>')) {
      pending.set(thread, index)
      lines[index] = line.slice(0, -'<unfinished ...>'.length).trimEnd()
    } else if (line.includes(' resumed>')) {
      const begun = pending.get(thread) ?? 0
      lines[begun] += line.slice(line.indexOf(' resumed>') + ' resumed>'.length)
      lines[index] = ''
    }
  }
  return lines.join('\n')
}
