/**
 * What a benchmark is made of. A question has cases; a case is answered by contestants, which all
 * do the same work on the same records: streambed, its peers, and limits that nobody can pass.
 *
 *   question  append-throughput
 *   case      100 B, batches of 100
 *   contestant  streambed | sqlite | lmdb | raw writes | memcpy
 *
 * A measurement runs in a process of its own: it finds its contestant by these names (measure.ts).
 */
import type { PeerPackage } from '../contestants/peer-packages.ts'

/** How much is measured. */
export interface Scale {
  readonly quick: boolean
}

/** What is compared with what. */
export type Role = 'ours' | 'peer' | 'limit'

/** One measurement. Times are those of the measured records alone, warm-up left out. */
export interface Measurement {
  readonly recordCount: number
  /** Bytes of keys and values. */
  readonly byteCount: number
  readonly wallNs: number
  /** CPU of the whole process, its other threads included. */
  readonly userNs: number
  readonly systemNs: number
  /** Of single operations, where each was timed: latency.ts. */
  readonly latency?: Latency
  /** What V8 stopped the process for meanwhile. */
  readonly gc?: GarbageCollection
  /** Of the whole process meanwhile, with what it has mapped and touched. */
  readonly memory?: Memory
  /** Where it was looked at: strain.ts. */
  readonly strain?: Strain
  /** Other figures, by the headings of their columns. */
  readonly also?: Readonly<Record<string, number>>
}

/** How long single operations took. */
export interface Latency {
  readonly p50Ns: number
  readonly p99Ns: number
  readonly p999Ns: number
  readonly maxNs: number
}

/** Pauses of the garbage collector, in the main thread. */
export interface GarbageCollection {
  readonly pauseNs: number
  readonly count: number
  readonly longestNs: number
}

/** Resident memory. */
export interface Memory {
  /** The most there was while the clock ran. */
  readonly peakRssBytes: number
  /** Beyond what there was when it started. */
  readonly grownBytes: number
}

/** What work costs others in its process. */
export interface Strain {
  /** How long the event loop was held at a stretch. */
  readonly delayP99Ns: number
  readonly delayMaxNs: number
  /** Memory at most, beyond what the process had before. */
  readonly addedBytes: number
}

/** Data that several measurements read, made once. */
export interface Store {
  readonly name: string
  fill(directory: string): Promise<void>
}

/** Who answers a case, and how. */
export interface Contestant {
  readonly name: string
  readonly role: Role
  /** The package that has to be installed for it; where it is not, the contestant stays away. */
  readonly needs?: PeerPackage
  /** What is read: `measure` gets its directory. Without it, a fresh and empty one. */
  readonly store?: Store
  /** Throws where what was written or read is not what it has to be. */
  measure(directory: string): Promise<Measurement>
}

/** One row of a question. */
export interface Case {
  readonly name: string
  readonly contestants: readonly Contestant[]
}

/** A question, with what is expected of the answer. */
export interface Question {
  readonly name: string
  readonly asks: string
  /** 'throughput': more records a second are better; 'time': the less of it, the better. */
  readonly answer: 'throughput' | 'time'
  cases(scale: Scale): readonly Case[]
}
