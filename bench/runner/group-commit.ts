/**
 * GroupCommit: the queue that users of a store without one write by hand. What arrives during a
 * turn of the event loop, or while the commit before is under way, is committed together.
 */

interface Waiting<T> {
  readonly item: T
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Gathers items and commits them in groups. */
export class GroupCommit<T> {
  readonly #commit: (items: readonly T[]) => void | Promise<void>
  #waiting: Waiting<T>[] = []
  #isBusy = false

  constructor(commit: (items: readonly T[]) => void | Promise<void>) {
    this.#commit = commit
  }

  /** Resolves when the item was committed. */
  add(item: T): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#isBusy) return
      this.#isBusy = true
      setImmediate(() => void this.#run())
    })
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        await this.#commit(group.map(({ item }) => item))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      await new Promise(setImmediate)
    }
    this.#isBusy = false
  }
}
