/**
 * TraceDisk: what a disk holds for certain, and what it may hold, after a part of a trace.
 *
 * Files and directories as the processes see them, and apart from that what a sync has brought to
 * the disk. In between lie the changes since, in order, any of which a loss of power may keep:
 *   I1  a sync of a file covers the bytes and sizes that were set before it began, a sync of a
 *       directory the names that were changed before it began; both count when it is known to be
 *       over
 *   I2  a sync that failed has taken the bytes it was for out of the cache: no later one covers
 *       them
 * What a loss of power keeps of the rest is disk-survival.ts.
 */
import type { LifeReport } from './crash-report.ts'
import type { TraceEvent } from './trace.ts'

/** A change to one file: bytes, or no more than another size. */
export interface FileChange {
  /** Number of the event in the trace. */
  readonly at: number
  readonly position: number
  readonly bytes: Uint8Array
  /** Of the file after it. */
  readonly sizeBytes: number
}

/** A change to the names in one directory. */
export interface NameChange {
  readonly at: number
  /** Number of the event at which it was known to be made. */
  endedAt: number
  readonly apply: (names: Map<string, TraceNode>) => void
}

/** One file. */
export interface TraceFile {
  readonly kind: 'file'
  /** As the last sync left it. */
  disk: Buffer
  changes: FileChange[]
  sizeBytes: number
}

/** One directory. */
export interface TraceDirectory {
  readonly kind: 'directory'
  /** As processes see it. */
  readonly names: Map<string, TraceNode>
  /** As the last sync left it. */
  readonly disk: Map<string, TraceNode>
  changes: NameChange[]
}

/** What a name may stand for. */
export type TraceNode = TraceFile | TraceDirectory

/** A disk as it may be found: paths, parents first, with bytes for files, null for directories. */
export type DiskImage = ReadonlyMap<string, Buffer | null>

/** A call of the trace, for those who ask that it be left out: as if it had never been made. */
export interface TracedCall {
  readonly action: 'write' | 'sync' | 'sync names' | 'rename'
  /** The path under which the file or directory was opened; the new one in a rename. */
  readonly path: string
  /** The newest report before it; 'opening' before the first one of a life. */
  readonly during: LifeReport['is'] | 'opening'
}

interface OpenFile {
  readonly node: TraceNode
  readonly path: string
}

interface BegunSync extends OpenFile {
  readonly at: number
  readonly isLeftOut: boolean
}

/** See the file's header. */
export class TraceDisk {
  readonly root: TraceDirectory = newDirectory()
  readonly #open = new Map<number, OpenFile>()
  readonly #syncs = new Map<number, BegunSync>()
  readonly #removals = new Map<number, NameChange[]>()
  readonly #leavesOut: (call: TracedCall) => boolean
  #at = 0
  #during: TracedCall['during'] = 'opening'
  #leftOutCount = 0
  #syncCount = 0

  /** Holds `start`, for certain; calls that `leavesOut` names are not made. */
  constructor(start: DiskImage, leavesOut: (call: TracedCall) => boolean = () => false) {
    this.#leavesOut = leavesOut
    for (const [path, bytes] of start) {
      const { parent, name } = this.#place(path)
      const node = bytes === null ? newDirectory() : newFile(bytes)
      parent.names.set(name, node)
      parent.disk.set(name, node)
    }
  }

  /** Calls that were left out so far. */
  get leftOutCount(): number {
    return this.#leftOutCount
  }

  /** Syncs so far that brought anything to the disk. */
  get syncCount(): number {
    return this.#syncCount
  }

