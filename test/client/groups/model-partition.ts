/**
 * One partition as the model of a group knows it: what was appended, what the group handed out of
 * it and what it may have committed. `must` states what is checked where.
 */
import { must } from './membership-harness.ts'

/** See the file's header. */
export class ModelPartition {
  readonly topic: string
  readonly partition: number
  readonly key: string
  /** By offset. */
  readonly values: string[] = []
  /** Below it nothing is lost, whatever stops. */
  durableEnd = 0
  /** By offset: handed out to somebody; or passed over because the user said so. */
  readonly delivered: boolean[] = []
  readonly excused: boolean[] = []
  committed: number | undefined
  /** What a member had handled that gave it up in order: committed before the next one has it. */
  promised: number | undefined
  /** What may be committed the next time somebody looks, beside what is. */
  readonly mayBecome: Set<number> = new Set()
  /** What a power cut may leave: the last commit that was synced, and all after it. */
  #survivors: (number | undefined)[] = [undefined]

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
    this.key = `${topic}-${partition}`
  }

  get end(): number {
    return this.values.length
  }

  /** Where the group goes on. */
  get start(): number {
    return this.committed ?? 0
  }

  /** The group says that this is committed. True: that is news. */
  observe(committed: number | undefined): boolean {
    if (committed === this.committed) return false
    must(
      committed !== undefined && this.mayBecome.has(committed),
      `${this.key}: ${committed} is committed, which was ${this.committed} and might be ${[...this.mayBecome].join()}`,
    )
    must(committed <= this.end, `${this.key}: nothing is committed past the end`)
    this.committed = committed
    this.#survivors.push(committed)
    return true
  }

  /** All that is committed was synced. */
  commitsAreDurable(): void {
    this.#survivors = [this.committed]
  }

  /** The power was cut: the log ends at `end` now, and this is what is committed. */
  reopened(end: number, committed: number | undefined): void {
    must(end >= this.durableEnd, `${this.key}: what was synced is there, up to ${this.durableEnd}`)
    must(end <= this.end, `${this.key}: nothing came out of nowhere`)
    const cut = this.#survivors.map((offset) =>
      offset === undefined ? offset : Math.min(offset, end),
    )
    must(
      cut.includes(committed),
      `${this.key}: ${committed} is committed after a power cut, not one of ${cut.join()}`,
    )
    for (const list of [this.values, this.delivered, this.excused])
      list.length = Math.min(list.length, end)
    this.committed = committed
    this.isDurable()
  }

  /** Nothing of it can be lost any more. */
  isDurable(): void {
    this.durableEnd = this.end
    this.commitsAreDurable()
  }

  /** The user chose to go on at `offset`: what nobody had before it is not missed. */
  excuseBelow(offset: number): void {
    for (let at = 0; at < offset; at += 1) this.excused[at] = true
  }

  /** Offsets that nobody ever got. */
  missed(): readonly number[] {
    return [...this.values.keys()].filter(
      (at) => this.delivered[at] !== true && this.excused[at] !== true,
    )
  }
}
