/**
 * A partition that is followed beside the writer of its log: what the writer says, and when, is for
 * the test to decide, so that a follower can be shown any moment of it.
 */
import type {
  FollowContext,
  FollowedPlace,
  FollowMode,
  WriterWord,
} from '../../../src/log/follow/follow-context.ts'
import { FollowedPartition } from '../../../src/log/follow/followed-partition.ts'
import type { PartitionLog } from '../../../src/log/partition-log.ts'
import { TailBudget } from '../../../src/log/tail.ts'
import type { StorageDriver } from '../../../src/storage/storage-driver.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const TAIL_BYTES = 1 << 24

/** What a test may say of a follower. */
export interface FollowOptions {
  readonly mode?: FollowMode
  /** Through which it reads; the writer's own driver unless told. */
  readonly driver?: StorageDriver
}

/** See the file's header. */
export class Followed {
  readonly partition: FollowedPartition
  readonly #place: FollowedPlace
  word: WriterWord
  /** Called where files are missing. */
  onMissing: () => void = () => undefined
  /** What metadata says by now. */
  isGapless: boolean
  recoveryPoint = 0
  missingCount = 0
  isListening = false

  /** Follows `log`, of which `driver` holds the files; nothing was said yet. */
  constructor(driver: StorageDriver, log: PartitionLog, options: FollowOptions = {}) {
    const { topic, topicId, partition, directory, config, isOwn, isGapless } = log
    this.isGapless = isGapless
    this.word = wordOf(log, 1, options.mode)
    this.#place = { topic, topicId, partition, directory, config, isOwn, isGapless }
    const context: FollowContext = {
      driver: options.driver ?? driver,
      clock: new FakeClock(),
      tailBudget: new TailBudget(TAIL_BYTES),
      word: () => this.word,
      listening: (isListening) => {
        this.isListening = isListening
      },
      missing: () => {
        this.missingCount += 1
        this.onMissing()
      },
      checkpointed: () => ({ recoveryPoint: this.recoveryPoint, logStartOffset: undefined }),
      gapFound: () => {
        if (!this.isGapless) this.partition.markCompacted()
      },
    }
    this.partition = new FollowedPartition(context, this.#place)
    this.partition.refresh()
  }

  /** The writer publishes what there is, and the follower looks. */
  publish(log: PartitionLog, generation: number = 1): void {
    this.word = wordOf(log, generation)
    this.partition.refresh()
  }

  /** The writer publishes what there is, and the follower has not looked yet. */
  hear(log: PartitionLog): void {
    this.word = wordOf(log, 1)
  }

  /** Nobody writes any more, and the follower looks. */
  lose({ keepsSlot = true }: { readonly keepsSlot?: boolean } = {}): void {
    const { published, writerGeneration } = this.word
    this.word = keepsSlot
      ? { mode: 'derived', published, writerGeneration }
      : { mode: 'derived', published: undefined, writerGeneration: undefined }
    this.partition.refresh()
  }
}

/** What the writer of `log` says at this moment. */
function wordOf(
  log: PartitionLog,
  writerGeneration: number,
  mode: FollowMode = 'published',
): WriterWord {
  if (mode === 'derived') return { mode, published: undefined, writerGeneration: undefined }
  const { topicId, partition, logStartOffset, logEndOffset } = log
  const { highWatermark, lastStableOffset, durableOffset, layout } = log
  return {
    mode,
    writerGeneration,
    published: {
      topicId,
      partition,
      writerGeneration,
      layoutEpoch: layout.epoch,
      logStartOffset,
      logEndOffset,
      highWatermark,
      lastStableOffset,
      durableOffset: Math.min(durableOffset, log.undecided.lowestOffset),
    },
  }
}