  /** The next event of the trace. */
  take(event: TraceEvent): void {
    this.#at += 1
    switch (event.is) {
      case 'life': // Descriptors end with their process, and so does who waits for a call.
        this.#during = 'opening'
        this.#open.clear()
        this.#syncs.clear()
        return this.#removals.clear()
      case 'report':
        return void (this.#during = event.report.is)
      case 'open':
        return this.#opened(event)
      case 'close':
        return void this.#open.delete(event.descriptor)
      case 'write':
        return this.#wrote(event.descriptor, event.position, event.bytes)
      case 'resize':
        return this.#resized(event.descriptor, event.sizeBytes)
      case 'grow': {
        const { sizeBytes } = this.#file(event.descriptor)
        return this.#resized(event.descriptor, Math.max(sizeBytes, event.sizeBytes))
      }
      case 'mkdir':
        return this.#link(event.path, newDirectory())
      case 'link':
        return this.#link(event.to, this.#nodeAt(event.from))
      case 'rename':
        return this.#renamed(event.from, event.to)
      case 'removal begins':
        return this.#removalBegins(event.call, event.path)
      case 'removal ends':
        for (const change of this.#removals.get(event.call) ?? []) change.endedAt = this.#at
        return
      case 'sync begins':
        return this.#syncBegins(event.call, event.descriptor)
      case 'sync ends':
        return this.#syncEnds(event.call, event.isFailed)
    }
  }

  // ------------------------------------------------------------------- files

  #opened({ descriptor, path, mayCreate, truncates }: Extract<TraceEvent, { is: 'open' }>): void {
    if (mayCreate && this.#find(path) === undefined) this.#link(path, newFile(Buffer.alloc(0)))
    this.#open.set(descriptor, { node: this.#nodeAt(path), path })
    if (truncates) this.#resized(descriptor, 0)
  }

  #wrote(descriptor: number, position: number | null, bytes: Uint8Array): void {
    const file = this.#file(descriptor)
    if (this.#isLeftOut('write', this.#open.get(descriptor)?.path ?? '')) return
    const from = position ?? file.sizeBytes
    file.sizeBytes = Math.max(file.sizeBytes, from + bytes.length)
    const { sizeBytes } = file
    file.changes.push({ at: this.#at, position: from, bytes, sizeBytes })
  }

  #resized(descriptor: number, sizeBytes: number): void {
    const file = this.#file(descriptor)
    if (sizeBytes === file.sizeBytes) return
    // What is cut off is zeros, should the file grow again.
    const cut = Buffer.alloc(Math.max(0, file.sizeBytes - sizeBytes))
    file.sizeBytes = sizeBytes
    file.changes.push({ at: this.#at, position: sizeBytes, bytes: cut, sizeBytes })
  }

  #file(descriptor: number): TraceFile {
    const node = this.#open.get(descriptor)?.node
    if (node?.kind !== 'file') throw new Error(`event ${this.#at}: ${descriptor} is no open file`)
    return node
  }

  // ------------------------------------------------------------------- names

  #link(path: string, node: TraceNode): void {
    const { parent, name } = this.#place(path)
    this.#change(parent, (names) => void names.set(name, node))
  }

  #renamed(from: string, to: string): void {
    const node = this.#nodeAt(from)
    if (this.#isLeftOut('rename', to)) return
    const [source, target] = [this.#place(from), this.#place(to)]
    if (source.parent !== target.parent) throw new Error(`${to}: renamed between directories`)
    this.#change(source.parent, (names) => {
      if (names.get(source.name) === node) names.delete(source.name)
      names.set(target.name, node)
    })
  }

  #removalBegins(call: number, path: string): void {
    const node = this.#find(path)
    if (node === undefined) return
    const { parent, name } = this.#place(path)
    // Of a directory any part of what it holds may be gone before it is.
    const changes = node.kind === 'directory' ? this.#removeAll(node) : []
    changes.push(this.#remove(parent, name, node))
    this.#removals.set(call, changes)
  }

  #removeAll(directory: TraceDirectory): NameChange[] {
    return [...directory.names].map(([name, node]) => this.#remove(directory, name, node))
  }

  #remove(parent: TraceDirectory, name: string, node: TraceNode): NameChange {
    const change = this.#change(parent, (names) => {
      if (names.get(name) === node) names.delete(name)
    })
    change.endedAt = Infinity
    return change
  }

  #change(directory: TraceDirectory, apply: NameChange['apply']): NameChange {
    apply(directory.names)
    const change = { at: this.#at, endedAt: this.#at, apply }
    directory.changes.push(change)
    return change
  }

  #place(path: string): { readonly parent: TraceDirectory; readonly name: string } {
    const slash = path.lastIndexOf('/')
    const parent = slash < 0 ? this.root : this.#nodeAt(path.slice(0, slash))
    if (parent.kind !== 'directory') throw new Error(`event ${this.#at}: ${path} is below a file`)
    return { parent, name: path.slice(slash + 1) }
  }

  #nodeAt(path: string): TraceNode {
    const node = this.#find(path)
    if (node === undefined) throw new Error(`event ${this.#at}: there is no ${path}`)
    return node
  }

  #find(path: string): TraceNode | undefined {
    let node: TraceNode | undefined = this.root
    if (path === '') return node
    for (const name of path.split('/')) {
      node = node?.kind === 'directory' ? node.names.get(name) : undefined
    }
    return node
  }

  // ------------------------------------------------------------------- syncs

  #syncBegins(call: number, descriptor: number): void {
    const open = this.#open.get(descriptor)
    if (open === undefined) throw new Error(`event ${this.#at}: ${descriptor} is not open`)
    const { path, node } = open
    const isLeftOut = this.#isLeftOut(node.kind === 'file' ? 'sync' : 'sync names', path)
    this.#syncs.set(call, { ...open, at: this.#at, isLeftOut })
  }

  #syncEnds(call: number, isFailed: boolean): void {
    const sync = this.#syncs.get(call)
    if (sync === undefined || sync.isLeftOut) return
    const { node, at } = sync
    if (node.kind === 'directory') {
      if (isFailed) return
      const covered = node.changes.filter((change) => change.endedAt < at)
      for (const change of covered) change.apply(node.disk)
      node.changes = node.changes.filter((change) => change.endedAt >= at)
      if (covered.length > 0) this.#syncCount += 1
    } else {
      const covered = node.changes.filter((change) => change.at < at)
      if (!isFailed) node.disk = contentsAfter(node.disk, covered)
      node.changes = node.changes.filter((change) => change.at >= at) // I2
      if (covered.length > 0) this.#syncCount += 1
    }
  }

  #isLeftOut(action: TracedCall['action'], path: string): boolean {
    const isLeftOut = this.#leavesOut({ action, path, during: this.#during })
    if (isLeftOut) this.#leftOutCount += 1
    return isLeftOut
  }
}

/** `bytes` after changes, all of them whole. */
function contentsAfter(bytes: Buffer, changes: readonly FileChange[]): Buffer {
  const last = changes.at(-1)
  if (last === undefined) return bytes
  const ends = changes.map((change) => change.position + change.bytes.length)
  const image = Buffer.alloc(Math.max(bytes.length, last.sizeBytes, ...ends))
  bytes.copy(image)
  for (const change of changes) image.set(change.bytes, change.position)
  return image.subarray(0, last.sizeBytes)
}

function newFile(disk: Buffer): TraceFile {
  return { kind: 'file', disk, changes: [], sizeBytes: disk.length }
}

function newDirectory(): TraceDirectory {
  return { kind: 'directory', names: new Map(), disk: new Map(), changes: [] }
}
