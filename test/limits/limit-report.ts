/** What a process of the limit tests says about itself, one line of JSON at its end. */

/** The most that it held at any time it looked. */
export interface LimitReport {
  /** What the process may open, as the system has it for it. */
  readonly descriptorLimit: number
  readonly descriptors: number
  /** Memory that is no file's: heap, buffers, stacks; bytes. */
  readonly memoryBytes: number
  /** Of that, what buffers take; bytes. */
  readonly externalBytes: number
  /** At the open. */
  readonly clean: boolean
  readonly openMs: number
  /** Records that were there, or that were appended. */
  readonly records: number
  /** The first that was not what it had to be; null where all were. */
  readonly wrong: string | null
}

/** What the process is to do. */
export interface LimitTask {
  readonly directory: string
  readonly does: 'write' | 'read' | 'lag' | 'group'
  /** 'segments': one partition of tiny ones; 'bytes': one of large records; 'topics': many. */
  readonly log: 'segments' | 'bytes' | 'topics'
  readonly count: number
  readonly end: 'close' | 'kill'
}
