/**
 * CallCounts: the calls of the file system that this process makes, by their names. Those on the
 * control file are left out: it is written as often as time allows, not as work asks for.
 */
import { basename } from 'node:path'
import { CONTROL_FILE } from '../../src/storage/control-file.ts'
import { observeFsCalls, type FsCall } from '../torture/fs-calls.ts'

/** See the file's header. One a process. */
export class CallCounts {
  readonly #counts = new Map<string, number>()
  /** Descriptors of the control file. */
  readonly #leftOut = new Set<unknown>()

  constructor() {
    observeFsCalls(
      {
        begins: (call) => {
          if (this.#isLeftOut(call)) return
          this.#counts.set(call.name, (this.#counts.get(call.name) ?? 0) + 1)
        },
        ends: (call, result) => {
          if (call.name !== 'openSync') return
          if (isOfControlFile(call)) this.#leftOut.add(result)
          else this.#leftOut.delete(result)
        },
      },
      'changes and looks',
    )
  }

  startOver(): void {
    this.#counts.clear()
  }

  perUnit(units: number): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].map(([name, count]) => [name, count / units]))
  }

  #isLeftOut(call: FsCall): boolean {
    return this.#leftOut.has(call.arguments[0]) || isOfControlFile(call)
  }
}

function isOfControlFile({ arguments: [path] }: FsCall): boolean {
  return typeof path === 'string' && basename(path) === CONTROL_FILE
}
