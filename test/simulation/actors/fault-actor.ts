/**
 * FaultActor makes things go wrong: a disk that fills and empties, calls that fail, syncs that drop
 * what they were for, reads that are slow, and, where a run has rot, bytes that change.
 */
import type { DiskAction } from '../../../src/testing/disk-faults.ts'
import type { SeededRandom } from '../../../src/testing/seeded-random.ts'
import type { Actor, Stage } from '../actor.ts'
import type { CallFault, FaultGroup } from '../fault-plan.ts'
import { inputOf } from './append-actor.ts'

/** Calls that take space: for a batch, the next segment, a small file, a topic. */
const CALLS_FOR_SPACE: readonly [
  readonly [DiskAction, string],
  ...(readonly [DiskAction, string])[],
] = [
  ['write', '.log'],
  ['write', '.log'],
  ['resize', '.log'],
  ['create', '.log'],
  ['create', '.index'],
  ['create', '.timeindex'],
  ['write', '.index'],
  ['write', '.timeindex'],
  ['write', '.tmp'],
  ['mkdir', ''],
]

/** See the file's header. */
export class FaultActor implements Actor {
  readonly name = 'faults'
  readonly steps: Readonly<Record<string, number>>
  readonly #stage: Stage
  #sender = -1

  constructor(stage: Stage, groups: ReadonlySet<FaultGroup>) {
    this.#stage = stage
    this.steps = {
      ...(groups.has('full') ? { full: 1, 'no space': 1, 'failing roll': 0.5 } : {}),
      ...(groups.has('io')
        ? {
            'failing calls': 1,
            'failing sync': 1,
            'dropping sync': 0.5,
            'dropping index sync': 0.5,
            'failing checkpoint': 0.5,
            'failing reads': 0.5,
            'short counts': 0.5,
          }
        : {}),
      ...(groups.has('slow') ? { 'slow reads': 0.5, 'slow calls': 0.5 } : {}),
      ...(groups.has('full') || groups.has('io') ? { calm: 2 } : {}),
    }
  }

  opened(): void {
    this.#sender = this.#stage.nextSender()
  }

  step(kind: string, random: SeededRandom): void {
    const { life } = this.#stage
    const { faults } = life
    switch (kind) {
      case 'full': {
        const roomBytes = random.oneOf(undefined, 0, 500, 100_000)
        this.#stage.say(`the disk is full but for ${roomBytes ?? 'nothing'}`)
        return faults.fill(roomBytes)
      }
      case 'no space': {
        const [action, suffix] = random.oneOf<readonly [DiskAction, string]>(...CALLS_FOR_SPACE)
        const left = 1 + random.below(2)
        return this.#fail({ action, suffix, fault: 'ENOSPC', after: 0, left })
      }
      case 'failing calls': {
        const action = random.oneOf('write', 'resize', 'create', 'mkdir', 'rename', 'unlink')
        const suffix = random.oneOf(
          '.log',
          '.index',
          '.timeindex',
          '.json',
          '-checkpoint',
          '-checkpoint.tmp',
          'control',
          '',
        )
        const fault = random.oneOf('EIO', 'EIO', 'EROFS')
        return this.#fail({ action, suffix, fault, after: random.below(4), left: 1 })
      }
      case 'failing roll': {
        const suffix = random.oneOf('.log', '.index', '.timeindex')
        return this.#fail({ action: 'create', suffix, fault: 'ENOSPC', after: 0, left: 1 })
      }
      case 'dropping sync': {
        const after = random.below(2)
        return this.#fail({ action: 'flush', suffix: '.log', fault: 'drop', after, left: 1 })
      }
      case 'dropping index sync': {
        const suffix = random.oneOf('.index', '.timeindex')
        const fault = random.oneOf('drop', 'dropUnreadable')
        return this.#fail({ action: 'flush', suffix, fault, after: random.below(2), left: 1 })
      }
      case 'failing checkpoint': {
        const action = random.oneOf('create', 'write', 'flush')
        const suffix = '-checkpoint.tmp'
        return this.#fail({ action, suffix, fault: 'EIO', after: random.below(2), left: 1 })
      }
      case 'failing sync':
        return this.#failSync(random)
      case 'failing reads': {
        const suffix = random.oneOf('.log', '.log', '.index', '.timeindex')
        return this.#fail({
          action: 'read',
          suffix,
          fault: 'EIO',
          after: 0,
          left: 1 + random.below(3),
        })
      }
      case 'short counts':
        return faults.shorten(random.oneOf(0, 0.02, 0.3))
      case 'slow reads':
        faults.slowReads = random.oneOf(0, 5, 50)
        this.#stage.say(`${faults.slowReads} % of the reads are slow`)
        return
      case 'slow calls':
        return this.#slowDown(random)
      default:
        return this.#calm(random)
    }
  }

  #failSync(random: SeededRandom): void {
    const isDirectory = random.below(5) === 0
    const after = random.below(3)
    const left = random.oneOf(1, 1, 3)
    if (isDirectory)
      return this.#fail({ action: 'flushDirectory', suffix: '', fault: 'EIO', after, left })
    const suffix = random.oneOf('.log', '.log', '.index', '.timeindex', 'checkpoint.tmp', '.tmp')
    // Where reads show the disk at once, what was appended is lost: that is damage (see `rot`).
    const unseen = suffix === '.log' ? 'drop' : 'dropUnreadable'
    const fault = random.oneOf('EIO', 'drop', unseen, 'ENOSPC')
    this.#fail({ action: 'flush', suffix, fault, after, left })
  }

  #fail(fault: CallFault): void {
    this.#stage.say(`${fault.action} of ${fault.suffix} will fail: ${JSON.stringify(fault)}`)
    this.#stage.life.faults.add(fault)
  }

  #slowDown(random: SeededRandom): void {
    const { scheduler, faults } = this.#stage.life
    const chance = random.oneOf(0, 0, 20, 80)
    const maxMs = random.oneOf(5, 100, 3_000)
    this.#stage.say(`${chance} % of the calls take up to ${maxMs} ms`)
    const own = scheduler.random
    scheduler.slowness = () => {
      if (own.below(100) >= chance) return 0
      faults.count('slow call')
      return own.below(maxMs)
    }
  }

  /** There is room again: without a new start everything that did not fail for good works. */
  #calm(random: SeededRandom): void {
    const { life, topics } = this.#stage
    const { faults } = life
    if (faults.isCalm) return
    this.#stage.say('nothing fails any more')
    faults.calm()
    for (const topic of topics) {
      if (!topic.isLive) continue
      for (const partition of topic.partitions) {
        if (partition.isFailed) continue
        const record = this.#stage.plan(random, topic, partition.index, this.#sender)
        const { handle } = partition
        life.now(() => handle.append(inputOf(record)), {
          what: `append to ${partition.name} after the faults`,
          isCalm: true,
          done: ({ baseOffset }) => partition.acknowledged(record, baseOffset),
        })
      }
    }
  }
}
