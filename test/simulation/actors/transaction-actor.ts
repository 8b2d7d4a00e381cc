/**
 * TransactionActor: producers that send in transactions, with ids and without, which commit them,
 * abort them, forget them or are fenced, and positions of groups that are committed with them. What
 * a transaction promises is transaction-model.ts' to say.
 */
import {
  LogError,
  type LogErrorCode,
  type OpenTransaction,
  type Producer,
  type Sender,
} from '../../../src/index.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import { readCommitted } from '../committed-reads.ts'
import { partitionOf } from '../group-model.ts'
import type { PartitionModel, Stop } from '../partition-model.ts'
import type { Expectation } from '../process-life.ts'
import { must } from '../simulation-failure.ts'
import { TransactionModel } from '../transaction-model.ts'
import { inputOf } from './append-actor.ts'

const GROUPS = 2
/** What may end a transaction though nothing went wrong: its time, a fence, a topic that goes. */
const USUAL: readonly LogErrorCode[] = [
  'TRANSACTION_ABORTED',
  'FENCED',
  'CLOSED',
  'TOPIC_NOT_FOUND',
]

interface Sending {
  readonly producer: Producer
  readonly sender: number
  readonly name: string
  /** Its `begin`, or a call with it, is under way. */
  isBusy: boolean
  open: { readonly model: TransactionModel; readonly handle: OpenTransaction } | undefined
}

/** A position that a transaction gave. */
interface Given {
  readonly transaction: TransactionModel
  readonly partition: PartitionModel
  readonly group: string
  readonly offset: number
}

/** See the file's header. */
export class TransactionActor implements Actor {
  readonly name = 'transactions'
  readonly steps: Readonly<Record<string, number>>
  readonly #stage: Stage
  #producers: Sending[] = []
  readonly #transactions: TransactionModel[] = []
  readonly #given: Given[] = []
  /** Those that are over and were held against the log; all before them are. */
  #settled = 0

  constructor(stage: Stage) {
    this.#stage = stage
    this.steps = stage.scale.transactional === 0 ? {} : STEPS
  }

