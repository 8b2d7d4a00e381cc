/** Every actor of the simulation. A feature that joins has its actor here. */
import type { Actor, Stage } from '../actor.ts'
import type { FaultGroup } from '../fault-plan.ts'
import { AppendActor } from './append-actor.ts'
import { CommittedReadActor } from './committed-read-actor.ts'
import { FaultActor } from './fault-actor.ts'
import { GroupActor } from './group-actor.ts'
import { FollowActor, NOW_AND_THEN, type ReaderHabits, THOROUGH } from './follow-actor.ts'
import { FIRST_SEED, HousekeepingActor } from './housekeeping-actor.ts'
import { LiveReadActor } from './live-read-actor.ts'
import { ReadActor } from './read-actor.ts'
import { SendActor } from './send-actor.ts'
import { TimeActor } from './time-actor.ts'
import { TopicActor } from './topic-actor.ts'
import { TransactionActor } from './transaction-actor.ts'
import { TrimActor } from './trim-actor.ts'

/** One seed in so many has readers in other processes. */
const SEEDS_PER_READER = 2
/** One of so many has readers that hardly look away: that takes a while. */
const SEEDS_PER_THOROUGH = 16

/** The actors of the run of a seed. */
export function allActors(
  stage: Stage,
  seed: number,
  faults: ReadonlySet<FaultGroup>,
): readonly Actor[] {
  return [
    new TopicActor(stage),
    new AppendActor(stage),
    new SendActor(stage),
    new ReadActor(stage),
    new LiveReadActor(stage),
    new TrimActor(stage),
    new GroupActor(stage),
    new TransactionActor(stage),
    new CommittedReadActor(stage),
    new TimeActor(stage, faults.has('clock')),
    new FaultActor(stage, faults),
    ...(seed < FIRST_SEED ? [] : [new HousekeepingActor(stage)]),
    ...(seed % SEEDS_PER_READER === 0 ? [new FollowActor(stage, seed, habitsOf(seed))] : []),
  ]
}

function habitsOf(seed: number): ReaderHabits {
  return seed % SEEDS_PER_THOROUGH === SEEDS_PER_READER ? THOROUGH : NOW_AND_THEN
}
