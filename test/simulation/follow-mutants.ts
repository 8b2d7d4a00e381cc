/**
 * Mutants of readers in other processes, and of what a writer publishes for them (mutants.ts says
 * what a mutant is). The seeds are of those whose readers hardly look away (actors/all.ts).
 */
import type { FaultGroup } from './fault-plan.ts'
import type { Mutant } from './mutants.ts'

const CRASH: readonly FaultGroup[] = ['crash']
const FAILING: readonly FaultGroup[] = ['crash', 'full', 'io']

/** Builds that lack a rule of readers elsewhere. */
export const FOLLOW_MUTANTS: readonly Mutant[] = [
  {
    rule: 'a follower shows as committed only what its writer says is stable',
    section: 5,
    file: 'src/log/follow/followed-watermarks.ts',
    find: 'Math.max(this.lastStableOffset, published.lastStableOffset)',
    replace: 'Math.max(this.lastStableOffset, published.highWatermark)',
    faults: CRASH,
    seed: 114,
  },
  {
    rule: 'a follower shows as durable only what its writer says is durable',
    section: 5,
    file: 'src/log/follow/followed-watermarks.ts',
    find: 'const { durableOffset } = published',
    replace: 'const durableOffset = published.logEndOffset',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a topic that was deleted and made anew is another one for followers',
    section: 5,
    file: 'src/log/follow/followed-topics.ts',
    find: 'if (stored !== undefined && idOf(name, stored) === topic.id) continue',
    replace: 'if (stored !== undefined) continue',
    faults: CRASH,
    seed: 82,
  },
  {
    rule: 'where nobody publishes a follower takes in no batch that is torn',
    section: 5,
    file: 'src/log/follow/followed-segments.ts',
    find: "checkBatch(room, at, read) === 'ok'",
    replace: "['ok', 'crc'].includes(checkBatch(room, at, read))",
    faults: FAILING,
    seed: 498,
  },
  {
    rule: 'a writer publishes no end of the log that it has not come to',
    section: 5,
    file: 'src/log/watermark-publisher.ts',
    find: 'watermarks.logEndOffset = partition.logEndOffset',
    replace: 'watermarks.logEndOffset = partition.logEndOffset + 1',
    faults: CRASH,
    seed: 2,
  },
]
