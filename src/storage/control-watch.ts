/**
 * ControlWatch: wakes whoever follows a log when its control file is written, without asking for
 * it all the time: what inotify, kqueue and their like tell of.
 *
 * Owns one watch on the log's directory, which sees the control file written, made, and replaced,
 * and metadata.json replaced, under their names: a watch on a file would stay with what had the
 * name once. Where that one says nothing of writes into a file (the BSDs, macOS) a second one, on
 * the control file, does. Keeps no process alive.
 *   I1  a wake says that something may have happened: several may be one, and one may be missing
 *   I2  after `stop`, and after a failure, nothing is called and no descriptor is held
 * docs/decisions/100-waking-readers.md has the numbers.
 */
import fs from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { CONTROL_FILE } from './control-file.ts'
import { METADATA_FILE } from './metadata-file.ts'

const TOLD_BY_DIRECTORY: ReadonlySet<NodeJS.Platform> = new Set(['linux', 'android', 'win32'])

/** Who is told, and what ends the watch. */
interface Listener {
  readonly onWake: () => void
  readonly onFailure: (cause: unknown) => void
}

/** See the file's header. */
export class ControlWatch {
  readonly #directory: string
  /** What a wake may be about; the directory is, once it is gone. */
  readonly #names: ReadonlySet<string>
  readonly #needsFileWatch: boolean
  #listener: Listener | undefined
  #directoryWatch: fs.FSWatcher | undefined
  #fileWatch: fs.FSWatcher | undefined

  /** Of the log in `directory`. Watches nothing yet. */
  constructor(directory: string, platform: NodeJS.Platform = process.platform) {
    this.#directory = resolve(directory)
    // A name that the system does not tell may be any.
    this.#names = new Set(['', CONTROL_FILE, METADATA_FILE, basename(this.#directory)])
    this.#needsFileWatch = !TOLD_BY_DIRECTORY.has(platform)
  }

  /** False before `start`, after `stop`, and once it has failed. */
  get isWatching(): boolean {
    return this.#directoryWatch !== undefined
  }

  /**
   * Calls `onWake` whenever the control file or the metadata may have changed, from now on. Where
   * the system does not let us watch (no watches left, no such directory, not supported), or no
   * longer does, `onFailure` is called once, in this call or later, and the watch is over.
   */
  start(onWake: () => void, onFailure: (cause: unknown) => void): void {
    this.stop()
    const listener = { onWake, onFailure }
    this.#listener = listener
    try {
      this.#directoryWatch = fs.watch(this.#directory, { persistent: false })
      this.#directoryWatch.on('change', (event, name) => {
        this.#seen(listener, event, String(name ?? ''))
      })
      this.#directoryWatch.on('error', (cause) => this.#fail(listener, cause))
    } catch (cause) {
      this.#fail(listener, cause)
      return
    }
    this.#watchFile(listener)
  }

  /** Calls nothing any more. May be called twice; `start` may be called again. */
  stop(): void {
    this.#listener = undefined
    this.#directoryWatch?.close()
    this.#fileWatch?.close()
    this.#directoryWatch = undefined
    this.#fileWatch = undefined
  }

  #seen(listener: Listener, event: string, name: string): void {
    if (this.#listener !== listener || !this.#names.has(name)) return
    if (event === 'rename') this.#watchFile(listener)
    listener.onWake()
  }

  /** On the file that has the name now; where there is none, the directory tells of the next. */
  #watchFile(listener: Listener): void {
    if (!this.#needsFileWatch) return
    this.#fileWatch?.close()
    this.#fileWatch = undefined
    try {
      const watch = fs.watch(join(this.#directory, CONTROL_FILE), { persistent: false })
      watch.on('change', () => {
        if (this.#listener === listener) listener.onWake()
      })
      watch.on('error', () => watch.close())
      this.#fileWatch = watch
    } catch {
      // The directory is watched, and the log is polled: it is woken later, and all the same.
    }
  }

  #fail(listener: Listener, cause: unknown): void {
    if (this.#listener !== listener) return
    this.stop()
    listener.onFailure(cause)
  }
}