  opened(how: Stop): void {
    if (this.#stage.isTainted) return
    const open = this.#transactions.slice(this.#settled)
    if (how === 'cut') for (const one of open) one.powerWent()
    for (const topic of this.#stage.topics) {
      if (!topic.isLive) continue
      for (const one of topic.partitions) readCommitted(this.#stage, 'opened', one, 0)
    }
    for (const one of open) {
      one.settle()
      one.checkWhole()
    }
    this.#checkOffsets()
    while (this.#transactions[this.#settled]?.isOver === true) this.#settled += 1
  }

  ended(): void {
    for (const one of this.#transactions.slice(this.#settled)) one.processEnded()
    this.#producers = []
  }

  look(): void {
    if (this.#stage.isTainted) return
    for (const { open } of this.#producers) {
      if (open?.model.outcome !== 'open') continue
      for (const { record, topic, partition } of open.model.sent) {
        if (record.state !== 'acked' || !topic.isLive) continue
        const { lastStableOffset } = partition.handle
        // It may have run out of time, and its user not have heard of it.
        if (record.offset < lastStableOffset) open.model.met(`${partition.name}: stable`, false)
      }
    }
  }

  atRest(): void {
    const { life, topics, isTainted } = this.#stage
    if (isTainted) return
    if (life.faults.seen.size > 0) return
    const open = new Set<PartitionModel>()
    for (const { outcome, sent } of this.#transactions.slice(this.#settled)) {
      if (outcome === 'committed' || outcome === 'aborted') continue
      for (const { partition } of sent) open.add(partition)
    }
    for (const topic of topics) {
      if (!topic.isLive) continue
      for (const partition of topic.partitions) {
        const { lastStableOffset, highWatermark } = partition.handle
        must(
          lastStableOffset === highWatermark || open.has(partition),
          () => `${partition.name}: stable up to ${lastStableOffset} of ${highWatermark}`,
        )
      }
    }
    this.#checkOffsets()
  }

  step(kind: string, random: SeededRandom): void {
    if (kind === 'transactional producer') return this.#make(random)
    const sending = this.#producers[random.below(this.#producers.length)]
    if (sending === undefined || sending.isBusy) return
    const { open } = sending
    if (kind === 'transact') return this.#transact(random, sending)
    if (kind === 'begin') return this.#begin(sending)
    if (open === undefined) return
    if (kind === 'send in it') return this.#sendIn(random, sending, open.model, open.handle)
    if (kind === 'give positions') return this.#give(random, open.model, open.handle)
    return this.#end(kind, sending, open.model, open.handle)
  }

  #make(random: SeededRandom): void {
    const { life, scale } = this.#stage
    if (this.#producers.length >= scale.transactional) {
      const gone = this.#producers.shift()
      if (gone === undefined) return
      if (gone.open !== undefined) gone.open.model.aborted()
      life.track(gone.producer.close(), { what: `close ${gone.name}`, mayFailWith: USUAL })
    }
    const options = {
      transactionalId: random.oneOf('t', 't', 'u', undefined),
      transactionTimeoutMs: random.oneOf(60_000, 500),
      batchBytes: random.oneOf(200, 65_536),
      acks: random.oneOf<1 | 'all'>(1, 'all'),
    }
    const sender = this.#stage.nextSender()
    const name = `transactional producer ${sender}`
    this.#stage.say(`${name} ${JSON.stringify(options)}`)
    const producer = life.log.producer(options)
    this.#producers.push({ producer, sender, name, isBusy: false, open: undefined })
  }

  #begin(sending: Sending): void {
    if (sending.open !== undefined) return
    this.#stage.say(`${sending.name} begins`)
    sending.isBusy = true
    this.#stage.life.track(sending.producer.begin(), {
      what: `begin of ${sending.name}`,
      mayFailWith: USUAL,
      done: (handle) => {
        sending.isBusy = false
        sending.open = { model: this.#newModel(), handle }
      },
      failed: () => void (sending.isBusy = false),
    })
  }

  /** One from its begin to its end. */
  #transact(random: SeededRandom, sending: Sending): void {
    if (sending.open !== undefined) return
    const { life } = this.#stage
    const model = this.#newModel()
    const count = 1 + random.below(5)
    const ending = random.oneOf('return', 'return', 'return', 'throw')
    const gives = random.below(2) === 0
    this.#stage.say(`${sending.name} transacts ${count}, ${ending}s`)
    sending.isBusy = true
    const running = sending.producer.transaction(async (tx) => {
      for (let left = count; left > 0; left--) this.#sendIn(random, sending, model, tx)
      if (gives) this.#give(random, model, tx)
      await life.scheduler.call('body of a transaction')
      if (ending === 'throw') throw new Thrown('on purpose')
      if (model.outcome === 'open') model.outcome = 'ending'
    })
    const told = running.catch((error: unknown) => {
      if (!(error instanceof Thrown)) throw error
      model.aborted()
      return undefined
    })
    life.track(told, {
      ...this.#ended(model, `transaction of ${sending.name}`),
      done: () => {
        sending.isBusy = false
        if (ending === 'return') this.#wasCommitted(model)
      },
      failed: (error) => {
        sending.isBusy = false
        this.#failed(model, error)
      },
    })
  }

  #sendIn(random: SeededRandom, sending: Sending, model: TransactionModel, tx: Sender): void {
    const { life } = this.#stage
    const topic = this.#stage.anyTopic(random)
    const partition = topic?.partitions[random.below(topic.partitions.length)]
    if (topic === undefined || partition === undefined) return
    const record = this.#stage.plan(random, topic, partition.index, sending.sender)
    model.add(record, topic, partition)
    this.#stage.say(`${sending.name} sends ${record.id} to ${partition.name} in ${model.number}`)
    const input = { ...inputOf(record), topic: topic.name, partition: partition.index }
    life.track(tx.send(input), {
      what: `send record ${record.id} in transaction ${model.number}`,
      mayFailWith: USUAL,
      done: ({ offset }) => {
        partition.acknowledged(record, offset)
        this.#stage.count('appended', 1)
      },
      failed: () => {
        if (record.state === 'pending') record.state = 'unknown'
      },
    })
  }

