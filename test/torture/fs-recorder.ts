/**
 * FsRecorder: writes down what this process does to the files below a directory, and what it tells
 * its parent in between, as a trace (trace.ts). Kept in memory until `save`.
 */
import fs from 'node:fs'
import { relative, resolve } from 'node:path'
import { serialize } from 'node:v8'
import { REPORT_DESCRIPTOR, ReportReader, type TracePlan } from './crash-report.ts'
import { observeFsCalls, type FsCall } from './fs-calls.ts'
import type { TraceEvent } from './trace.ts'

const { O_CREAT, O_TRUNC } = fs.constants
const { writeFileSync } = fs

/** See the file's header. */
export class FsRecorder {
  readonly #plan: TracePlan
  readonly #events: TraceEvent[] = []
  readonly #reports = new ReportReader()
  /** Descriptors of what lies below the root. */
  readonly #tracked = new Map<number, string>()
  readonly #calls = new Map<FsCall, number>()
  #callCount = 0
  #syncCount = 0

  private constructor(plan: TracePlan) {
    this.#plan = plan
  }

  /** Records from now on. */
  static start(plan: TracePlan): FsRecorder {
    const recorder = new FsRecorder(plan)
    observeFsCalls({
      begins: (call) => recorder.#begins(call),
      ends: (call, result, error) => recorder.#ends(call, result, error !== null),
      failureOf: (call) => recorder.#failureOf(call),
    })
    return recorder
  }

  /** Writes what was recorded into the plan's file. */
  save(): void {
    writeFileSync(this.#plan.file, serialize(this.#events))
  }

  #begins(call: FsCall): void {
    const [first] = call.arguments
    if (call.effect === 'sync' && this.#isTracked(first)) {
      this.#add({ is: 'sync begins', call: this.#numberOf(call), descriptor: first })
    } else if (isRemoval(call)) {
      const path = this.#pathOf(first)
      if (path !== null) this.#add({ is: 'removal begins', call: this.#numberOf(call), path })
    } else if (call.effect === 'close' && this.#isTracked(first)) {
      // From here on the number may be given to another file.
      this.#tracked.delete(first)
      this.#add({ is: 'close', descriptor: first })
    }
  }

  #ends(call: FsCall, result: unknown, isFailed: boolean): void {
    const number = this.#calls.get(call)
    if (number !== undefined) {
      this.#calls.delete(call)
      const isSync = call.effect === 'sync'
      if (isSync) this.#add({ is: 'sync ends', call: number, isFailed })
      else this.#add({ is: 'removal ends', call: number })
    } else if (!isFailed) this.#succeeded(call, result)
  }

  #succeeded(call: FsCall, result: unknown): void {
    if (call.effect === 'open') this.#opened(call, result)
    else if (call.effect === 'write') this.#wrote(call, result)
    else if (call.effect === 'resize') this.#resized(call, result)
    else if (call.effect === 'name') this.#named(call, result)
  }

  #opened({ arguments: [path, flags = 'r'] }: FsCall, result: unknown): void {
    const descriptor = typeof result === 'number' ? result : (result as fs.promises.FileHandle).fd
    const below = this.#pathOf(path)
    if (below === null) return
    this.#tracked.set(descriptor, below)
    const mayCreate =
      typeof flags === 'number' ? (flags & O_CREAT) !== 0 : /[aw]/.test(String(flags))
    const truncates = typeof flags === 'number' ? (flags & O_TRUNC) !== 0 : flags === 'w'
    this.#add({ is: 'open', descriptor, path: below, mayCreate, truncates })
  }

  #wrote({ name, arguments: values }: FsCall, result: unknown): void {
    const [descriptor, source, start, , at] = values
    if (name === 'writeFileSync') {
      if (typeof descriptor !== 'number') throw new Error('writeFileSync by path is not recorded')
      if (!this.#isTracked(descriptor)) return
      const bytes = Buffer.from(source as string) // As lock-record.ts calls it.
      this.#add({ is: 'write', descriptor, position: null, bytes })
      return
    }
    // `as`: disk-file.ts and crash-report.ts call it with these, and it returns how much it took.
    const [view, from, count] = [source as Uint8Array, (start ?? 0) as number, result as number]
    const bytes = Buffer.from(view.subarray(from, from + count)) // A copy.
    if (descriptor === REPORT_DESCRIPTOR) this.#reported(bytes)
    else if (this.#isTracked(descriptor)) {
      this.#add({ is: 'write', descriptor, position: (at ?? null) as number | null, bytes })
    }
  }

  #reported(bytes: Buffer): void {
    for (const report of this.#reports.read(bytes.toString())) this.#add({ is: 'report', report })
  }

  #resized({ name, arguments: values }: FsCall, result: unknown): void {
    // `as`: numbers, as ftruncate and fallocate take them.
    const [descriptor, second, third, fourth] = values as readonly number[]
    if (descriptor === undefined || !this.#isTracked(descriptor)) return
    if (name === 'ftruncateSync') {
      this.#add({ is: 'resize', descriptor, sizeBytes: second ?? 0 })
    } else if (result === 0) {
      this.#add({ is: 'grow', descriptor, sizeBytes: (third ?? 0) + (fourth ?? 0) })
    }
  }

  #named({ name, arguments: [first, second] }: FsCall, result: unknown): void {
    const path = this.#pathOf(first)
    if (name === 'mkdirSync') return this.#madeDirectories(first, second, result)
    const to = this.#pathOf(second)
    if (path === null || to === null) return
    if (name === 'renameSync') this.#add({ is: 'rename', from: path, to })
    if (name === 'linkSync') this.#add({ is: 'link', from: path, to })
  }

  /** With `recursive` it returns the first directory that it made, of a chain down to the path. */
  #madeDirectories(path: unknown, options: unknown, first: unknown): void {
    const isRecursive = typeof options === 'object' && options !== null && 'recursive' in options
    const last = this.#pathOf(path)
    if (last === null) return
    if (!isRecursive) return this.#add({ is: 'mkdir', path: last })
    const from = this.#pathOf(first)
    if (from === null) return
    const below = last.slice(from.length).split('/').slice(1)
    for (let count = 0; count <= below.length; count++) {
      this.#add({ is: 'mkdir', path: [from, ...below.slice(0, count)].join('/') })
    }
  }

  #failureOf(call: FsCall): Error | undefined {
    const [descriptor] = call.arguments
    if (call.effect !== 'sync' || !this.#isTracked(descriptor)) return undefined
    if (!this.#tracked.get(descriptor)?.endsWith('.log')) return undefined
    this.#syncCount += 1
    if (this.#syncCount - 1 !== this.#plan.failingSync) return undefined
    return Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', errno: -5 })
  }

  #isTracked(descriptor: unknown): descriptor is number {
    return typeof descriptor === 'number' && this.#tracked.has(descriptor)
  }

  /** Relative to the root; null for what does not lie below it. */
  #pathOf(path: unknown): string | null {
    if (typeof path !== 'string') return null
    const below = relative(this.#plan.root, resolve(path))
    return below === '..' || below.startsWith('../') ? null : below
  }

  #numberOf(call: FsCall): number {
    this.#callCount += 1
    this.#calls.set(call, this.#callCount)
    return this.#callCount
  }

  #add(event: TraceEvent): void {
    this.#events.push(event)
  }
}

function isRemoval({ name }: FsCall): boolean {
  return name === 'unlinkSync' || name === 'promises.unlink' || name === 'promises.rm'
}
