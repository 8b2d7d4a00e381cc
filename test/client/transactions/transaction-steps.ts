/**
 * What can happen in the world of the model of transactions, one step at a time. A step that makes
 * no sense where it comes does nothing.
 */
import type { SeededRandom } from '../../support/seeded-random.ts'
import { ModelProducer } from './model-producer.ts'
import { ModelReader } from './model-reader.ts'
import type { TransactionWorld } from './transaction-world.ts'

const MAX_PRODUCERS = 4
const MAX_READERS = 6

type Step = (world: TransactionWorld) => void | Promise<unknown>

/** How often a step comes up, beside the others. */
const STEPS: readonly (readonly [kind: string, weight: number, step: Step])[] = [
  ['producer', 6, addProducer],
  ['begin', 14, (world) => anyProducer(world)?.begin()],
  ['run', 12, (world) => anyProducer(world)?.run()],
  ['send', 30, (world) => anyProducer(world)?.send()],
  ['give offsets', 6, (world) => anyProducer(world)?.giveOffsets()],
  ['commit', 14, (world) => anyProducer(world)?.commit()],
  ['abort', 5, (world) => anyProducer(world)?.abort()],
  ['send plain', 10, (world) => anyProducer(world)?.sendPlain()],
  ['append', 10, append],
  ['close producer', 1.5, closeProducer],
  ['move', 12, (world) => world.mover.move()],
  ['read', 5, read],
  ['stop reading', 2, (world) => world.readers.shift()?.end()],
  ['hold flushes', 4, (world) => void (world.holdsFlushes = true)],
  ['end a flush', 10, (world) => world.disk.held[0]?.end()],
  ['release flushes', 5, (world) => world.releaseFlushes()],
  ['rest', 4, (world) => world.rest()],
  ['wait', 3, (world) => world.settle(world.random.oneOf(1, 10, 200))],
  ['wait long', 1.5, (world) => world.settle(1_001)],
  ['checkpoint', 1, (world) => world.settle(60_001)],
  ['close', 0.5, (world) => world.reopen('close')],
  ['kill', 0.4, (world) => world.reopen('kill')],
  ['power cut', 0.5, (world) => world.reopen('power cut')],
  ['stop in a call', 1, stopInCall],
  ['crash in a commit', 1.5, crashInCommit],
]
const TOTAL: number = STEPS.reduce((sum, [, weight]) => sum + weight, 0)

/** Does a step, and checks what must be true then; returns its name. */
export async function takeStep(world: TransactionWorld): Promise<string> {
  const [kind, , step] = drawn(world.random)
  try {
    await step(world)
    await world.settle()
    world.check()
  } catch (error) {
    if (!world.isStopped) throw error
  }
  if (world.isStopped) await world.restart()
  world.tally.steps += 1
  return kind
}

function drawn(random: SeededRandom): (typeof STEPS)[number] {
  let left = random.fraction() * TOTAL
  for (const entry of STEPS) {
    left -= entry[1]
    if (left < 0) return entry
  }
  return ['rest', 0, (world) => world.rest()]
}

function anyProducer({ producers, random }: TransactionWorld): ModelProducer | undefined {
  const open = producers.filter(({ isClosed }) => !isClosed)
  return open[random.below(open.length)]
}

function addProducer(world: TransactionWorld): void {
  const open = world.producers.filter(({ isClosed }) => !isClosed)
  if (open.length < MAX_PRODUCERS) world.producers.push(new ModelProducer(world))
}

function closeProducer(world: TransactionWorld): void {
  const producer = anyProducer(world)
  if (producer?.isBusy === false) producer.close()
}

/** A record in the page cache: it survives a kill. */
function append(world: TransactionWorld): void {
  const place = world.anyPlace()
  const record = world.book.send(place, null)
  const { baseOffset } = world.partition(place).append([{ value: `${record.id}` }])
  record.state = 'appended'
  record.offset = baseOffset
  world.tally.plain += 1
}

function read(world: TransactionWorld): void {
  if (world.readers.length < MAX_READERS) world.readers.push(new ModelReader(world))
}

function stopInCall({ disk, random }: TransactionWorld): void {
  disk.faults.inject({ fault: 'stop', nth: 1 + random.below(random.oneOf(3, 10, 40)) })
}

/** So many of the flushes that a commit waits for end before the process does. */
async function crashInCommit(world: TransactionWorld): Promise<void> {
  const { random, producers, disk } = world
  const able = producers.filter(({ open }) => open !== undefined)
  const producer = able[random.below(able.length)]
  if (producer === undefined) return
  world.holdsFlushes = true
  producer.commit()
  await world.settle()
  for (let flushes = random.below(6); flushes > 0; flushes--) {
    disk.held[0]?.end()
    await world.settle()
  }
  await world.reopen(random.oneOf('kill', 'power cut'))
}
