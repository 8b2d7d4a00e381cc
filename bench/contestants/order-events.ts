/**
 * Events as services write them: JSON of about 300 B, with the names, times, ids and amounts of a
 * shop. Different from each other where real ones are (an id, the time, an amount), alike where
 * real ones are: names of members and kinds come with every event, products and customers again
 * after a while. So a codec finds what it finds elsewhere: gzip of all of them takes less than a
 * quarter, blocks of 4 KiB about half. The same events in every process.
 *
 * There are EVENT_POOL of them, used in turn: more text than the window of any codec here.
 */
import { crc32 } from 'node:zlib'
import { mustEqual } from '../runner/dataset.ts'

/** How many different events there are. */
export const EVENT_POOL = 10_000

const TYPES = ['order.placed', 'order.paid', 'order.shipped', 'order.returned', 'cart.changed']
const CITIES = ['Berlin', 'Lyon', 'Austin', 'Leeds', 'Utrecht', 'Sevilla', 'Osaka', 'Denver']
const FIRST_NAMES = ['anna', 'boris', 'carla', 'deniz', 'elena', 'farid', 'greta', 'hugo', 'ines']
const LAST_NAMES = [
  'moreau',
  'weber',
  'novak',
  'silva',
  'jansen',
  'kaya',
  'smith',
  'tanaka',
  'rossi',
]
const THINGS = [
  'desk lamp',
  'office chair',
  'bookshelf',
  'coffee grinder',
  'backpack',
  'rain jacket',
]
const COLORS = ['black', 'white', 'green', 'blue', 'sand']
const TOKEN_DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const CUSTOMERS = 60
const PRODUCTS = 60
const FIRST_MS = Date.UTC(2026, 0, 1)

/** Events of one run, as text. */
export class OrderEvents {
  readonly #pool: readonly string[]

  constructor() {
    const random = lehmer(0x2545_f491)
    const shop = shopOf(random)
    this.#pool = Array.from({ length: EVENT_POOL }, (_, index) => eventOf(index, shop, random))
  }

  /** The event with number `index`. */
  at(index: number): string {
    const event = this.#pool[index % EVENT_POOL]
    if (event === undefined) throw new RangeError('events are numbered from 0')
    return event
  }

  /** Numbers `from` to `to`, exclusive. */
  range(from: number, to: number): readonly string[] {
    return Array.from({ length: to - from }, (_, index) => this.at(from + index))
  }

  /** Bytes of the first `count` events, without anything around them. */
  byteCount(count: number): number {
    const poolBytes = this.#pool.reduce((sum, event) => sum + event.length, 0)
    const rest = this.#pool.slice(0, count % EVENT_POOL)
    return (
      Math.floor(count / EVENT_POOL) * poolBytes + rest.reduce((sum, one) => sum + one.length, 0)
    )
  }
}

/** Compares events that were read, in order, with those that were written. */
export class ReadBack {
  readonly #events: OrderEvents
  #count = 0
  #crc = 0
  #expectedCrc = 0

  constructor(events: OrderEvents) {
    this.#events = events
  }

  /** The next event's text, or its bytes. */
  add(event: string | Uint8Array): void {
    this.#crc = crc32(event, this.#crc)
    this.#expectedCrc = crc32(this.#events.at(this.#count), this.#expectedCrc)
    this.#count += 1
  }

  /** Throws unless these were the first `count` events. */
  finish(count: number): void {
    mustEqual(this.#count, count, 'events read back')
    mustEqual(this.#crc, this.#expectedCrc, 'checksum of the events read back')
  }
}

type Random = () => number

/** A shop: who buys and what is sold. */
interface Shop {
  readonly customers: readonly object[]
  readonly products: readonly { readonly sku: string; readonly price: number }[]
}

function shopOf(random: Random): Shop {
  const customers = Array.from({ length: CUSTOMERS }, () => {
    const name = `${pick(FIRST_NAMES, random)}.${pick(LAST_NAMES, random)}`
    const id = 100_000 + (random() % 900_000)
    return { id, email: `${name}@example.org`, city: pick(CITIES, random) }
  })
  const products = Array.from({ length: PRODUCTS }, () => ({
    sku: `SKU-${10_000 + (random() % 90_000)}`,
    name: `${pick(THINGS, random)}, ${pick(COLORS, random)}`,
    price: (199 + (random() % 20_000)) / 100,
  }))
  return { customers, products }
}

function eventOf(index: number, { customers, products }: Shop, random: Random): string {
  const token = (length: number): string =>
    Array.from({ length }, () => TOKEN_DIGITS[random() % TOKEN_DIGITS.length]).join('')
  const product = pick(products, random)
  const quantity = 1 + (random() % 4)
  return JSON.stringify({
    id: `ord_${token(20)}`,
    type: pick(TYPES, random),
    time: new Date(FIRST_MS + index * 137 + (random() % 100)).toISOString(),
    customer: pick(customers, random),
    items: [{ ...product, quantity }],
    total: Math.round(quantity * product.price * 100) / 100,
    trace: token(22),
  })
}

function pick<T>(from: readonly T[], random: Random): T {
  const picked = from[random() % from.length]
  if (picked === undefined) throw new RangeError('there is nothing to pick from')
  return picked
}

/** Park and Miller's generator: repeatable, its higher bits are good enough for text. */
function lehmer(seed: number): Random {
  let state = seed % 0x7fff_ffff
  return () => {
    state = (state * 48_271) % 0x7fff_ffff
    return state >>> 4
  }
}
