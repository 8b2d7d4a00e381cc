/**
 * ProducerIds: the ids under which producers of one open log write, random in [2^40, 2^53): a
 * broker that takes the directory over counts from 0, and so never meets one.
 *
 *   I1  an id that is drawn is known to no partition whose state is loaded
 *   I2  no two draws of one open log give the same id, whatever the source of randomness gives
 * Which sequences follow is each partition's to know; epochs are the coordinator's.
 */

const FIRST_ID = 2 ** 40
const ID_COUNT = 2 ** 53 - FIRST_ID
const RANDOM_BYTES = 7

/** Random bytes, as `EventLogOptions.random` gives them. */
type RandomBytes = (byteCount: number) => Uint8Array

/** Draws producer ids. */
export class ProducerIds {
  readonly #randomBytes: RandomBytes
  readonly #isKnown: (producerId: number) => boolean
  #drawCount = 0
  /** −1 until somebody needs it. */
  #shared = -1

  /** `isKnown` says whether a partition has seen a batch of an id. */
  constructor(randomBytes: RandomBytes, isKnown: (producerId: number) => boolean) {
    this.#randomBytes = randomBytes
    this.#isKnown = isKnown
  }

  /** An id that nobody has. */
  draw(): number {
    for (;;) {
      const producerId = FIRST_ID + ((this.#random() + this.#drawCount) % ID_COUNT)
      // Counted on, so that a source that always gives the same (a test's) still gives each once.
      this.#drawCount += 1
      if (!this.#isKnown(producerId)) return producerId
    }
  }

  /** The one id of all producers of this open log outside transactions, at epoch 0. */
  shared(): number {
    if (this.#shared < 0) this.#shared = this.draw()
    return this.#shared
  }

  #random(): number {
    const bytes = this.#randomBytes(RANDOM_BYTES)
    let random = (bytes[0] ?? 0) & 0x1f // 53 bits of the 56.
    for (let index = 1; index < RANDOM_BYTES; index += 1) {
      random = random * 0x100 + (bytes[index] ?? 0)
    }
    return random % ID_COUNT // Leaves room for the count below 2^53.
  }
}
