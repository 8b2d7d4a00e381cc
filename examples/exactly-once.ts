/**
 * Payments are moved from one topic to another and summed up by account, exactly once, by a process
 * that is killed at a random instant 200 times. Each batch is one transaction: the moved payments,
 * the new balances, and the position of the consumer. In the end every payment is in the ledger
 * once, and the balances are exact.
 *
 * STREAMBED_KILLS says how often it is killed, STREAMBED_DIR where the log is instead of
 * ./data/exactly-once.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { EventLog, defineTopic, serdes } from 'streambed'

const DIRECTORY = process.env['STREAMBED_DIR'] ?? './data/exactly-once'
const KILLS = Number(process.env['STREAMBED_KILLS'] ?? 200)
const ACCOUNTS = ['ada', 'bob', 'cleo', 'dan', 'eve']
/** So many payments at least are waiting when a mover begins. */
const WAITING_PAYMENTS = 400
const BATCH_PAYMENTS = 20
/** A mover is killed in one of its first batches, some time after that began. */
const FATAL_BATCHES = 5
const FATAL_DELAY_MS = 4

const cents = serdes.json<{ readonly cents: number }>()
const Payments = defineTopic('payments', { key: serdes.string, value: cents, partitions: 4 })
const Ledger = defineTopic('ledger', {
  key: serdes.string,
  value: serdes.json<{ readonly payment: string; readonly cents: number }>(),
  partitions: 2,
})
const Balances = defineTopic('balances', { key: serdes.string, value: cents })

/** Moves payments: until it is killed, or until none is left. */
async function move(mayDie: boolean): Promise<void> {
  const log = await EventLog.open(DIRECTORY, {
    topics: [Payments, Ledger, Balances],
    onWarning: () => undefined, // That it recovers is what this is about.
  })
  if (mayDie) await receivePayments(log)
  const balances = readBalances(log)
  const producer = log.producer({ transactionalId: 'mover' })
  const group = log.consumerGroup('movers', { topics: [Payments], maxPollRecords: BATCH_PAYMENTS })
  const fatalBatch = Math.floor(Math.random() * FATAL_BATCHES)
  let batches = 0
  if (group.lag().total > 0) {
    const consumer = await group.join()
    for await (const batch of consumer.batches()) {
      if (mayDie && batches === fatalBatch) dieSoon()
      await producer.transaction(async (tx) => {
        for (const { partition, offset, key: account, value } of batch.records) {
          const payment = `${partition}:${offset}`
          await tx.send(Ledger, { key: account, value: { payment, cents: value.cents } })
          const balance = (balances.get(account) ?? 0) + value.cents
          balances.set(account, balance)
          await tx.send(Balances, { key: account, value: { cents: balance } })
        }
        tx.commitOffsets(batch)
      })
      batches += 1
      if (consumer.lag().total === 0) break
    }
  }
  if (mayDie) await new Promise(() => setInterval(() => undefined, 1_000)) // It dies soon.
  await log.close()
}

/** Lets payments come in that somebody else made. */
async function receivePayments(log: EventLog): Promise<void> {
  const payments = log.topic(Payments)
  const waiting = log.consumerGroup('movers', { topics: [Payments] }).lag().total
  const count = Math.max(0, WAITING_PAYMENTS - waiting)
  const first = payments.size().offsets
  await payments.sendAll(
    Array.from({ length: count }, (_, index) => ({
      key: ACCOUNTS[(first + index) % ACCOUNTS.length] ?? '',
      value: { cents: ((first + index) * 7919) % 10_007 },
    })),
  )
}

/** The last balance of each account that was committed. */
function readBalances(log: EventLog): Map<string, number> {
  const balances = new Map<string, number>()
  const committed = log.topic(Balances).partition(0).records({ isolation: 'read_committed' })
  for (const { key, value } of committed) balances.set(key, value.cents)
  return balances
}

/** From a thread of its own, so that it strikes in the middle of anything. */
function dieSoon(): void {
  const delayMs = Math.random() * FATAL_DELAY_MS
  const code = `const until = performance.now() + ${delayMs}
    while (performance.now() < until);
    process.kill(process.pid, 'SIGKILL')`
  void new Worker(code, { eval: true })
}

/** Runs a mover in a process of its own; resolves with what ended it. */
async function runMover(kind: 'mortal' | 'last'): Promise<string | number | null> {
  const child = fork(fileURLToPath(import.meta.url), [kind])
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  return signal ?? code
}

/** Compares what was moved with what there was to move. */
async function check(): Promise<readonly string[]> {
  const log = await EventLog.open(DIRECTORY, { topics: [Payments, Ledger, Balances] })
  const wrong: string[] = []
  const unmoved = new Map<string, number>()
  const sums = new Map<string, number>()
  let count = 0
  for await (const { partition, offset, key, value } of log.topic(Payments).read()) {
    unmoved.set(`${partition}:${offset}`, value.cents)
    sums.set(key, (sums.get(key) ?? 0) + value.cents)
    count += 1
  }
  for await (const { value } of log.topic(Ledger).read({ isolation: 'read_committed' })) {
    const { payment, cents: moved } = value
    if (unmoved.get(payment) !== moved) wrong.push(`payment ${payment} was moved twice, or is none`)
    unmoved.delete(payment)
  }
  for (const payment of unmoved.keys()) wrong.push(`payment ${payment} was not moved`)
  const balances = readBalances(log)
  for (const [account, sum] of sums) {
    const balance = balances.get(account)
    if (balance !== sum) wrong.push(`${account} has ${balance}, not ${sum}`)
  }
  await log.close()
  if (wrong.length === 0) console.log(`${count} payments moved once, ${sums.size} balances exact`)
  return wrong
}

const [kind] = process.argv.slice(2)
if (kind === undefined) {
  for (let killed = 1; killed <= KILLS; killed += 1) {
    const end = await runMover('mortal')
    if (end !== 'SIGKILL') throw new Error(`a mover ended with ${end}`)
    if (killed % 20 === 0) console.log(`killed ${killed} times`)
  }
  const end = await runMover('last')
  if (end !== 0) throw new Error(`the last mover ended with ${end}`)
  for (const line of await check()) {
    console.log(line)
    process.exitCode = 1
  }
} else {
  await move(kind === 'mortal')
}
