/**
 * Mutants of consumer groups and of the positions that they commit (mutants.ts says what a mutant
 * is).
 */
import type { FaultGroup } from './fault-plan.ts'
import type { Mutant } from './mutants.ts'

const CRASH: readonly FaultGroup[] = ['crash']

/** Builds that lack a rule of groups. */
export const GROUP_MUTANTS: readonly Mutant[] = [
  {
    rule: 'the data is synced before a durable commit of it counts',
    section: 6,
    file: 'src/log/committed-offsets.ts',
    find: 'await Promise.all(sources.map(durableUnlessDeleted))',
    replace: 'void sources; void durableUnlessDeleted',
    faults: CRASH,
    seed: 10,
  },
  {
    rule: 'a durable commit is synced before it counts',
    section: 6,
    file: 'src/log/committed-offsets.ts',
    find: 'await written.log.makeDurable(written.offset)',
    replace: 'void written',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'positions never outlive their data',
    section: 6,
    file: 'src/log/directory-open.ts',
    find: 'return yield* offsets.cutBack()',
    replace: 'return []',
    faults: CRASH,
    seed: 44,
  },
  {
    rule: 'a name is used again only when groups have forgotten its topic',
    section: 3,
    file: 'src/log/log-directory.ts',
    find: 'yield* this.offsets.forgetTopics(wanted.map(({ name }) => name))',
    replace: '',
    also: [
      {
        file: 'src/log/log-directory.ts',
        find: 'yield* this.offsets.forgetTopics(names)',
        replace: '',
      },
    ],
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'what groups forget of a topic is synced before its name is used again',
    section: 3,
    file: 'src/log/committed-offsets.ts',
    find: 'yield () => Promise.all([...ends].map(([log, end]) => log.makeDurable(end)))',
    replace: '',
    faults: CRASH,
    seed: 25,
  },
  {
    rule: 'only what was handled is committed by itself',
    section: 5,
    file: 'src/client/groups/partition-feed.ts',
    find: 'return this.#place.handled\n',
    replace: 'return this.#position ?? this.#place.handled\n',
    faults: CRASH,
    seed: 2,
  },
  {
    rule: 'a partition gets a new owner only after the old one has let go of it',
    section: 5,
    file: 'src/client/groups/group-membership.ts',
    find: 'if (holder === undefined && heir !== undefined) {',
    replace: 'if (holder !== heir && heir !== undefined) {',
    also: [
      {
        file: 'src/client/groups/partition-holdings.ts',
        find: 'assert(slot.holder === undefined && slot.heir !== undefined,',
        replace: 'assert(slot.heir !== undefined,',
      },
    ],
    faults: CRASH,
    seed: 2,
  },
]