  /** A position of a group, which nobody else has under way. */
  #give(random: SeededRandom, model: TransactionModel, tx: OpenTransaction | Sender): void {
    if (!('commitOffsets' in tx) || model.sent.length === 0) return
    const partition = this.#stage.anyPartition(random)
    const group = `given ${random.below(GROUPS)}`
    const isTaken = this.#given.some((one) => one.group === group && !one.transaction.isOver)
    if (partition === undefined || isTaken) return
    const { logStart, written, index, topic } = partition
    const offset = logStart + random.below(written - logStart + 1)
    const handle = this.#stage.life.log.consumerGroup(group, { topics: [topic] })
    this.#stage.say(`${group} goes on at ${offset} of ${partition.name} with ${model.number}`)
    const offsets = [{ topic, partition: index, offset }]
    this.#stage.life.now(() => tx.commitOffsets(handle, offsets), {
      what: `positions in transaction ${model.number}`,
      mayFailWith: USUAL,
      done: () => void this.#given.push({ transaction: model, partition, group, offset }),
    })
  }

  #end(kind: string, sending: Sending, model: TransactionModel, handle: OpenTransaction): void {
    this.#stage.say(`${sending.name}: ${kind} ${model.number}`)
    const what = `${kind} of ${sending.name}`
    sending.open = undefined
    if (kind === 'abort') {
      model.aborted()
      this.#stage.life.track(handle.abort(), { what, mayFailWith: USUAL })
      return
    }
    if (model.outcome === 'open') model.outcome = 'ending'
    this.#stage.life.track(handle.commit(), this.#ended(model, what))
  }

  /** What a commit may come to. */
  #ended(model: TransactionModel, what: string): Expectation<unknown> {
    return {
      what,
      mayFailWith: USUAL,
      done: () => this.#wasCommitted(model),
      failed: (error) => this.#failed(model, error),
    }
  }

  #wasCommitted(model: TransactionModel): void {
    if (this.#stage.isTainted) return
    model.committed()
    this.#stage.life.faults.count('transaction committed')
  }

  #failed(model: TransactionModel, error: LogError): void {
    if (this.#stage.isTainted) return
    if (LogError.is(error, 'IO') && error.details.outcome === 'unknown') {
      this.#stage.life.faults.count('transaction unknown')
      if (model.outcome === 'ending') model.outcome = 'unknown'
    } else {
      this.#stage.life.faults.count('transaction aborted')
      model.aborted()
    }
  }

  /** Positions are those of the last transaction that was committed. */
  #checkOffsets(): void {
    const { topics, life } = this.#stage
    for (let index = 0; index < GROUPS; index++) {
      const group = `given ${index}`
      const offsets = life.log.consumerGroup(group, { topics: /^t\d$/ }).offsets()
      const given = this.#given.filter((one) => one.group === group)
      if (given.some(({ transaction }) => !transaction.isOver)) continue
      const last = new Map<PartitionModel, number>()
      for (const { transaction, partition, offset } of given) {
        if (transaction.outcome === 'committed') last.set(partition, offset)
      }
      for (const [partition, offset] of last) {
        if (partitionOf(topics, partition.topic, partition.index) !== partition) continue
        const found = offsets.find(
          (one) => one.topic === partition.topic && one.partition === partition.index,
        )
        must(
          found?.offset === offset,
          () => `${group}: goes on at ${found?.offset} of ${partition.name}, not at ${offset}`,
        )
      }
      for (const { topic, partition, offset } of offsets) {
        const model = partitionOf(topics, topic, partition)
        must(
          model === undefined || last.has(model),
          () => `${group}: goes on at ${offset} of ${topic}-${partition}, which nobody committed`,
        )
      }
    }
  }

  #newModel(): TransactionModel {
    const model = new TransactionModel(this.#transactions.length)
    this.#transactions.push(model)
    return model
  }
}

/** What a transaction is left with. */
class Thrown extends Error {}

const STEPS: Readonly<Record<string, number>> = {
  'transactional producer': 2,
  transact: 5,
  begin: 4,
  'send in it': 8,
  'give positions': 2,
  commit: 4,
  abort: 1,
}
