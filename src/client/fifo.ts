/**
 * Fifo: a queue over an array. Taking from the front of a long array moves all the rest each time;
 * here the front only advances, and the room before it is given back now and then.
 */

/** Below this, room in front is not worth giving back. */
const MIN_SPENT = 256

/** First in, first out. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #front = 0

  get isEmpty(): boolean {
    return this.#front === this.#items.length
  }

  /** The item that `shift` takes next; undefined where there is none. */
  peek(): T | undefined {
    return this.#items[this.#front]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    const item = this.#items[this.#front]
    if (item === undefined) return undefined
    this.#items[this.#front] = undefined // Or it would be kept alive.
    this.#front += 1
    if (this.#front >= MIN_SPENT && this.#front * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#front)
      this.#front = 0
    }
    return item
  }
}
